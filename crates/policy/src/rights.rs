//! What a credential may do.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::PolicyError;

/// One thing that a credential may do; on the wire these are the key's `scopes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Right {
    /// Call models, list models, read its own calls.
    Infer = 1,
    /// Mint session tokens for end users.
    MintSessions = 2,
    /// Administer the tenant.
    Steward = 4,
    /// Read and verify the journal.
    Audit = 8,
}

impl Right {
    /// All of them.
    pub const ALL: [Right; 4] = [
        Right::Infer,
        Right::MintSessions,
        Right::Steward,
        Right::Audit,
    ];

    /// The word as it crosses the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Right::Infer => "infer",
            Right::MintSessions => "mint_sessions",
            Right::Steward => "steward",
            Right::Audit => "audit",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Right, PolicyError> {
        Right::ALL
            .into_iter()
            .find(|right| right.as_str() == text)
            .ok_or(PolicyError::Stored {
                what: "scope of a key",
            })
    }
}

/// A set of [`Right`]s. In JSON a list of words, each known and at most once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Rights = Rights(0);

    /// Whether `right` is in it.
    pub const fn allow(self, right: Right) -> bool {
        self.0 & right as u8 != 0
    }

    /// The same with `right`.
    pub const fn and(self, right: Right) -> Rights {
        Rights(self.0 | right as u8)
    }

    /// Whether every right of this is in `other`: what a credential may hand on.
    pub const fn within(self, other: Rights) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those in both.
    pub const fn both(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL
            .into_iter()
            .filter(move |right| self.allow(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        rights.into_iter().fold(Rights::NONE, Rights::and)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Right::as_str))
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rights, D::Error> {
        let mut rights = Rights::NONE;
        for word in Vec::<String>::deserialize(deserializer)? {
            let right: Right = word.parse().map_err(|_| {
                D::Error::custom(
                    "unknown scope; the scopes are infer, mint_sessions, steward and audit",
                )
            })?;
            if rights.allow(right) {
                return Err(D::Error::custom(format_args!(
                    "scope {right} is named twice"
                )));
            }
            rights = rights.and(right);
        }
        Ok(rights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_in_json_are_known_words_each_once() {
        let all: Rights = Right::ALL.into_iter().collect();
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"["infer","mint_sessions","steward","audit"]"#);
        assert_eq!(serde_json::from_str::<Rights>(&json).unwrap(), all);
        assert_eq!(serde_json::from_str::<Rights>("[]").unwrap(), Rights::NONE);
        for refused in [
            r#"["root"]"#,
            r#"["infer","infer"]"#,
            r#""infer""#,
            "15",
            r#"["Infer"]"#,
        ] {
            assert!(
                serde_json::from_str::<Rights>(refused).is_err(),
                "{refused}"
            );
        }
    }

    #[test]
    fn nobody_hands_on_a_right_they_lack() {
        let infer = Rights::NONE.and(Right::Infer);
        let both = infer.and(Right::Steward);
        assert!(infer.within(both) && infer.within(infer) && Rights::NONE.within(infer));
        assert!(!both.within(infer));
        assert_eq!(both.both(infer), infer);
    }
}
