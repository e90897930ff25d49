//! Many calls in one transaction: each a row, and one sum for all that are alike.

use std::collections::HashMap;

use evidence::RecordKind;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use policy::{Nanos, Scope, Spend, Window};
use rusqlite::Connection;

use super::calls::{self, CallEnd, CallRow};
use super::entry::Entry;
use super::usage::UsageSum;
use super::{StoreError, records, spend, usage};
use crate::id::CallId;

/// Rows that are gathered before they are written.
#[derive(Default)]
pub(crate) struct Batch {
    begun: HashMap<CallId, CallRow>,
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

/// Brings what calls noted into the file, inside a transaction.
///
/// # Errors
///
/// Faults of the store; the transaction is to be rolled back.
pub(super) fn bring(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    for entry in entries {
        let record = &entry.record;
        records::insert(connection, record.seq(), &entry.body, &entry.hashes)?;
        match (record.kind(), &entry.begun) {
            (RecordKind::CallIntent(intent), Some(begun)) => {
                batch.begin(CallRow::begun(intent, begun)?);
            }
            (RecordKind::CallSettled(settled), _) => {
                let end = CallEnd::of(settled, record.time());
                batch.settle(connection, &calls::id(&settled.call)?, &end)?;
            }
            _ => {}
        }
    }
    batch.write(connection)
}

impl Batch {
    fn begin(&mut self, row: CallRow) {
        self.begun.insert(row.id, row);
    }

    /// Settles a call of this batch or of the file, if it is open: a call is settled once, and what it used counts once.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn settle(
        &mut self,
        connection: &Connection,
        id: &CallId,
        end: &CallEnd,
    ) -> Result<(), StoreError> {
        if let Some(row) = self.begun.get_mut(id) {
            if row.end.is_none() {
                row.end = Some(end.clone());
                add(&mut self.sums, row, end);
            }
        } else if calls::settle(connection, id, end)?
            && let Some(row) = calls::get(connection, id)?
        {
            add(&mut self.sums, &row, end);
        }
        Ok(())
    }

    /// Writes the rows and the sums.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn write(self, connection: &Connection) -> Result<(), StoreError> {
        for row in self.begun.values() {
            calls::insert(connection, row)?;
        }
        for (alike, sums) in self.sums {
            spend::add(connection, &spends(&alike, &sums))?;
            usage::add(
                connection,
                &UsageSum {
                    day: alike.ended,
                    credential: alike.credential,
                    model: alike.model,
                    calls: sums.calls,
                    input: sums.input,
                    cached_input: sums.cached_input,
                    output: sums.output,
                    cost: sums.cost.get(),
                },
            )?;
        }
        Ok(())
    }
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
