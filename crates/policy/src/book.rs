//! The money and the concurrency of one tenant: reserved before a call, settled after it.
//!
//! A reservation takes the dearest outcome of the call out of every money limit at once, so that whatever happens
//! next (a race, a disconnect, a crash, an upstream that says nothing about usage) can only give money back.
//!
//! **Windows.** A reservation counts against the day and the month it was made in, and is settled there: a call that
//! runs over midnight is yesterday's. Today starts whole, because yesterday's calls can no longer spend of it.
//!
//! **Memory.** The book holds what is in flight and about `capacity` scopes more. What it does not hold it asks for:
//! [`Reserved::NotLoaded`] names what the store must say first. So a tenant with a million end users costs no more
//! memory than one with a few, a new day is just a window that is not loaded yet, and a clock that steps back finds
//! the old window in the store again, with all that was spent in it.
//!
//! **The order that makes this safe.** [`Book::settle`] comes after the store has recorded [`Charge::spends`]. Until
//! then the reservation stands in for the spend; afterwards the store knows it. So whatever is not held here is in
//! the store, and a scope may be forgotten the moment nothing is in flight on it.

mod charge;
mod refuse;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::{Limits, Nanos, Price, Refusal, Scope, Window};

pub use charge::{Charge, SOFT_THRESHOLDS, Spend, Threshold};

/// What a call asks of the book.
#[derive(Debug, Clone)]
pub struct ReserveAsk<'a> {
    /// Every scope of the call, each once, with its limits: [`crate::LimitSet::effective`].
    pub limits: &'a [(Scope, Limits)],
    /// What the model costs; `None` where its route is declared free.
    pub price: Option<Price>,
    /// An upper bound of the input tokens.
    pub input_token_bound: u64,
    /// The most output tokens wanted of each choice. Zero where there is no output, such as embeddings; otherwise a
    /// call that cannot afford one token of each choice is refused.
    pub wanted_output: u32,
    /// How many choices the upstream is to produce; zero counts as one.
    pub choices: u32,
}

/// What the book says to a call that it does not refuse.
#[derive(Debug)]
#[must_use]
pub enum Reserved {
    /// Reserved: go on, and settle it.
    Granted(Reservation),
    /// The book must first be told what was spent: read it from the store, [`Book::load`] it, ask again.
    NotLoaded(Missing),
}

/// Windows of scopes whose spend the book does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Missing {
    windows: Vec<(Scope, Window)>,
    forgotten: u64,
}

impl Missing {
    /// What to read from the store; at most three windows for each scope of the call.
    pub fn windows(&self) -> &[(Scope, Window)] {
        &self.windows
    }
}

/// Money and a concurrency slot held for one call.
///
/// Not `Clone`: it is settled once. One that is dropped instead stays reserved for ever, which wastes money and
/// spends none.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    limits: Vec<(Scope, Limits)>,
    windows: [Window; 3],
    input_tokens: u64,
    output_tokens: u32,
    cost: Nanos,
}

impl Reservation {
    /// The input tokens that are paid for, whatever a cache does.
    pub fn input_tokens(&self) -> u64 {
        self.input_tokens
    }

    /// The output tokens of each choice that are paid for: the `max_tokens` to forward.
    pub fn output_tokens(&self) -> u32 {
        self.output_tokens
    }

    /// What is reserved: the most that this call can be charged.
    pub fn cost(&self) -> Nanos {
        self.cost
    }

    /// The day, month and total that it counts against.
    pub fn windows(&self) -> [Window; 3] {
        self.windows
    }
}

/// What stands against one window of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Settled.
    pub spent: Nanos,
    /// Held by calls in flight.
    pub reserved: Nanos,
}

#[derive(Debug, Default)]
struct Account {
    in_flight: u32,
    windows: BTreeMap<Window, Tally>,
}

