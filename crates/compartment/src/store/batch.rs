//! Many calls in one transaction: each a row, and one sum for all that are alike.

use std::collections::HashMap;

use evidence::RecordKind;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use policy::{Nanos, Scope, Spend, Window};

use super::StoreError;
use super::calls::{self, CallEnd, CallRow};
use super::entry::Entry;
use super::records::NewRecord;
use super::tables::Tables;
use super::usage::UsageSum;
use crate::id::CallId;

/// Rows that are gathered before they are written.
#[derive(Default)]
pub(crate) struct Batch {
    begun: HashMap<CallId, CallRow>,
    /// How calls ended that are in the store already.
    ended: HashMap<CallId, CallEnd>,
    sums: HashMap<Alike, Sums>,
}

/// Calls that add to the same sums.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    credential: String,
    model: String,
    subject: Option<[u8; 16]>,
    /// The days that it began and ended on, in UTC.
    began: Date,
    ended: Date,
}

struct Sums {
    started: Timestamp,
    calls: u64,
    input: u64,
    cached_input: u64,
    output: u64,
    cost: Nanos,
}

/// Brings what calls noted into the store, inside a transaction.
///
/// # Errors
///
/// Faults of the store; the transaction is to be rolled back.
pub(super) fn bring(tables: &dyn Tables, entries: &[Entry]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    let records: Vec<_> = entries
        .iter()
        .map(|entry| NewRecord {
            seq: entry.record.seq(),
            body: &entry.body,
            hashes: &entry.hashes,
        })
        .collect();
    tables.insert_records(&records)?;
    for entry in entries {
        let record = &entry.record;
        match (record.kind(), &entry.begun) {
            (RecordKind::CallIntent(intent), Some(begun)) => {
                batch.begin(CallRow::begun(intent, begun)?);
            }
            (RecordKind::CallSettled(settled), _) => {
                let end = CallEnd::of(settled, record.time());
                batch.settle(calls::id(&settled.call)?, end);
            }
            _ => {}
        }
    }
    batch.write(tables)
}

impl Batch {
    fn begin(&mut self, row: CallRow) {
        self.begun.insert(row.id, row);
    }

    /// Settles a call of this batch or of the store, if it is open: a call is settled once, and what it used counts once.
    pub(crate) fn settle(&mut self, id: CallId, end: CallEnd) {
        match self.begun.get_mut(&id) {
            Some(row) if row.end.is_none() => {
                add(&mut self.sums, row, &end);
                row.end = Some(end);
            }
            Some(_) => {}
            None => {
                self.ended.entry(id).or_insert(end);
            }
        }
    }

    /// Writes the rows and the sums.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn write(mut self, tables: &dyn Tables) -> Result<(), StoreError> {
        let ended: Vec<_> = self.ended.into_iter().collect();
        if !ended.is_empty() {
            for row in tables.settle_calls(&ended)? {
                if let Some(end) = &row.end {
                    add(&mut self.sums, &row, end);
                }
            }
        }
        if !self.begun.is_empty() {
            let begun: Vec<_> = self.begun.into_values().collect();
            tables.insert_calls(&begun)?;
        }
        if self.sums.is_empty() {
            return Ok(());
        }
        let mut spent: HashMap<(Scope, Window), Nanos> = HashMap::new();
        for spend in self
            .sums
            .iter()
            .flat_map(|(alike, sums)| spends(alike, sums))
        {
            let sum = spent
                .entry((spend.scope, spend.window))
                .or_insert(Nanos::ZERO);
            *sum = sum.saturating_add(spend.amount);
        }
        let spent: Vec<_> = spent
            .into_iter()
            .map(|((scope, window), amount)| Spend {
                scope,
                window,
                amount,
            })
            .collect();
        tables.add_spends(&spent)?;
        tables.add_usage(&usage(self.sums))
    }
}

/// Sums of usage say nothing of subjects, nor of when calls began.
fn usage(sums: HashMap<Alike, Sums>) -> Vec<UsageSum> {
    let mut used: HashMap<(Date, String, String), UsageSum> = HashMap::new();
    for (alike, sums) in sums {
        let place = (alike.ended, alike.credential, alike.model);
        let sum = used.entry(place.clone()).or_insert(UsageSum {
            day: place.0,
            credential: place.1,
            model: place.2,
            calls: 0,
            input: 0,
            cached_input: 0,
            output: 0,
            cost: 0,
        });
        sum.calls = sum.calls.saturating_add(sums.calls);
        sum.input = sum.input.saturating_add(sums.input);
        sum.cached_input = sum.cached_input.saturating_add(sums.cached_input);
        sum.output = sum.output.saturating_add(sums.output);
        sum.cost = sum.cost.saturating_add(sums.cost.get());
    }
    used.into_values().collect()
}

fn add(sums: &mut HashMap<Alike, Sums>, row: &CallRow, end: &CallEnd) {
    let day = |time| Offset::UTC.to_datetime(time).date();
    let alike = Alike {
        credential: row.credential.clone(),
        model: row.model.clone(),
        subject: row.subject,
        began: day(row.started),
        ended: day(end.at),
    };
    let sums = sums.entry(alike).or_insert(Sums {
        started: row.started,
        calls: 0,
        input: 0,
        cached_input: 0,
        output: 0,
        cost: Nanos::ZERO,
    });
    let cost = Nanos::new(end.cost).unwrap_or(Nanos::MAX);
    sums.calls = sums.calls.saturating_add(1);
    sums.input = sums.input.saturating_add(end.input);
    sums.cached_input = sums.cached_input.saturating_add(end.cached_input);
    sums.output = sums.output.saturating_add(end.output);
    // too much is the safe side: budgets then are used up
    sums.cost = sums.cost.saturating_add(cost);
}

/// The same sums that a settlement by [`policy::Book`] adds to: every scope of the calls, in the windows they began in.
fn spends(alike: &Alike, sums: &Sums) -> Vec<Spend> {
    let subject = alike
        .subject
        .map(|subject| Scope::Subject(hex::encode(subject).into()));
    let key = Scope::Key(alike.credential.as_str().into());
    let model = Scope::Model(alike.model.as_str().into());
    [Some(Scope::Tenant), Some(key), subject, Some(model)]
        .into_iter()
        .flatten()
        .flat_map(|scope| {
            Window::all_at(sums.started).map(|window| Spend {
                scope: scope.clone(),
                window,
                amount: sums.cost,
            })
        })
        .collect()
}
