//! What a verified export says.

use crate::{Id, log};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most models that a report lists by name; the rest are summed under [`OTHER_MODELS`].
pub const MAX_LISTED_MODELS: usize = 1024;

/// The entry for models beyond [`MAX_LISTED_MODELS`]. No model is called so: `*` is not in an id's alphabet.
pub const OTHER_MODELS: &str = "*";

/// The most open calls that a report lists; [`Report::open_calls`] counts them all.
pub const MAX_LISTED_OPEN_CALLS: usize = 1000;

/// The result of a verification that found nothing wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The journal's name.
    pub origin: Id,
    /// The key that its checkpoints verify with.
    pub vkey: String,
    /// Whether that key was pinned by the verifier's user, or only taken from the export itself.
    pub pinned: bool,
    /// The number of records.
    pub records: u64,
    /// The Merkle root over them.
    #[serde(with = "log::hash_text")]
    pub root: log::Hash,
    /// When the last checkpoint was signed. Nothing here says anything about later times.
    pub signed_at: Timestamp,
    /// The number of signed checkpoints that were checked.
    pub checkpoints: u64,
    /// The size of the earlier checkpoint that this journal was shown to have grown from.
    pub grown_from: Option<u64>,
    /// What the deployment log says about this journal.
    pub deployment: Option<DeploymentReport>,
    /// The time of the first record.
    pub first: Option<Timestamp>,
    /// The time of the last record.
    pub last: Option<Timestamp>,
    /// The number of records of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Sums over the settled calls by model.
    pub models: BTreeMap<String, Sums>,
    /// Calls that cost more than was reserved for them. A gateway that keeps its promise has none.
    pub over_reservation: u64,
    /// The number of calls without a settlement at the end: running when the export was made.
    pub open_calls: u64,
    /// The first [`MAX_LISTED_OPEN_CALLS`] of them, by record number.
    pub open: Vec<OpenCall>,
    /// What this verification could not show, in plain words. Empty where every means was used.
    pub caveats: Vec<&'static str>,
}

/// Sums over settled calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// The number of settled calls.
    pub calls: u64,
    /// Input, in tokens.
    pub input_tokens: u128,
    /// The part of the input that came from an upstream's cache, in tokens.
    pub cached_input_tokens: u128,
    /// Output, in tokens.
    pub output_tokens: u128,
    /// Money charged, in nano-units.
    pub cost_nanos: u128,
    /// How many of the calls were charged at the bound because nobody reported their usage.
    pub at_bound: u64,
}

/// A call without a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenCall {
    /// The call.
    pub call: Id,
    /// The record of its intent.
    pub seq: u64,
}

/// What the deployment log says about the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeploymentReport {
    /// The deployment log's name.
    pub origin: Id,
    /// The key that its checkpoint verifies with.
    pub vkey: String,
    /// Whether that key was pinned by the verifier's user, or only taken from the export itself.
    pub pinned: bool,
    /// The number of heads in the deployment log.
    pub heads: u64,
    /// When its checkpoint was signed.
    pub signed_at: Timestamp,
    /// How many of this journal's records the head in it covers.
    pub covers: u64,
    /// When that head was taken.
    pub taken_at: Timestamp,
}

pub(super) const NOT_PINNED: &str = "the journal's key was taken from the export itself: whoever made the export could have signed any records with \
     a key of their own; pin the key that you were given by other means";
pub(super) const MAY_BE_OLDER: &str = "nothing here shows whether newer records existed when the export was made, as an older genuine checkpoint looks just \
     as complete: only a checkpoint seen elsewhere, or the deployment log with its key pinned, can show that";
pub(super) const DEPLOYMENT_NOT_PINNED: &str = "the deployment log's key was taken from the export itself: its proof says no more than the journal's own key does; \
     pin the deployment log's key";
pub(super) const DEPLOYMENT_OLDER: &str = "the deployment log covers only part of the records here: the rest stand on the journal's own key alone";
