//! Names that we mint: 128 bits each, with a prefix that says what it names. They are not secret.
//!
//! An id has one spelling (`ten_` and 32 lower-case hex digits, and so on). Anything else does not parse, so that two
//! texts that differ never name the same thing.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an id of this kind; nothing was looked up; an id is a short prefix, `_` and 32 lower-case hex digits"
)]
pub struct NotAnId;

/// The operating system gave no random bytes. Nothing is ever minted from anything weaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes; nothing was made; try again")]
pub struct NoRandomness;

/// `N` random bytes from the operating system.
///
/// # Errors
///
/// [`NoRandomness`] where the operating system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Reads exactly 32 lower-case hex digits. `hex` alone would take upper case too and give an id a second spelling.
pub(crate) fn parse_hex16(text: &str) -> Option<[u8; 16]> {
    let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if !text.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads an id.
            ///
            /// # Errors
            ///
            /// [`NotAnId`] unless `text` is the prefix and 32 lower-case hex digits.
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix($prefix).and_then(parse_hex16).map(Self).ok_or(NotAnId)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // not digit by digit through the formatter: a call's path writes a dozen of these
                let mut digits = [0; 32];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A tenant: `ten_` and 32 hex digits.
    TenantId,
    "ten_"
);
id!(
    /// An API key, without its secret: `key_` and 32 hex digits.
    ApiKeyId,
    "key_"
);
id!(
    /// One pinned token issuer of a tenant: `iss_` and 32 hex digits.
    IssuerId,
    "iss_"
);
id!(
    /// One call: `call_` and 32 hex digits laid out as a UUID version 7 (RFC 9562 §5.7), so that ids of later
    /// milliseconds sort later, as bytes and as text.
    CallId,
    "call_"
);

macro_rules! random_id {
    ($name:ident) => {
        impl $name {
            /// A fresh id of 128 random bits.
            ///
            /// # Errors
            ///
            /// [`NoRandomness`] where the operating system gives none.
            pub fn random() -> Result<Self, NoRandomness> {
                random().map(Self)
            }
        }
    };
}

random_id!(TenantId);
random_id!(ApiKeyId);
random_id!(IssuerId);

impl CallId {
    /// A fresh id for a call that starts at `now`: 48 bits of milliseconds, 74 random bits.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`] where the operating system gives none.
    pub fn mint(now: Timestamp) -> Result<Self, NoRandomness> {
        let random = u128::from_be_bytes(random()?);
        // Before 1970 does not happen to a call; it would sort first rather than fail.
        let millis = u128::from(now.as_millisecond().max(0).unsigned_abs());
        const MILLIS: u128 = (1 << 48) - 1;
        const RANDOM: u128 = (0xfff << 64) | ((1 << 62) - 1);
        const VERSION_AND_VARIANT: u128 = (0x7 << 76) | (0b10 << 62);
        let id = ((millis & MILLIS) << 80) | VERSION_AND_VARIANT | (random & RANDOM);
        Ok(Self(id.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_one_spelling() {
        let id = TenantId::from_bytes(*b"\x00\x01\xff3456789abcdef");
        let text = "ten_0001ff33343536373839616263646566";
        assert_eq!(id.to_string().len(), 36);
        assert_eq!(TenantId::parse(&id.to_string()), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        assert_eq!(
            serde_json::from_str::<TenantId>(&format!("\"{id}\"")).unwrap(),
            id
        );
        assert_eq!(format!("{id:?}"), id.to_string());
        assert_eq!(id.to_string(), text);
        for other in [
            id.to_string().to_uppercase(),
            format!("ten_{}", text[4..].to_uppercase()),
            text.replace("ten_", "key_"),
            format!("{text}0"),
            text[..35].to_owned(),
            format!(" {text}"),
            format!("{text}\n"),
            String::new(),
            "ten_".to_owned(),
            format!("ten_{}", "é".repeat(16)),
        ] {
            assert_eq!(TenantId::parse(&other), Err(NotAnId), "{other:?}");
            let json = serde_json::to_string(&other).unwrap();
            assert!(serde_json::from_str::<TenantId>(&json).is_err());
        }
    }

    #[test]
    fn call_ids_sort_by_time_and_never_repeat() {
        let at = |ms| CallId::mint(Timestamp::from_millisecond(ms).unwrap()).unwrap();
        let (early, late) = (at(1_700_000_000_000), at(1_700_000_000_001));
        assert!(early < late && early.to_string() < late.to_string());
        assert_ne!(at(5), at(5));
        let bytes = *early.as_bytes();
        assert_eq!((bytes[6] >> 4, bytes[8] >> 6), (7, 0b10));
        assert_eq!(bytes[..6], 1_700_000_000_000_u64.to_be_bytes()[2..]);
        assert_eq!(at(-1).as_bytes()[..6], [0; 6]);
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(TenantId::random(), TenantId::random());
        assert_ne!(ApiKeyId::random(), ApiKeyId::random());
        assert_ne!(IssuerId::random(), IssuerId::random());
    }
}
