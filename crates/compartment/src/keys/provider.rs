//! Who wraps root keys.

use super::{KeyError, Secret32};
use std::fmt;

/// The longest [`Wrapped`] key, in bytes.
pub const MAX_WRAPPED_BYTES: usize = 8192;

/// A root key as its provider wrapped it. Only that provider opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl Wrapped {
    /// Takes what a provider made, or what was stored of it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Malformed`] where it is empty or longer than [`MAX_WRAPPED_BYTES`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyError> {
        if (1..=MAX_WRAPPED_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(KeyError::Malformed {
                what: "wrapped key",
            })
        }
    }

    /// The bytes to store, or to give back to the provider.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

/// Wraps and unwraps root keys under keys of its own, one named key per tenant.
///
/// This is the shape of OpenBao's and Vault's transit engine (`name` is the transit key, `aad` its associated data) and
/// of a cloud KMS (`name` is the key's alias, `aad` the encryption context). Calls block; callers run them where that is
/// fine. `name` has 1 to 64 characters out of `a-z 0-9 _ -`.
///
/// A provider that cannot be reached answers [`KeyError::ProviderUnavailable`] and is asked again with the next call.
pub trait KeyProvider: Send + Sync {
    /// What kind of provider this is, in a word; the keyring remembers it to give a clear error for another kind.
    fn id(&self) -> &str;

    /// Wraps `key` under the key called `name`, which is made if there is none, bound to `aad`.
    ///
    /// # Errors
    ///
    /// [`KeyError::ProviderUnavailable`] where the provider cannot be asked.
    fn wrap(&self, name: &str, aad: &[u8], key: &Secret32) -> Result<Wrapped, KeyError>;

    /// Opens what [`KeyProvider::wrap`] wrapped under the same `name` and `aad`.
    ///
    /// # Errors
    ///
    /// [`KeyError::DoesNotOpen`] where it is something else; [`KeyError::ProviderUnavailable`] where the provider cannot
    /// be asked.
    fn unwrap(&self, name: &str, aad: &[u8], wrapped: &Wrapped) -> Result<Secret32, KeyError>;

    /// Destroys the key called `name`, so that nothing wrapped under it ever opens again. No such key is fine: a
    /// destruction that was cut off can be repeated.
    ///
    /// # Errors
    ///
    /// [`KeyError::ProviderUnavailable`] where the provider cannot be asked.
    fn destroy(&self, name: &str) -> Result<(), KeyError>;

    /// Whether the provider could wrap and unwrap just now.
    ///
    /// # Errors
    ///
    /// Whatever would keep it from doing so.
    fn check(&self) -> Result<(), KeyError>;
}
