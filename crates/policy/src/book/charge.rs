//! What a call owes in the end.

use crate::{Nanos, Scope, Window};

use super::Reservation;

/// The parts of a money limit, in percent, whose crossing [`super::Book::settle`] reports.
pub const SOFT_THRESHOLDS: [u8; 3] = [50, 80, 100];

/// An amount to add to, or read from, one window of one scope in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Whose.
    pub scope: Scope,
    /// When.
    pub window: Window,
    /// How much.
    pub amount: Nanos,
}

/// A soft threshold that a settlement crossed. Reported once for each window, limit and threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// Whose limit.
    pub scope: Scope,
    /// In which window.
    pub window: Window,
    /// One of [`SOFT_THRESHOLDS`].
    pub percent: u8,
    /// The limit.
    pub limit: Nanos,
    /// What is now spent of it.
    pub spent: Nanos,
}

/// What a call owes: never more than it had reserved. Made by [`Reservation::charge`], ended by [`super::Book::settle`].
#[derive(Debug)]
#[must_use]
pub struct Charge {
    reservation: Reservation,
    cost: Nanos,
    overrun: Nanos,
}

impl Reservation {
    /// Charges what the call cost. A cost above the reservation is clamped to it, because the limits were checked
    /// for no more than that; the rest is the [`Charge::overrun`].
    pub fn charge(self, cost: Nanos) -> Charge {
        let charged = cost.min(self.cost);
        Charge {
            overrun: cost.saturating_sub(charged),
            cost: charged,
            reservation: self,
        }
    }
}

impl Charge {
    /// What is charged.
    pub fn cost(&self) -> Nanos {
        self.cost
    }

    /// What the call cost above its reservation. Zero, unless an upstream produced or reported more than it was asked
    /// for: worth a warning to the operator, who carries it.
    pub fn overrun(&self) -> Nanos {
        self.overrun
    }

    /// What the store is to add, in one transaction with the record of the settlement; empty where nothing is charged.
    pub fn spends(&self) -> Vec<Spend> {
        if self.cost == Nanos::ZERO {
            return Vec::new();
        }
        let scopes = self.reservation.limits.iter().map(|(scope, _)| scope);
        let each = scopes.flat_map(|scope| self.reservation.windows.map(|window| (scope, window)));
        each.map(|(scope, window)| Spend {
            scope: scope.clone(),
            window,
            amount: self.cost,
        })
        .collect()
    }

    pub(super) fn into_parts(self) -> (Reservation, Nanos) {
        (self.reservation, self.cost)
    }
}

/// Adds the thresholds of `limit` that lie above `before` and not above `after`.
pub(super) fn crossed(
    scope: &Scope,
    window: Window,
    limit: Option<Nanos>,
    before: Nanos,
    after: Nanos,
    found: &mut Vec<Threshold>,
) {
    let Some(limit) = limit else { return };
    let reached = |spent: Nanos, percent: u8| {
        u128::from(spent.get()) * 100 >= u128::from(limit.get()) * u128::from(percent)
    };
    for percent in SOFT_THRESHOLDS {
        if reached(after, percent) && !reached(before, percent) {
            found.push(Threshold {
                scope: scope.clone(),
                window,
                percent,
                limit,
                spent: after,
            });
        }
    }
}