/// The money and concurrency of one tenant; see the module's documentation for how it stays right.
#[derive(Debug)]
pub struct Book {
    accounts: HashMap<Scope, Account>,
    capacity: usize,
    /// The windows of the latest call; others are kept only while something is in flight in them.
    current: [Window; 3],
    /// How often something loaded was dropped. A [`Missing`] from before may lack what was settled in between.
    forgotten: u64,
}

impl Book {
    /// A book that knows no spend yet and keeps about `capacity` scopes that are not in use.
    pub fn new(capacity: usize) -> Book {
        Book {
            accounts: HashMap::new(),
            capacity,
            current: [Window::Total; 3],
            forgotten: 0,
        }
    }

    /// Reserves the dearest outcome of a call and a concurrency slot in all its scopes, or in none.
    ///
    /// The output is clamped so that the cost fits every money limit.
    ///
    /// # Errors
    /// A [`Refusal`] with code `concurrency_limit`, `insufficient_quota` or `request_too_expensive`.
    pub fn reserve(&mut self, now: Timestamp, ask: &ReserveAsk<'_>) -> Result<Reserved, Refusal> {
        let windows = Window::all_at(now);
        self.current = windows;
        let missing = self.missing(ask.limits, windows);
        if !missing.is_empty() {
            return Ok(Reserved::NotLoaded(Missing {
                windows: missing,
                forgotten: self.forgotten,
            }));
        }
        let affordable = self.affordable(now, windows, ask);
        if affordable.is_err() {
            self.forget_idle();
        }
        let (output_tokens, cost) = affordable?;
        for (scope, _) in ask.limits {
            let account = self.accounts.entry(scope.clone()).or_default();
            account.in_flight = account.in_flight.saturating_add(1);
            for window in windows {
                let tally = account.windows.entry(window).or_default();
                // INVARIANT: spent + reserved <= limit <= Nanos::MAX, checked above, so that this never saturates
                tally.reserved = tally.reserved.saturating_add(cost);
            }
        }
        Ok(Reserved::Granted(Reservation {
            limits: ask.limits.to_vec(),
            windows,
            input_tokens: ask.input_token_bound,
            output_tokens,
            cost,
        }))
    }

    /// Takes in what the store says was spent in the missing windows; a window without a [`Spend`] has none.
    ///
    /// Does nothing where the book knows better: where another call loaded the window first, or where something was
    /// forgotten since `missing` was made, because the store may have been read before the last settlement. The next
    /// [`Book::reserve`] then names what is still missing.
    pub fn load(&mut self, missing: Missing, spends: &[Spend]) {
        if missing.forgotten != self.forgotten {
            return;
        }
        for (scope, window) in missing.windows {
            let spent = spends
                .iter()
                .find(|spend| spend.scope == scope && spend.window == window);
            let spent = spent.map_or(Nanos::ZERO, |spend| spend.amount);
            let account = self.accounts.entry(scope).or_default();
            account.windows.entry(window).or_insert(Tally {
                spent,
                reserved: Nanos::ZERO,
            });
        }
    }

    /// Ends a call: what was reserved and not charged is free again, and so is its concurrency slot. Returns the soft
    /// thresholds that this charge crossed.
    ///
    /// Call it after the store has recorded [`Charge::spends`].
    pub fn settle(&mut self, charge: Charge) -> Vec<Threshold> {
        let mut crossed = Vec::new();
        let (reservation, cost) = charge.into_parts();
        for (scope, limits) in reservation.limits {
            let Some(account) = self.accounts.get_mut(&scope) else {
                continue;
            };
            account.in_flight = account.in_flight.saturating_sub(1);
            for window in reservation.windows {
                let tally = account.windows.entry(window).or_default();
                debug_assert!(
                    tally.reserved >= reservation.cost,
                    "a reservation of another book was settled"
                );
                let before = tally.spent;
                tally.reserved = tally.reserved.saturating_sub(reservation.cost);
                tally.spent = tally.spent.saturating_add(cost);
                charge::crossed(
                    &scope,
                    window,
                    limits.money(window),
                    before,
                    tally.spent,
                    &mut crossed,
                );
            }
            self.forgotten = self
                .forgotten
                .wrapping_add(account.forget_past(self.current));
        }
        self.forget_idle();
        crossed
    }

