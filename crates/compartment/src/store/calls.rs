//! Calls: what was reserved for each, and how it ended.

use evidence::{Basis, CallIntent, CallSettled, Id, Outcome};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;
use super::entry::Begun;
use crate::id::CallId;

/// A call's intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallRow {
    pub(crate) id: CallId,
    /// The credential, as records show it.
    pub(crate) credential: String,
    pub(crate) subject: Option<[u8; 16]>,
    pub(crate) session: Option<[u8; 16]>,
    pub(crate) route: String,
    pub(crate) model: String,
    pub(crate) upstream: String,
    pub(crate) started: Timestamp,
    /// Most tokens, and the money held for them in nano-units.
    pub(crate) bound_input: u64,
    pub(crate) bound_output: u64,
    pub(crate) reserved: u64,
    pub(crate) end: Option<CallEnd>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallEnd {
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) basis: Basis,
    pub(crate) status: u16,
    pub(crate) input: u64,
    pub(crate) cached_input: u64,
    pub(crate) output: u64,
    /// Nano-units.
    pub(crate) cost: u64,
}

impl CallRow {
    /// The row of a call that begins.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where the record names no call of ours.
    pub(super) fn begun(intent: &CallIntent, begun: &Begun) -> Result<Self, StoreError> {
        let text = |id: &Id| id.as_str().to_owned();
        Ok(Self {
            id: id(&intent.call)?,
            credential: text(&intent.credential),
            subject: begun.subject,
            session: begun.session,
            route: text(&intent.route),
            model: text(&intent.model),
            upstream: text(&intent.upstream),
            started: begun.started,
            bound_input: intent.bound_input_tokens,
            bound_output: intent.bound_output_tokens,
            reserved: intent.reserved_nanos,
            end: None,
        })
    }
}

impl CallEnd {
    /// What a record says that stands in the journal since `at`.
    pub(crate) fn of(settled: &CallSettled, at: Timestamp) -> Self {
        Self {
            at,
            outcome: settled.outcome,
            basis: settled.measured,
            status: settled.status,
            input: settled.input_tokens,
            cached_input: settled.cached_input_tokens,
            output: settled.output_tokens,
            cost: settled.cost_nanos,
        }
    }
}

/// The call that a record names.
pub(crate) fn id(named: &Id) -> Result<CallId, StoreError> {
    CallId::parse(named.as_str())
        .map_err(|_| StoreError::Corrupt("a record names no call of ours".to_owned()))
}

/// The word that the journal uses for it too.
pub(super) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Failed(e.to_string()))?;
    Ok(text.trim_matches('"').to_owned())
}

/// What a word says; `None` where it is none of them.
pub(super) fn unword<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_str(&format!("\"{word}\"")).ok()
}
