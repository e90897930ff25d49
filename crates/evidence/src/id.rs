//! Names that may stand in evidence: ids that we minted, never words that somebody chose.

use crate::Error;
use serde::{Deserialize, Serialize};

/// The longest [`Id`], in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// An identifier of 1 to [`MAX_ID_BYTES`] characters out of `A-Z a-z 0-9 _ . : / -`.
///
/// The alphabet needs no escaping in JSON, in a tile path or in a signed note, so an id has one spelling everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Takes `text` as an id.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnId`] where `text` is empty, too long or has a character outside the alphabet.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b);
        if (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(Error::NotAnId)
        }
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl TryFrom<String> for Id {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_small_alphabet_and_a_bound() {
        let longest = "a".repeat(MAX_ID_BYTES);
        for good in [
            "a",
            "no-rules/1",
            "/v1/chat/completions",
            "llama3.2:1b",
            &longest,
        ] {
            assert_eq!(Id::new(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(MAX_ID_BYTES + 1);
        for bad in ["", " ", "a b", "a\n", "a+b", "\"", "é", "a\u{0}", &too_long] {
            assert!(Id::new(bad).is_err(), "{bad:?}");
        }
    }
}
