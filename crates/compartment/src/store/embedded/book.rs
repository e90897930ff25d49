//! One tenant's writing connection. Writes that wait together become one transaction, and so does what calls noted.

use std::cell::RefCell;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::pen::Pen;
use crate::store::StoreError;
use crate::store::batch::bring;
use crate::store::edge::Edge;
use crate::store::entry::Entry;
use crate::store::ticket::Tell;
use crate::store::transaction::Transaction;
use crate::store::write::Write;

/// The connection.
pub(super) struct Book(Connection);

impl Book {
    pub(super) fn new(connection: Connection) -> Self {
        Self(connection)
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }

    /// Brings in what calls noted, commits `writes` and answers them, but for what is to be told once they are synced.
    pub(super) fn write(&mut self, pen: &Mutex<Pen>, writes: Vec<Box<dyn Write>>) -> Vec<Tell> {
        // calls go on noting meanwhile
        if let Err(error) = self.bring(pen) {
            writes.into_iter().for_each(|write| write.failed(&error));
            return Vec::new();
        }
        if writes.is_empty() {
            return Vec::new();
        }
        // From here on they wait: the records of the writes must not take numbers that a call has got, nor the other
        // way round, and only the commit says whether the writes keep theirs.
        let pen = &mut *pen.lock();
        let entries = pen.take();
        match self.commit(pen, &entries, writes) {
            Ok(done) => {
                pen.brought();
                done.into_iter().filter_map(Write::recorded).collect()
            }
            Err((error, undone)) => {
                self.roll_back();
                pen.put_back(entries);
                undone.into_iter().for_each(|write| write.failed(&error));
                Vec::new()
            }
        }
    }

    /// Brings in what calls noted so far.
    fn bring(&self, pen: &Mutex<Pen>) -> Result<(), StoreError> {
        let entries = pen.lock().take();
        if entries.is_empty() {
            return Ok(());
        }
        let brought = self
            .0
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(StoreError::from)
            .and_then(|()| bring(&self.0, &entries))
            .and_then(|()| Ok(self.0.execute_batch("COMMIT")?));
        match &brought {
            Ok(()) => pen.lock().brought(),
            Err(_) => {
                self.roll_back();
                pen.lock().put_back(entries);
            }
        }
        brought
    }

    fn roll_back(&self) {
        if !self.0.is_autocommit() {
            // where even this fails, the next BEGIN does too, and says so
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "what was done, or why not and what was not"
    )]
    fn commit(
        &self,
        pen: &mut Pen,
        entries: &[Entry],
        writes: Vec<Box<dyn Write>>,
    ) -> Result<Vec<Box<dyn Write>>, (StoreError, Vec<Box<dyn Write>>)> {
        let began = self
            .0
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(StoreError::from)
            .and_then(|()| bring(&self.0, entries));
        if let Err(error) = began {
            return Err((error, writes));
        }
        let edge = RefCell::new(pen.edge.clone());
        let mut done = Vec::with_capacity(writes.len());
        let mut writes = writes.into_iter();
        while let Some(mut write) = writes.next() {
            let ran = self.run(&mut *write, &edge);
            done.push(write);
            if let Err(error) = ran {
                done.extend(writes);
                return Err((error, done));
            }
        }
        match self.0.execute_batch("COMMIT") {
            Ok(()) => {
                let edge = edge.into_inner();
                if edge.frontier.size() > pen.edge.frontier.size() {
                    pen.committed();
                }
                pen.edge = edge;
                Ok(done)
            }
            Err(error) => Err((error.into(), done)),
        }
    }

    /// Runs one write by itself: where it fails, the others of the transaction stand.
    fn run(&self, write: &mut dyn Write, edge: &RefCell<Edge>) -> Result<(), StoreError> {
        let before = edge.borrow().clone();
        self.0.execute_batch("SAVEPOINT one")?;
        match write.run(&Transaction::new(&self.0, edge)) {
            Ok(()) => {}
            // a full disk or a failing one can end the whole transaction (SQLite, "BEGIN TRANSACTION", section 3)
            Err(error) if self.0.is_autocommit() => return Err(error),
            Err(_) => {
                edge.replace(before);
                self.0.execute_batch("ROLLBACK TO one")?;
            }
        }
        Ok(self.0.execute_batch("RELEASE one")?)
    }
}
