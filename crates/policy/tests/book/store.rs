//! The store as a test sees it, and how to write times and amounts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use policy::{Charge, Missing, Nanos, Scope, Spend, Window};

/// The middle of an ordinary day.
pub const NOON: &str = "2026-11-24T12:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn money(text: &str) -> Nanos {
    text.parse().unwrap()
}

/// The store as the book's caller keeps it.
#[derive(Default)]
pub struct Store(pub BTreeMap<(Scope, Window), Nanos>);

impl Store {
    pub fn read(&self, missing: &Missing) -> Vec<Spend> {
        let rows = missing
            .windows()
            .iter()
            .filter_map(|key| Some((key, *self.0.get(key)?)));
        rows.map(|((scope, window), amount)| Spend {
            scope: scope.clone(),
            window: *window,
            amount,
        })
        .collect()
    }

    pub fn add(&mut self, charge: &Charge) {
        for spend in charge.spends() {
            let row = self.0.entry((spend.scope, spend.window)).or_default();
            *row = row.checked_add(spend.amount).unwrap();
        }
    }
}
