//! What one write does: rows, and the records of the journal that say so, together or not at all.

use std::cell::RefCell;
use std::ops::Deref;

use evidence::{Record, RecordKind};
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
        let edge = &mut *self.edge.borrow_mut();
        let time = edge.last.map_or(now, |last| last.max(now));
        let seq = edge.frontier.size();
        let body = Record::new(seq, time, kind).canonical();
        let hashes = edge.frontier.append(evidence::leaf_hash(&body));
        edge.last = Some(time);
        records::insert(self.connection, seq, &body, &hashes)?;
        Ok(seq)
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
