//! One record of a tenant's journal: what happened, never what was said.

mod admin;
mod call;

pub use admin::{Actor, Admin, AdminAction};
pub use call::{Basis, CallIntent, CallRefused, CallSettled, Hits, MAX_HITS, Outcome};

use crate::{Error, moment};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest record in canonical form, in bytes. Every record that can be built is shorter.
pub const MAX_RECORD_BYTES: usize = 16 * 1024;

/// One leaf of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    seq: u64,
    #[serde(with = "moment")]
    time: Timestamp,
    #[serde(flatten)]
    kind: RecordKind,
}

/// What a record says. The JSON field `kind` names the variant in `snake_case`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RecordKind {
    /// A call was admitted and its money reserved; it has not left yet.
    CallIntent(CallIntent),
    /// A call with an intent is over, one way or another.
    CallSettled(CallSettled),
    /// A call was refused before anything left.
    CallRefused(CallRefused),
    /// Somebody administered the tenant.
    Admin(Admin),
}

impl RecordKind {
    /// The kind's name as it stands in the record: `call_intent`, `call_settled`, `call_refused` or `admin`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CallIntent(_) => "call_intent",
            Self::CallSettled(_) => "call_settled",
            Self::CallRefused(_) => "call_refused",
            Self::Admin(_) => "admin",
        }
    }

    /// The call the record is about, if it is about one.
    #[must_use]
    pub fn call(&self) -> Option<&crate::Id> {
        match self {
            Self::CallIntent(intent) => Some(&intent.call),
            Self::CallSettled(settled) => Some(&settled.call),
            Self::CallRefused(refused) => Some(&refused.call),
            Self::Admin(_) => None,
        }
    }
}

impl Record {
    /// A record at place `seq` of the journal, which is also its leaf index, counted from 0. `time` is cut to whole
    /// milliseconds.
    #[must_use]
    pub fn new(seq: u64, time: Timestamp, kind: RecordKind) -> Self {
        Self {
            seq,
            time: moment::to_millis(time),
            kind,
        }
    }

    /// The record's place in the journal and leaf index in the tree, from 0.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When it was recorded, in whole milliseconds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What it says.
    #[must_use]
    pub fn kind(&self) -> &RecordKind {
        &self.kind
    }

    /// What it says, by value.
    #[must_use]
    pub fn into_kind(self) -> RecordKind {
        self.kind
    }

    /// The record's only encoding (`FORMAT.md`, "Record"): JSON without spaces, fields in fixed order, absent values
    /// as `null`, integers only. At most [`MAX_RECORD_BYTES`], no newline. This is what the leaf hash is taken over.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        #[expect(
            clippy::expect_used,
            reason = "INVARIANT: string keys and integers only, written to memory: serialising cannot fail"
        )]
        let bytes = serde_json::to_vec(self).expect("a record is plain data");
        debug_assert!(bytes.len() <= MAX_RECORD_BYTES);
        bytes
    }

    /// Reads a record back. Accepts exactly what [`Record::canonical`] writes.
    ///
    /// # Errors
    ///
    /// [`Error::NotCanonical`] where the bytes are too long, not a record, or any other spelling of one: spaces, other
    /// order of fields, unknown, missing or doubled fields, escapes, other forms of numbers or times.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |reason: String| Error::NotCanonical { reason };
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(refuse(format!("longer than {MAX_RECORD_BYTES} bytes")));
        }
        // serde's messages may quote the input, which can be anything: only the place is passed on.
        let record: Self = serde_json::from_slice(bytes)
            .map_err(|e| refuse(format!("not a record, at byte {}", e.column())))?;
        if record.canonical() != bytes {
            return Err(refuse("another spelling of a record".to_owned()));
        }
        Ok(record)
    }
}
