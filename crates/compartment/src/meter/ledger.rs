//! How a call's end comes into the journal, and what was held back into the book.
//!
//! A permit may be dropped anywhere, outside a runtime too, so nothing here waits for anybody. The journal comes first:
//! what the book gives back can be held again only by a call whose intent stands after this settlement, in the same log,
//! so that no crash leaves the one without the other. A full disk delays a settlement and loses none: it stays in
//! memory until the disk takes it, and until then the disk takes no intent either.

use super::{Bill, Held};
use crate::{
    error::Refused,
    id::CallId,
    permit::{Ended, Outcome, Settled},
    store::Note,
    tenant::Tenant,
};
use evidence::{CallSettled, Commitment, Hits, Id, RecordKind};
use jiff::Timestamp;
use policy::Nanos;

/// What the journal calls an upstream that reported more than it was asked for.
const OVERRUN: &str = "meter/overrun";

/// How a call ended, ready to be recorded.
pub(crate) struct Settlement {
    pub(crate) call: CallId,
    pub(crate) outcome: Outcome,
    pub(crate) bill: Bill,
    pub(crate) answer: Option<Commitment>,
    pub(crate) at: Timestamp,
}

/// Ends a call. `noted` says whether its intent was; a call that was never noted ends without a record.
pub(crate) fn settle(home: &Tenant, held: Held, settlement: &Settlement, noted: bool) -> Settled {
    let charge = held.charge(settlement.bill.cost);
    let settled = Settled {
        tokens: settlement.bill.tokens,
        cost: charge.cost(),
    };
    if noted {
        match settlement.record(charge.cost()) {
            Ok(record) => home.note_last(
                Note {
                    record,
                    begun: None,
                },
                settlement.at,
            ),
            // INVARIANT: every name in it is one of ours. Were one not, the call would stay open in the store and be
            // settled at the bound by the next start.
            Err(_) => tracing::error!("a settlement names what is no id; its call stays open"),
        }
    }
    home.meter.settle(charge);
    settled
}

impl Settlement {
    fn outcome(&self) -> evidence::Outcome {
        match self.outcome.ended {
            Ended::Completed => evidence::Outcome::Completed,
            Ended::ClientGone => evidence::Outcome::ClientGone,
            Ended::CutAtReservation => evidence::Outcome::CutAtReservation,
            Ended::NotSent | Ended::UpstreamRefused | Ended::UpstreamFailed => {
                evidence::Outcome::UpstreamFailed
            }
            Ended::Abandoned => evidence::Outcome::Abandoned,
        }
    }

    fn record(&self, cost: Nanos) -> Result<RecordKind, Refused> {
        let id = |text: &str| Id::new(text).map_err(|_| Refused::Internal);
        let overrun = self.bill.overrun.then(|| id(OVERRUN)).transpose()?;
        Ok(RecordKind::CallSettled(CallSettled {
            call: id(&self.call.to_string())?,
            outcome: self.outcome(),
            status: self.outcome.status,
            input_tokens: self.bill.tokens.input,
            cached_input_tokens: self.bill.tokens.cached_input,
            output_tokens: self.bill.tokens.output,
            cost_nanos: cost.get(),
            measured: self.bill.basis,
            answer_commitment: self.answer,
            findings: Hits::new(overrun.map(|id| (id, 1))).map_err(|_| Refused::Internal)?,
        }))
    }
}
