//! What one write does: rows, and the records of the journal that say so, together or not at all.

use std::cell::RefCell;
use std::ops::Deref;

use evidence::RecordKind;
use jiff::Timestamp;
use rusqlite::Connection;

use super::edge::Edge;
use super::{StoreError, records};

/// An open transaction. It reads like a connection.
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    edge: &'a RefCell<Edge>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(connection: &'a Connection, edge: &'a RefCell<Edge>) -> Self {
        Self { connection, edge }
    }

    /// Appends a record to the journal; gives its number.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn append(&self, kind: RecordKind, now: Timestamp) -> Result<u64, StoreError> {
        let (record, body, hashes) = self.edge.borrow_mut().append(kind, now);
        records::insert(self.connection, record.seq(), &body, &hashes)?;
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

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
