//! What is wrong with an export, in words that name the place.

use crate::Id;
use serde::Serialize;

/// Which log a key is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signed {
    /// The tenant's journal.
    Journal,
    /// The deployment log over all journals.
    Deployment,
}

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::Deployment => "deployment log",
        })
    }
}

/// The first thing that is wrong with an export or a proof. `Display` says it in plain words; as JSON, the field
/// `finding` is a stable code and the others are its details. Records are named by their number, `seq`, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// A line is not what the format allows there.
    #[error("line {line} is damaged: {what}")]
    BadLine {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file stops before its end line.
    #[error("the file was cut off: it stops at line {line}, before its end line")]
    CutOff {
        /// The line where it stops, from 1.
        line: u64,
    },
    /// The end line counts another number of records.
    #[error("the end line counts {counted} records, but the file holds {records}")]
    Miscounted {
        /// What the end line says.
        counted: u64,
        /// What is there.
        records: u64,
    },
    /// The format is of another version.
    #[error("this export has format {format}, which this verifier does not know; use a newer one")]
    UnknownFormat {
        /// The version in the header.
        format: u32,
    },
    /// A record is not in canonical form.
    #[error("record {seq} was edited or damaged: {reason}")]
    NotCanonical {
        /// The record's place.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// One or more records are not there.
    #[error("records {from} to {to} are missing: removed, or moved elsewhere")]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A record stands where another belongs.
    #[error(
        "record {found} stands where record {expected} belongs: duplicated, inserted or reordered"
    )]
    OutOfPlace {
        /// The number that belongs there.
        expected: u64,
        /// The number that stands there.
        found: u64,
    },
    /// A record is not the one that its leaf hash was stored for.
    #[error("record {seq} was edited or replaced: it is not the one that the journal's hash is of")]
    Edited {
        /// The record.
        seq: u64,
    },
    /// Records stand where no hashes are listed for them.
    #[error(
        "the journal lists no hashes for the records from {from} on: they were inserted, or the hashes were removed"
    )]
    Unlisted {
        /// The first of them.
        from: u64,
    },
    /// The records do not lead to the root that was signed.
    #[error(
        "the records do not lead to the root that was signed at {to} records: \
         at least one of the records {from} to {} was edited, replaced, removed or inserted, and its hash with it",
        .to.saturating_sub(1)
    )]
    Diverged {
        /// The first record that can be it: all before it are covered by an earlier good checkpoint.
        from: u64,
        /// The size that was signed.
        to: u64,
    },
    /// No checkpoint covers the last records.
    #[error(
        "records from {from} on are not covered by any signed checkpoint: inserted, or the checkpoint was removed"
    )]
    Unsigned {
        /// The first of them.
        from: u64,
    },
    /// A checkpoint covers more records than are there.
    #[error(
        "the checkpoint covers {signed} records, but only {records} stand before it: records were removed"
    )]
    Truncated {
        /// What was signed.
        signed: u64,
        /// What is there.
        records: u64,
    },
    /// A checkpoint stands behind records that it does not cover.
    #[error("a checkpoint of {signed} records stands after record {}: records were inserted, or it was moved", .records.saturating_sub(1))]
    StaleCheckpoint {
        /// What was signed.
        signed: u64,
        /// What is there.
        records: u64,
    },
    /// The export has no checkpoint at all.
    #[error(
        "there is no signed checkpoint: nothing here is proved; it was removed, or the export is incomplete"
    )]
    NoCheckpoint,
    /// A signature does not verify.
    #[error("the checkpoint after {records} records has no valid signature by the key {key}")]
    BadSignature {
        /// How many records stand before it.
        records: u64,
        /// The verifier key that was used.
        key: String,
    },
    /// A checkpoint is not written as one.
    #[error("the checkpoint after {records} records is malformed: {what}")]
    BadCheckpoint {
        /// How many records stand before it.
        records: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The header's key is not the pinned one.
    #[error("the {log} is signed with the key {found}, not with the pinned key {pinned}")]
    WrongKey {
        /// Whose key.
        log: Signed,
        /// The pinned key.
        pinned: String,
        /// The key in the header.
        found: String,
    },
    /// The export is of another journal.
    #[error("this is the journal {found}, not {expected}")]
    WrongOrigin {
        /// The one that was expected.
        expected: Id,
        /// The one that is here.
        found: Id,
    },
    /// A settlement stands without an intent.
    #[error("record {seq} settles call {call}, which has no open intent before it")]
    SettledWithoutIntent {
        /// The settlement.
        seq: u64,
        /// The call.
        call: Id,
    },
    /// A call is settled again.
    #[error("record {seq} settles call {call} again; record {first} settled it already")]
    SettledTwice {
        /// The second settlement.
        seq: u64,
        /// The call.
        call: Id,
        /// The first settlement.
        first: u64,
    },
    /// A call has two intents.
    #[error("record {seq} is a second intent for call {call}; record {first} has it already")]
    IntentTwice {
        /// The second intent.
        seq: u64,
        /// The call.
        call: Id,
        /// The record that has it already: its intent, or its settlement.
        first: u64,
    },
    /// More calls are open at once than a verifier keeps in mind.
    #[error(
        "at record {seq}, more than {max} calls are open at once: settlements were left out, or this is no journal"
    )]
    TooManyOpen {
        /// The record.
        seq: u64,
        /// [`super::MAX_OPEN_CALLS`].
        max: usize,
    },
    /// The clock ran backwards further than allowed.
    #[error(
        "record {seq} lies {millis} ms before an earlier record: its time was edited, or the clock was set back"
    )]
    TimeBackwards {
        /// The record.
        seq: u64,
        /// How far, in milliseconds.
        millis: u64,
    },
    /// The checkpoint is older than the records that it covers.
    #[error(
        "the checkpoint of {size} records was signed {millis} ms before the last of them was recorded"
    )]
    CheckpointBeforeRecords {
        /// The checkpoint's size.
        size: u64,
        /// How far, in milliseconds.
        millis: u64,
    },
    /// The journal is shorter than it once was.
    #[error(
        "the journal was rolled back: it had {earlier} records at the earlier checkpoint and has {now} now"
    )]
    RolledBack {
        /// The earlier checkpoint's size.
        earlier: u64,
        /// The size now.
        now: u64,
    },
    /// The journal's past is not what it once was.
    #[error(
        "the journal's past was rewritten: its first {size} records are not those of the earlier checkpoint"
    )]
    Rewritten {
        /// The earlier checkpoint's size.
        size: u64,
    },
    /// A deployment key was pinned, but there is nothing to check with it.
    #[error("the export holds no proof from the deployment log, though its key is pinned")]
    NoDeployment,
    /// The proof from the deployment log fails.
    #[error("the proof from the deployment log is wrong: {what}")]
    BadDeployment {
        /// What is wrong.
        what: &'static str,
    },
    /// The deployment log knows a longer journal.
    #[error(
        "the deployment log knows this journal with {known} records, but only {records} are here: the last ones were left out"
    )]
    BehindDeployment {
        /// The size of the head in the deployment log.
        known: u64,
        /// What is here.
        records: u64,
    },
    /// The deployment log knows other records.
    #[error(
        "the deployment log has another root for this journal at {size} records: the journal was forked or rewritten"
    )]
    ForkedFromDeployment {
        /// The size of that head.
        size: u64,
    },
    /// What is to be proved is not in the journal.
    #[error("{wanted} is not in this journal")]
    NotInJournal {
        /// The call or record.
        wanted: String,
    },
    /// A single proof is malformed.
    #[error("the proof is malformed: {what}")]
    BadProof {
        /// What is wrong.
        what: &'static str,
    },
    /// A record is not in the signed log.
    #[error(
        "record {seq} does not belong to the signed journal: the record or its proof was edited"
    )]
    NotIncluded {
        /// The record.
        seq: u64,
    },
    /// A text is not the one that was committed to.
    #[error("the text is not the {part} that record {seq} commits to")]
    NotTheText {
        /// `request` or `answer`.
        part: &'static str,
        /// The record with the commitment.
        seq: u64,
    },
    /// A text cannot be checked.
    #[error("the {part} cannot be checked: {what}")]
    TextUnchecked {
        /// `request` or `answer`.
        part: &'static str,
        /// What is missing.
        what: &'static str,
    },
}

impl Finding {
    /// The record that the finding is about, or the first that it can be about.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::NotCanonical { seq, .. }
            | Self::Edited { seq }
            | Self::SettledWithoutIntent { seq, .. }
            | Self::SettledTwice { seq, .. }
            | Self::IntentTwice { seq, .. }
            | Self::TooManyOpen { seq, .. }
            | Self::TimeBackwards { seq, .. }
            | Self::NotIncluded { seq }
            | Self::NotTheText { seq, .. } => Some(*seq),
            Self::Missing { from, .. }
            | Self::Unlisted { from }
            | Self::Diverged { from, .. }
            | Self::Unsigned { from } => Some(*from),
            Self::OutOfPlace { expected, .. } => Some(*expected),
            Self::Truncated { records, .. } | Self::BehindDeployment { records, .. } => {
                Some(*records)
            }
            Self::RolledBack { now, .. } => Some(*now),
            _ => None,
        }
    }
}
