//! Holds what a call may cost before it happens: rates, money and a slot in every scope it belongs to, or in none.

use super::rates::{Counted, Rates};
use crate::{
    error::Refused,
    permit::Ask,
    principal::{Models, Principal},
    store,
    tenant::Tenant,
};
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use policy::{
    Book, Charge, Decided, LimitSet, Limits, Missing, Nanos, Price, Question, RefusalCode,
    Reservation, ReserveAsk, Reserved, Scope, Task, TokenUse,
};
use std::sync::Arc;

/// How many scopes without calls in flight one tenant's book keeps in memory.
const IDLE_SCOPES: usize = 4096;

/// How often the store is asked for spends before a call is refused. Each time only what was forgotten or began a new
/// window in between is missing, so a second time is rare.
const LOADS: usize = 8;

/// The limits of one tenant: the operator's, the steward's, and the tighter of the two everywhere.
#[derive(Default)]
pub(crate) struct Tiers {
    pub(crate) operator: LimitSet,
    pub(crate) steward: LimitSet,
    effective: LimitSet,
}

impl Tiers {
    pub(crate) fn new(operator: LimitSet, steward: LimitSet) -> Self {
        let effective = operator.tightened_by(&steward);
        Self {
            operator,
            steward,
            effective,
        }
    }

    pub(crate) fn effective(&self) -> &LimitSet {
        &self.effective
    }
}

/// Rates, money and slots of one tenant.
pub(crate) struct Meter {
    limits: RwLock<Arc<Tiers>>,
    counts: Mutex<Counts>,
}

struct Counts {
    rates: Rates,
    book: Book,
}

/// What is held for one call.
pub(crate) struct Held {
    reservation: Reservation,
    price: Option<Price>,
    choices: u32,
}

impl Held {
    /// The most output tokens of each choice.
    pub(crate) fn max_output(&self) -> u32 {
        self.reservation.output_tokens()
    }

    pub(crate) fn choices(&self) -> u32 {
        self.choices
    }

    /// The most tokens the call can be billed for, on the dear side of every cache.
    pub(crate) fn bound(&self) -> TokenUse {
        TokenUse {
            input: self.reservation.input_tokens(),
            cached_input: 0,
            cache_written: self.reservation.input_tokens(),
            output: u64::from(self.max_output()) * u64::from(self.choices),
        }
    }

    /// What is reserved.
    pub(crate) fn cost(&self) -> Nanos {
        self.reservation.cost()
    }

    pub(crate) fn price_of(&self, tokens: TokenUse) -> Nanos {
        match self.price {
            Some(price) => price.cost(tokens).unwrap_or(Nanos::MAX),
            None => Nanos::ZERO,
        }
    }

    pub(crate) fn charge(self, cost: Nanos) -> Charge {
        self.reservation.charge(cost)
    }
}

impl Meter {
    pub(crate) fn new(tiers: Tiers) -> Self {
        Self {
            limits: RwLock::new(Arc::new(tiers)),
            counts: Mutex::new(Counts {
                rates: Rates::new(),
                book: Book::new(IDLE_SCOPES),
            }),
        }
    }

    pub(crate) fn tiers(&self) -> Arc<Tiers> {
        Arc::clone(&self.limits.read())
    }

    /// Limits hold from the next call on. What was spent before counts against the new ones.
    pub(crate) fn change(&self, tiers: Tiers) {
        *self.limits.write() = Arc::new(tiers);
    }

    /// Decides, then takes from the rates, then holds money and a slot.
    pub(crate) async fn hold(
        &self,
        home: &Tenant,
        who: &Principal,
        ask: &Ask<'_>,
        now: Timestamp,
    ) -> Result<Held, Refused> {
        let decided = decide(who, ask)?;
        let limits = self.scopes(who, ask);
        let choices = ask.facts.choices.max(1);
        let wanted = fitting_output(&decided, &limits, ask, choices);
        self.counts
            .lock()
            .rates
            .take(Counted::Requests, &limits, 1, now)?;
        let asked = ReserveAsk {
            limits: &limits,
            price: decided.price,
            input_token_bound: ask.facts.input_token_bound,
            wanted_output: wanted,
            choices,
        };
        for _ in 0..LOADS {
            match self.reserve(&asked, ask, now)? {
                Reserved::Granted(reservation) => {
                    return Ok(Held {
                        reservation,
                        price: decided.price,
                        choices,
                    });
                }
                Reserved::NotLoaded(missing) => self.load(home, missing).await?,
            }
        }
        Err(Refused::Overloaded)
    }

