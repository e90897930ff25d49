//! The life of one call: intent, settlement, refusal.

use crate::{Blinded, Commitment, Error, Id};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A call was admitted: policy decided, money reserved. Durable before the first byte of an answer goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallIntent {
    /// The call's id, minted by the gateway, unique in the journal.
    pub call: Id,
    /// The id of the credential the call was made with.
    pub credential: Id,
    /// The end user, blinded under the tenant's key; `None` where the credential is bound to none.
    pub subject: Option<Blinded>,
    /// The end user's session, blinded under the tenant's key.
    pub session: Option<Blinded>,
    /// The route, such as `/v1/chat/completions`.
    pub route: Id,
    /// The model as the catalogue names it.
    pub model: Id,
    /// The upstream the call was sent to.
    pub upstream: Id,
    /// The redaction policy that was applied and its version; `no-rules/1` is the explicit policy without any.
    pub policy: Id,
    /// Upper bound of the input, in tokens.
    pub bound_input_tokens: u64,
    /// Upper bound of the output, in tokens; the upstream was told to stop there.
    pub bound_output_tokens: u64,
    /// Money reserved, in nano-units of the tenant's currency.
    pub reserved_nanos: u64,
    /// Commitment to the request's body under [`crate::REQUEST_LABEL`].
    pub request_commitment: Commitment,
}

/// A call is over. Exactly one stands for every intent, after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSettled {
    /// The id from the intent.
    pub call: Id,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status the client got, or would have got.
    pub status: u16,
    /// Input, in tokens, cached ones included.
    pub input_tokens: u64,
    /// The part of the input that the upstream took from its cache, in tokens.
    pub cached_input_tokens: u64,
    /// Output, in tokens.
    pub output_tokens: u64,
    /// Money charged, in nano-units of the tenant's currency; never above what was reserved.
    pub cost_nanos: u64,
    /// Whether the counts were reported or had to be taken at the bound.
    pub measured: Basis,
    /// Commitment to the answer's body under [`crate::ANSWER_LABEL`]; `None` where there was no answer.
    pub answer_commitment: Option<Commitment>,
    /// Detector hits by kind.
    pub findings: Hits,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was delivered whole.
    Completed,
    /// The client went away; what was produced until then is charged.
    ClientGone,
    /// The upstream failed or never answered.
    UpstreamFailed,
    /// The answer was cut because the reservation was used up.
    CutAtReservation,
    /// The gateway gave the call up without a result of its own, such as on shutdown.
    Abandoned,
    /// The gateway died during the call; it was settled at the bound after the restart.
    RecoveredAfterCrash,
}

/// Where the token counts of a settlement come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The upstream reported them, or the gateway counted them exactly.
    Measured,
    /// The client left before the upstream reported: the output is what the gateway saw go by, the input its bound.
    Observed,
    /// Nobody reported them: the bound was charged.
    Bound,
}

/// A call was refused before anything left the gateway and before any money was reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRefused {
    /// The call's id, minted by the gateway.
    pub call: Id,
    /// The credential, where one was recognised.
    pub credential: Option<Id>,
    /// The route that was asked for.
    pub route: Id,
    /// The model, where it is one the tenant may name. A client's free text must not come in this way.
    pub model: Option<Id>,
    /// A short code, such as `insufficient_quota`.
    pub reason: Id,
    /// How many refusals this record stands for, the named call being the first: a flood of the same refusal is one
    /// record, not thousands. At least 1.
    pub count: NonZeroU32,
}

/// The most kinds of detector hits in one record.
pub const MAX_HITS: usize = 64;

/// Detector hits by the detector's id: how often each fired, never on what. At most [`MAX_HITS`] kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Id, u32>", into = "BTreeMap<Id, u32>")]
pub struct Hits(BTreeMap<Id, u32>);

impl Hits {
    /// Takes counts by detector id.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyHits`] above [`MAX_HITS`] kinds.
    pub fn new(counts: impl IntoIterator<Item = (Id, u32)>) -> Result<Self, Error> {
        Self::try_from(counts.into_iter().collect::<BTreeMap<_, _>>())
    }

    /// The counts, ordered by detector id.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Id, u32> {
        &self.0
    }
}

impl TryFrom<BTreeMap<Id, u32>> for Hits {
    type Error = Error;

    fn try_from(counts: BTreeMap<Id, u32>) -> Result<Self, Error> {
        if counts.len() > MAX_HITS {
            return Err(Error::TooManyHits { max: MAX_HITS });
        }
        Ok(Self(counts))
    }
}

impl From<Hits> for BTreeMap<Id, u32> {
    fn from(hits: Hits) -> Self {
        hits.0
    }
}
