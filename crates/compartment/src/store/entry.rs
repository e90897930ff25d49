//! What the calls of a tenant note: a record of the journal, and for a call that begins what only its row keeps.
//!
//! A [`Note`] has no place in the journal yet; an [`Entry`] has one. Between the two stands the tenant's pen.

use evidence::log::Hash;
use evidence::{Record, RecordKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) record: RecordKind,
    /// For the intent of a call, and for nothing else.
    pub(crate) begun: Option<Begun>,
}

/// What the row of a call keeps and its record does not: end users and sessions under the names that the store blinds
/// them with, and the moment that its budgets were held at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begun {
    #[serde(with = "blind", default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<[u8; 16]>,
    #[serde(with = "blind", default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<[u8; 16]>,
    #[serde(with = "since_1970")]
    pub(crate) started: Timestamp,
}

/// A note at its place in the journal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) begun: Option<Begun>,
    /// The record in canonical form.
    pub(super) body: Vec<u8>,
    /// The hashes that the record brings to the tree.
    pub(super) hashes: Vec<Hash>,
}

/// 16 bytes as 32 hex digits.
mod blind {
    use crate::id::parse_hex16;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        name: &Option<[u8; 16]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => serializer.collect_str(&hex::encode(name)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 16]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_hex16(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not 32 hex digits"))
    }
}

/// Milliseconds, as in the tables.
mod since_1970 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millisecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        Timestamp::from_millisecond(i64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