    /// Takes one request from the rates of tenant and credential, for what is no call and costs a record all the same.
    pub(crate) fn take_request(&self, who: &Principal, now: Timestamp) -> Result<(), Refused> {
        let mut limits = self
            .limits
            .read()
            .effective
            .effective(Some(&who.credential()), None, "");
        limits.retain(|(scope, _)| !matches!(scope, Scope::Model(_)));
        Ok(self
            .counts
            .lock()
            .rates
            .take(Counted::Requests, &limits, 1, now)?)
    }

    /// Money, slot and tokens under one lock: nobody sees one without the others.
    fn reserve(
        &self,
        asked: &ReserveAsk<'_>,
        ask: &Ask<'_>,
        now: Timestamp,
    ) -> Result<Reserved, Refused> {
        let counts = &mut *self.counts.lock();
        let reserved = counts.book.reserve(now, asked)?;
        let Reserved::Granted(reservation) = reserved else {
            return Ok(reserved);
        };
        let output = u64::from(reservation.output_tokens()) * u64::from(asked.choices);
        let tokens = rated_input(ask).saturating_add(output);
        match counts
            .rates
            .take(Counted::Tokens, asked.limits, tokens, now)
        {
            Ok(()) => Ok(Reserved::Granted(reservation)),
            Err(refusal) => {
                counts.book.cancel(reservation);
                Err(refusal.into())
            }
        }
    }

    async fn load(&self, home: &Tenant, missing: Missing) -> Result<(), Refused> {
        let windows = missing.windows().to_vec();
        let spends = home
            .read(move |tables| store::spends(tables, &windows))
            .await?;
        self.counts.lock().book.load(missing, &spends);
        Ok(())
    }

    /// To be called once the journal has the charge.
    pub(crate) fn settle(&self, charge: Charge) {
        for crossed in self.counts.lock().book.settle(charge) {
            tracing::info!(
                scope = crossed.scope.kind(),
                window = crossed.window.kind(),
                percent = crossed.percent,
                "a tenant crossed a soft threshold of a money limit"
            );
        }
    }

    fn scopes(&self, who: &Principal, ask: &Ask<'_>) -> Vec<(Scope, Limits)> {
        let subject = who.subject.map(|subject| hex::encode(subject.stored));
        self.limits.read().effective.effective(
            Some(&who.credential()),
            subject.as_deref(),
            ask.facts.model,
        )
    }
}

fn decide(who: &Principal, ask: &Ask<'_>) -> Result<Decided, Refused> {
    let list = match &who.models {
        Models::All => None,
        Models::Only(list) => Some(&**list),
    };
    let question = Question {
        rights: who.scopes,
        allow_lists: list.as_slice(),
        model: ask.facts.model,
        offered: ask.offered,
        task: ask.route.task(),
        choices: ask.facts.choices,
        wanted_output: ask.facts.max_output,
    };
    question.decide().map_err(|refusal| match refusal.code {
        RefusalCode::ModelNotFound => Refused::ModelNotFound,
        _ => refusal.into(),
    })
}

/// The input as rates count it: a token is four bytes, and the bound counts bytes.
fn rated_input(ask: &Ask<'_>) -> u64 {
    ask.facts.input_token_bound.div_ceil(4)
}

/// The wanted output, and no more than a full minute of tokens allows. At least one token where there is output at
/// all: the rate then refuses with its own words.
fn fitting_output(
    decided: &Decided,
    limits: &[(Scope, Limits)],
    ask: &Ask<'_>,
    choices: u32,
) -> u32 {
    let least = match ask.route.task() {
        Task::Text => 1,
        Task::Embedding => 0,
    };
    let widest = Rates::widest_output(limits, rated_input(ask), choices);
    decided.wanted_output.min(widest.max(least))
}
