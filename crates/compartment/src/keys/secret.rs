//! Thirty-two secret bytes.

use crate::id::{NoRandomness, random};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A 256-bit secret. It lives on the heap so that moving it leaves no copy behind, is zeroized when dropped, prints as
/// its length, compares in constant time and cannot be cloned or serialised.
pub struct Secret32(Box<[u8; 32]>);

impl Secret32 {
    /// A fresh secret from the operating system.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`] where the operating system gives none.
    pub fn random() -> Result<Self, NoRandomness> {
        random().map(Self::from_bytes)
    }

    /// Takes 32 bytes as a secret and zeroizes the array they came in.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let secret = Self(Box::new(bytes));
        bytes.zeroize();
        secret
    }

    /// Copies a secret out of a slice; `None` unless it has exactly 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 32 {
            return None;
        }
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes themselves, for whoever encrypts or wraps with them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Zeros, to be filled in place, so that no copy of the secret is left on the stack.
    pub(super) fn zeroed() -> Self {
        Self(Box::new([0; 32]))
    }

    pub(super) fn as_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl Drop for Secret32 {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Secret32 {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Secret32 {}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32(32 bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_and_compares_by_value() {
        let secret = Secret32::from_bytes([0xab; 32]);
        assert_eq!(
            format!("{secret:?} {secret:#?}"),
            "Secret32(32 bytes) Secret32(32 bytes)"
        );
        assert_eq!(Secret32::from_slice(&[0xab; 32]), Some(secret));
        let mut other = [0xab; 32];
        other[31] ^= 1;
        assert_ne!(
            Secret32::from_bytes([0xab; 32]),
            Secret32::from_bytes(other)
        );
        assert!(
            Secret32::from_slice(&[0; 31]).is_none() && Secret32::from_slice(&[0; 33]).is_none()
        );
        assert_ne!(Secret32::random(), Secret32::random());
    }
}
