//! The calls that a handle reaches.

use crate::{compartment::Reach, error::Refused, id::CallId, store, tenant::Tenant};
use evidence::{Basis, Outcome};
use jiff::Timestamp;
use policy::Nanos;
use std::{fmt, sync::Arc};

/// The calls of a tenant or of one end user. See [`crate::Compartment::calls`].
pub struct Calls<'a> {
    tenant: &'a Arc<Tenant>,
    reach: Reach,
}

/// What is known of a call. Never what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// Its id.
    pub id: CallId,
    /// When it was admitted.
    pub started: Timestamp,
    /// The id of the credential it was made with.
    pub credential: String,
    /// The end user, blinded under the tenant's key, in hexadecimal.
    pub subject: Option<String>,
    /// The end user's session, likewise.
    pub session: Option<String>,
    /// The route, such as `/v1/chat/completions`.
    pub route: String,
    /// The model, as the caller named it.
    pub model: String,
    /// The upstream it went to.
    pub upstream: String,
    /// The most it could have cost.
    pub reserved: Nanos,
    /// How it ended; `None` while it is under way.
    pub end: Option<CallEnd>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// When.
    pub at: Timestamp,
    /// In a word: `completed`, `client_gone`, `upstream_failed`, `cut_at_reservation`, `abandoned` or
    /// `recovered_after_crash`.
    pub outcome: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Input tokens that were billed, cached ones included.
    pub input_tokens: u64,
    /// The part of them that the upstream took from its cache.
    pub cached_input_tokens: u64,
    /// Output tokens that were billed.
    pub output_tokens: u64,
    /// What was charged.
    pub cost: Nanos,
    /// Where the counts come from: `measured`, `observed` or `bound`.
    pub basis: &'static str,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(tenant: &'a Arc<Tenant>, reach: Reach) -> Self {
        Self { tenant, reach }
    }

    /// One call; `None` where this handle reaches none with that id, whether another reaches one or not.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn get(&self, id: &CallId) -> Result<Option<CallFacts>, Refused> {
        let id = *id;
        let row = self.tenant.read(move |tables| tables.call(&id)).await?;
        Ok(row
            .filter(|row| self.reaches(row.subject.as_ref()))
            .map(CallFacts::from))
    }

    fn reaches(&self, subject: Option<&[u8; 16]>) -> bool {
        match &self.reach {
            Reach::Whole => true,
            Reach::Subject(own) => subject == Some(own),
        }
    }
}

impl fmt::Debug for Calls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

impl From<store::calls::CallRow> for CallFacts {
    fn from(row: store::calls::CallRow) -> Self {
        Self {
            id: row.id,
            started: row.started,
            credential: row.credential,
            subject: row.subject.map(hex::encode),
            session: row.session.map(hex::encode),
            route: row.route,
            model: row.model,
            upstream: row.upstream,
            reserved: money(row.reserved),
            end: row.end.map(CallEnd::from),
        }
    }
}

impl From<store::calls::CallEnd> for CallEnd {
    fn from(end: store::calls::CallEnd) -> Self {
        Self {
            at: end.at,
            outcome: match end.outcome {
                Outcome::Completed => "completed",
                Outcome::ClientGone => "client_gone",
                Outcome::UpstreamFailed => "upstream_failed",
                Outcome::CutAtReservation => "cut_at_reservation",
                Outcome::Abandoned => "abandoned",
                Outcome::RecoveredAfterCrash => "recovered_after_crash",
            },
            status: end.status,
            input_tokens: end.input,
            cached_input_tokens: end.cached_input,
            output_tokens: end.output,
            cost: money(end.cost),
            basis: match end.basis {
                Basis::Measured => "measured",
                Basis::Observed => "observed",
                Basis::Bound => "bound",
            },
        }
    }
}

fn money(nanos: u64) -> Nanos {
    Nanos::new(nanos).unwrap_or(Nanos::MAX)
}
