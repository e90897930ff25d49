//! A whole credential, in clear: it exists once, on its way to whoever asked for it.

use std::fmt;
use zeroize::Zeroizing;

/// A freshly minted credential. Zeroized when dropped; prints as its length.
pub struct SecretToken(Zeroizing<String>);

impl SecretToken {
    pub(super) fn new(token: String) -> Self {
        Self(Zeroizing::new(token))
    }

    /// The credential itself, to be shown once and not kept.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretToken({} bytes)", self.0.len())
    }
}
