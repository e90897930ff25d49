//! What one write does: rows, and the records of the journal that say so, together or not at all.

use std::cell::RefCell;
use std::ops::Deref;

use evidence::RecordKind;
use jiff::Timestamp;

use super::StoreError;
use super::edge::Edge;
use super::records::NewRecord;
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
