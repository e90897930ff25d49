//! API keys: `cfdk_<32 hex: key id>_<64 hex: secret>_<8 hex: CRC-32>`.
//!
//! The prefix and the checksum let a secret scanner recognise a leaked key without asking anybody. The checksum proves
//! nothing; it turns away mistyped and made-up keys before anything is looked up.

use super::{CredentialError, Reason, SecretToken};
use crate::{
    id::{ApiKeyId, NoRandomness, parse_hex16},
    keys::Secret32,
    seal::blind,
};
use subtle::ConstantTimeEq;

/// The length of every API key, in bytes.
pub const MAX_API_KEY_BYTES: usize = PREFIX_BYTES + 32 + 1 + 64 + 1 + 8;

const PREFIX_BYTES: usize = 5;

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiKeyKind {
    /// A tenant's.
    Tenant,
    /// The operator's.
    Operator,
}

impl ApiKeyKind {
    /// What a key of this kind starts with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Tenant => "cfdk_",
            Self::Operator => "cfdo_",
        }
    }
}

/// Makes a key with a random id and 256 random bits. Only [`keyed_hash`] of it is ever stored.
///
/// # Errors
///
/// [`NoRandomness`] where the operating system gives none.
pub fn mint(kind: ApiKeyKind) -> Result<(ApiKeyId, SecretToken), NoRandomness> {
    let id = ApiKeyId::random()?;
    let secret = Secret32::random()?;
    // The right size from the start: a string that grows leaves copies of the secret behind.
    let mut token = String::with_capacity(MAX_API_KEY_BYTES);
    token.push_str(kind.prefix());
    push_hex(&mut token, id.as_bytes());
    token.push('_');
    push_hex(&mut token, secret.expose());
    let sum = crc32fast::hash(token.as_bytes());
    token.push('_');
    push_hex(&mut token, &sum.to_be_bytes());
    Ok((id, SecretToken::new(token)))
}

/// What is stored of a key: a MAC over the whole token, under the key of whoever it belongs to.
#[must_use]
pub fn keyed_hash(key: &Secret32, token: &str) -> [u8; 32] {
    blind(key, "api-key", &[token.as_bytes()])
}

/// An API key that somebody shows: well-formed, not proven.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a> {
    kind: ApiKeyKind,
    id: ApiKeyId,
    token: &'a str,
}

impl<'a> PresentedKey<'a> {
    /// Checks the shape; `None` where the prefix is not an API key's. The checksum comes first, and the whole token has
    /// exactly one spelling.
    pub(super) fn parse(token: &'a str) -> Option<Result<Self, CredentialError>> {
        let kind = [ApiKeyKind::Tenant, ApiKeyKind::Operator]
            .into_iter()
            .find(|k| token.starts_with(k.prefix()))?;
        Some(Self::checked(kind, token).ok_or(Reason::Malformed.into()))
    }

    fn checked(kind: ApiKeyKind, token: &'a str) -> Option<Self> {
        if token.len() != MAX_API_KEY_BYTES {
            return None;
        }
        let (summed, sum) = token.rsplit_once('_')?;
        if sum != format!("{:08x}", crc32fast::hash(summed.as_bytes())) {
            return None;
        }
        let (id, secret) = summed.strip_prefix(kind.prefix())?.split_once('_')?;
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if secret.len() != 64 || !secret.bytes().all(hex) {
            return None;
        }
        Some(Self {
            kind,
            id: parse_hex16(id).map(ApiKeyId::from_bytes)?,
            token,
        })
    }

    /// Whose key it says it is.
    #[must_use]
    pub fn kind(&self) -> ApiKeyKind {
        self.kind
    }

    /// The id to look the key up by.
    #[must_use]
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// Whether this is, to the last byte, the token whose [`keyed_hash`] under `key` is `stored`. Takes the same time
    /// whichever byte differs.
    #[must_use]
    pub fn matches(&self, key: &Secret32, stored: &[u8; 32]) -> bool {
        keyed_hash(key, self.token).ct_eq(stored).into()
    }
}

impl std::fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedKey")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Presented;

    fn key() -> Secret32 {
        Secret32::from_bytes([9; 32])
    }

    fn admitted(token: &str, stored: &[u8; 32]) -> bool {
        matches!(Presented::parse(token), Ok(Presented::Key(shown)) if shown.matches(&key(), stored))
    }

    fn resummed(token: &str) -> String {
        let summed = token.rsplit_once('_').unwrap().0;
        format!("{summed}_{:08x}", crc32fast::hash(summed.as_bytes()))
    }

    #[test]
    fn a_minted_key_is_admitted_and_says_what_it_is() {
        for kind in [ApiKeyKind::Tenant, ApiKeyKind::Operator] {
            let (id, token) = mint(kind).unwrap();
            assert_eq!(token.expose().len(), MAX_API_KEY_BYTES);
            let stored = keyed_hash(&key(), token.expose());
            let Ok(Presented::Key(shown)) = Presented::parse(token.expose()) else {
                panic!("a key")
            };
            assert_eq!((shown.kind(), shown.id()), (kind, id));
            assert!(shown.matches(&key(), &stored));
            assert!(
                !shown.matches(&Secret32::from_bytes([8; 32]), &stored),
                "another tenant's hash key"
            );
            assert!(!format!("{token:?} {shown:?}").contains(&token.expose()[40..60]));
        }
    }

    #[test]
    fn no_key_that_differs_in_any_byte_is_admitted_even_with_a_right_checksum() {
        let (_, token) = mint(ApiKeyKind::Tenant).unwrap();
        let token = token.expose();
        let stored = keyed_hash(&key(), token);
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let forged = String::from_utf8(bytes).unwrap();
                assert!(!admitted(&forged, &stored), "byte {at}, bit {bit}");
                if at < token.len() - 9 {
                    assert!(
                        !admitted(&resummed(&forged), &stored),
                        "byte {at}, bit {bit}, new checksum"
                    );
                }
            }
        }
        assert!(admitted(token, &stored), "the positive control");
    }

    #[test]
    fn no_part_of_a_key_stands_for_the_whole() {
        let (_, token) = mint(ApiKeyKind::Tenant).unwrap();
        let (_, other) = mint(ApiKeyKind::Tenant).unwrap();
        let (token, other) = (token.expose(), other.expose());
        let stored = keyed_hash(&key(), token);
        for keep in 0..token.len() {
            assert!(!admitted(&token[..keep], &stored), "cut off after {keep}");
            // The attack on caches that are keyed by a part of the token: the same beginning, another end.
            let same_start = format!("{}{}", &token[..keep], &other[keep..]);
            for forged in [resummed(&same_start), same_start] {
                assert!(
                    forged == token || !admitted(&forged, &stored),
                    "the same first {keep} characters"
                );
            }
        }
        let swapped = resummed(&format!("{}{}", &token[..38], &other[38..]));
        assert!(
            matches!(Presented::parse(&swapped), Ok(Presented::Key(_))),
            "well-formed"
        );
        for forged in [
            swapped,
            other.to_owned(),
            token.to_uppercase(),
            format!("{token} "),
            format!("{token}\0"),
            format!("{token}0"),
            format!("cfdo_{}", &token[5..]),
            resummed(&format!("cfdo_{}", &token[5..])),
            format!("cfdk_{}", "é".repeat(53)),
            format!("{}' OR '1'='1", &token[..token.len() - 11]),
        ] {
            assert!(!admitted(&forged, &stored), "{forged}");
        }
    }
}
