//! What one write does: rows, and the records of the journal that say so, together or not at all.

use std::cell::RefCell;
use std::ops::Deref;

use evidence::{Record, RecordKind};
use jiff::Timestamp;

use super::StoreError;
use super::edge::Edge;
use super::records::{NewRecord, StoredRecord};
use super::tables::Tables;

/// An open transaction of one tenant. It reads like its tables.
pub(crate) struct Transaction<'a> {
    tables: &'a dyn Tables,
    edge: &'a RefCell<Edge>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(tables: &'a dyn Tables, edge: &'a RefCell<Edge>) -> Self {
        Self { tables, edge }
    }

    /// Appends a record to the journal; gives its number.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn append(&self, kind: RecordKind, now: Timestamp) -> Result<u64, StoreError> {
        let (record, body, hashes) = self.edge.borrow_mut().append(kind, now);
        self.tables.insert_records(&[NewRecord {
            seq: record.seq(),
            body: &body,
            hashes: &hashes,
        }])?;
        Ok(record.seq())
    }

    /// Appends records that another store had, with the times that they have there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where one has another number, time or form here; faults of the store.
    pub(crate) fn append_again(&self, records: &[StoredRecord]) -> Result<(), StoreError> {
        let mut edge = self.edge.borrow_mut();
        let mut again = Vec::with_capacity(records.len());
        for stored in records {
            let there = Record::parse(&stored.body)?;
            let time = there.time();
            let (record, body, hashes) = edge.append(there.into_kind(), time);
            if body != stored.body || hashes != stored.hashes {
                return Err(StoreError::Corrupt(format!(
                    "log: record {} is not what its place makes of it",
                    record.seq()
                )));
            }
            again.push((record.seq(), stored));
        }
        let again: Vec<_> = again
            .into_iter()
            .map(|(seq, stored)| NewRecord {
                seq,
                body: &stored.body,
                hashes: &stored.hashes,
            })
            .collect();
        self.tables.insert_records(&again)
    }

    /// The time of the journal's last record.
    pub(crate) fn last_time(&self) -> Option<Timestamp> {
        self.edge.borrow().last
    }

    /// Size and root of the journal as this transaction sees it.
    pub(crate) fn head(&self) -> (u64, evidence::log::Hash) {
        let edge = self.edge.borrow();
        (edge.frontier.size(), edge.frontier.root())
    }
}

impl<'a> Deref for Transaction<'a> {
    type Target = dyn Tables + 'a;

    fn deref(&self) -> &Self::Target {
        self.tables
    }
}