    /// Ends a call that was never made: nothing is charged. Needs no word from the store.
    pub fn cancel(&mut self, reservation: Reservation) {
        self.settle(reservation.charge(Nanos::ZERO));
    }

    /// What stands against a window of a scope; `None` where it is not loaded.
    pub fn tally(&self, scope: &Scope, window: Window) -> Option<Tally> {
        self.accounts.get(scope)?.windows.get(&window).copied()
    }

    /// The calls in flight on a scope.
    pub fn in_flight(&self, scope: &Scope) -> u32 {
        self.accounts
            .get(scope)
            .map_or(0, |account| account.in_flight)
    }

    /// How many scopes the book holds in memory.
    pub fn held(&self) -> usize {
        self.accounts.len()
    }

    fn missing(&self, limits: &[(Scope, Limits)], windows: [Window; 3]) -> Vec<(Scope, Window)> {
        let each = limits
            .iter()
            .flat_map(|(scope, _)| windows.map(|window| (scope, window)));
        each.filter(|(scope, window)| self.tally(scope, *window).is_none())
            .map(|(scope, window)| (scope.clone(), window))
            .collect()
    }

    /// The output of each choice and the cost that fit every limit; everything is loaded.
    fn affordable(
        &self,
        now: Timestamp,
        windows: [Window; 3],
        ask: &ReserveAsk<'_>,
    ) -> Result<(u32, Nanos), Refusal> {
        for (scope, limits) in ask.limits {
            if limits
                .concurrent_calls
                .is_some_and(|most| self.in_flight(scope) >= most.get())
            {
                return Err(refuse::concurrency(scope));
            }
        }
        let Some(price) = ask.price else {
            return Ok((ask.wanted_output, Nanos::ZERO));
        };
        let mut standings = Vec::with_capacity(ask.limits.len() * windows.len());
        for (scope, limits) in ask.limits {
            for window in windows {
                let limit = limits.money(window).unwrap_or(Nanos::MAX);
                let tally = self.tally(scope, window).unwrap_or_default();
                standings.push(refuse::Standing {
                    scope,
                    window,
                    limit,
                    tally,
                });
            }
        }
        let budget = standings
            .iter()
            .map(refuse::Standing::left)
            .min()
            .unwrap_or(Nanos::MAX);
        let bound = |each: u32| {
            price.bound(
                ask.input_token_bound,
                u64::from(each) * u64::from(ask.choices.max(1)),
            )
        };
        let least = ask.wanted_output.min(1);
        let output = price.affordable_output(
            budget,
            ask.input_token_bound,
            ask.wanted_output,
            ask.choices,
        );
        match output
            .filter(|each| *each >= least)
            .and_then(|each| Some((each, bound(each)?)))
        {
            Some(affordable) => Ok(affordable),
            None => Err(refuse::money(now, &standings, bound(least))),
        }
    }

    /// Drops everything that is not in use once there is too much of it: one walk for `capacity` new scopes.
    fn forget_idle(&mut self) {
        if self.accounts.len() > self.capacity {
            self.accounts.retain(|_, account| account.in_flight > 0);
            self.forgotten = self.forgotten.wrapping_add(1);
        }
    }
}

impl Account {
    /// Drops the windows other than `current` that no call in flight counts against; says how many.
    fn forget_past(&mut self, current: [Window; 3]) -> u64 {
        let held = self.windows.len();
        self.windows
            .retain(|window, tally| tally.reserved > Nanos::ZERO || current.contains(window));
        u64::try_from(held - self.windows.len()).unwrap_or(u64::MAX)
    }
}
