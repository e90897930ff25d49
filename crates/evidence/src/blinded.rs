//! Names that only the tenant can link: a MAC instead of the name.

use crate::Error;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A blinded name: the first 128 bits of an HMAC-SHA-256 under a key that the tenant controls. 32 lower-case hex
/// digits in evidence.
///
/// Equal names give equal values as long as the key lives; once the key is destroyed nobody can link it any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Blinded([u8; 16]);

impl Blinded {
    /// Takes 128 bits that the caller computed with a MAC of its own.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA-256(`key`, u64be(len(`label`)) ‖ `label` ‖ `name`), cut to 128 bits. One label per purpose.
    #[must_use]
    pub fn derive(key: &[u8; 32], label: &str, name: &[u8]) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "HMAC takes keys of any length (RFC 2104)"
        )]
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(&(label.len() as u64).to_be_bytes());
        mac.update(label.as_bytes());
        mac.update(name);
        let mut left = [0; 16];
        for (to, from) in left.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        Self(left)
    }

    /// The 128 bits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for Blinded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Blinded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blinded({self})")
    }
}

impl TryFrom<String> for Blinded {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        from_hex(&text).map(Self)
    }
}

impl From<Blinded> for String {
    fn from(blinded: Blinded) -> Self {
        blinded.to_string()
    }
}

/// Exactly `N` bytes of lower-case hex: upper case would be a second spelling of the same value.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if lower => Ok(bytes),
        _ => Err(Error::NotHex { bytes: N }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blinded_name_depends_on_key_label_and_name() {
        let one = Blinded::derive(&[1; 32], "subject", b"u1");
        assert_eq!(one, Blinded::derive(&[1; 32], "subject", b"u1"));
        for other in [
            Blinded::derive(&[2; 32], "subject", b"u1"),
            Blinded::derive(&[1; 32], "session", b"u1"),
            Blinded::derive(&[1; 32], "subjectu", b"1"),
            Blinded::derive(&[1; 32], "subject", b"u2"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_blinded_name_has_one_spelling() {
        let text = "00112233445566778899aabbccddeeff".to_owned();
        assert_eq!(Blinded::try_from(text.clone()).unwrap().to_string(), text);
        for bad in [
            "",
            "00",
            "00112233445566778899AABBCCDDEEFF",
            "zz112233445566778899aabbccddeeff",
        ] {
            assert!(Blinded::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
