//! Brings settlements into the store, and only then gives back what was held.
//!
//! A permit may be dropped anywhere, outside a runtime too, so ending one only hands its settlement over. One thread of
//! the house takes it from there and tries until the store has it: a full disk delays a settlement and loses none. As
//! long as it waits, its money stays held.

use super::{Bill, Held};
use crate::{
    error::Refused,
    id::CallId,
    permit::{Ended, Outcome, Settled},
    store::{self, calls::CallEnd},
    tenant::Tenant,
};
use evidence::{CallSettled, Commitment, Hits, Id, RecordKind};
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use policy::{Charge, Nanos, Spend};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{
    Notify,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// How long to wait before a settlement is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// What the journal calls an upstream that reported more than it was asked for.
const OVERRUN: &str = "meter/overrun";

/// How a call ended, ready to be recorded.
#[derive(Clone)]
pub(crate) struct Settlement {
    pub(crate) call: CallId,
    pub(crate) outcome: Outcome,
    pub(crate) bill: Bill,
    pub(crate) answer: Option<Commitment>,
    pub(crate) at: Timestamp,
}

/// The way to the thread that settles. Cloned into every tenant.
#[derive(Clone)]
pub(crate) struct Ledger {
    handed_over: UnboundedSender<Pending>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    count: AtomicUsize,
    fewer: Notify,
}

struct Pending {
    home: Arc<Tenant>,
    charge: Charge,
    settlement: Settlement,
}

impl Ledger {
    /// Starts the thread. It ends when the last ledger is gone and everything is settled.
    pub(crate) fn start() -> io::Result<Self> {
        let (handed_over, taken) = unbounded_channel();
        let waiting = Arc::new(Waiting::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let counted = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("settler".to_owned())
            .spawn(move || runtime.block_on(run(taken, &counted)))?;
        Ok(Self {
            handed_over,
            waiting,
        })
    }

    /// Hands a call over to be settled. Never blocks. There are never more of these than there were permits at once.
    pub(crate) fn settle(&self, home: &Arc<Tenant>, held: Held, settlement: Settlement) -> Settled {
        let charge = held.charge(settlement.bill.cost);
        let settled = Settled {
            tokens: settlement.bill.tokens,
            cost: charge.cost(),
        };
        self.waiting.count.fetch_add(1, Ordering::AcqRel);
        let pending = Pending {
            home: Arc::clone(home),
            charge,
            settlement,
        };
        if self.handed_over.send(pending).is_err() {
            // INVARIANT: the thread takes as long as there is a ledger. Were it gone, the call would stay open in the
            // store and be settled at the bound by the next start.
            tracing::error!("the settling thread is gone; a call stays open until the next start");
        }
        settled
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.count.load(Ordering::Acquire)
    }

    /// Waits until everything handed over so far, and what comes meanwhile, is in the store.
    pub(crate) async fn settled(&self) {
        loop {
            let fewer = self.waiting.fewer.notified();
            if self.waiting() == 0 {
                return;
            }
            fewer.await;
        }
    }
}

async fn run(mut taken: UnboundedReceiver<Pending>, waiting: &Waiting) {
    let mut settling = FuturesUnordered::new();
    loop {
        tokio::select! {
            pending = taken.recv() => match pending {
                Some(pending) => settling.push(settle(pending)),
                None => break,
            },
            Some(()) = settling.next() => done(waiting),
        }
    }
    while settling.next().await.is_some() {
        done(waiting);
    }
}

fn done(waiting: &Waiting) {
    waiting.count.fetch_sub(1, Ordering::AcqRel);
    waiting.fewer.notify_waiters();
}

/// INVARIANT: the book hears of a settlement after the store has it; what the book forgets it reads there again.
async fn settle(pending: Pending) {
    let Pending {
        home,
        charge,
        settlement,
    } = pending;
    let spends = charge.spends();
    while let Err(refused) = record(&home, &settlement, charge.cost(), &spends).await {
        if home.is_poisoned() {
            // It takes no more writes. The call stays open in the store and is settled at the bound when the tenant is
            // opened anew, which it is as soon as nobody holds it.
            return;
        }
        tracing::warn!(
            code = refused.code(),
            "a settlement could not be recorded; it is tried again"
        );
        tokio::time::sleep(RETRY).await;
    }
    home.meter.settle(charge);
}

/// Settles the call if it is open in the store. It is not where the intent never came that far, or where an earlier try
/// did and its answer was lost.
async fn record(
    home: &Tenant,
    settlement: &Settlement,
    cost: Nanos,
    spends: &[Spend],
) -> Result<(), Refused> {
    let (id, end, record) = (
        settlement.call,
        settlement.end(cost),
        settlement.record(cost)?,
    );
    let (spends, at) = (spends.to_vec(), settlement.at);
    let ticket = home.submit(move |transaction| {
        if store::calls::settle(transaction, &id, &end)? {
            store::spend::add(transaction, &spends)?;
            transaction.append(record, at)?;
        }
        Ok(())
    });
    match ticket {
        Ok(mut ticket) => ticket.recorded().await.map_err(|error| home.fault(error)),
        Err(error) => Err(home.fault(error)),
    }
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

    fn end(&self, cost: Nanos) -> CallEnd {
        CallEnd {
            at: self.at,
            outcome: self.outcome(),
            basis: self.bill.basis,
            status: self.outcome.status,
            input: self.bill.tokens.input,
            cached_input: self.bill.tokens.cached_input,
            output: self.bill.tokens.output,
            cost: cost.get(),
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
