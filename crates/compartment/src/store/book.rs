//! One tenant's writing connection. Writes that wait together become one transaction.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use super::StoreError;
use super::edge::Edge;
use super::ticket::{Reply, Tell, Ticket, ticket};
use super::transaction::Transaction;

/// The connection, and the journal's edge beside it.
///
/// INVARIANT: `edge` is what the committed transactions of `connection` have made of the journal.
pub(super) struct Book {
    connection: Connection,
    edge: RefCell<Edge>,
}

impl Book {
    pub(super) fn new(connection: Connection, edge: Edge) -> Self {
        Self {
            connection,
            edge: RefCell::new(edge),
        }
    }

    /// Commits `writes` and answers them, but for what is to be told once they are synced.
    pub(super) fn write(&mut self, writes: Vec<Box<dyn Write>>) -> Vec<Tell> {
        let before = self.edge.borrow().clone();
        match self.commit(writes) {
            Ok(done) => done.into_iter().filter_map(Write::recorded).collect(),
            Err((error, undone)) => {
                self.edge.replace(before);
                if !self.connection.is_autocommit() {
                    // where even this fails, the next BEGIN does too, and says so
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                undone.into_iter().for_each(|write| write.failed(&error));
                Vec::new()
            }
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "what was done, or why not and what was not"
    )]
    fn commit(
        &self,
        writes: Vec<Box<dyn Write>>,
    ) -> Result<Vec<Box<dyn Write>>, (StoreError, Vec<Box<dyn Write>>)> {
        let mut done = Vec::with_capacity(writes.len());
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            return Err((error.into(), writes));
        }
        let mut writes = writes.into_iter();
        while let Some(mut write) = writes.next() {
            let ran = self.run(&mut *write);
            done.push(write);
            if let Err(error) = ran {
                done.extend(writes);
                return Err((error, done));
            }
        }
        match self.connection.execute_batch("COMMIT") {
            Ok(()) => Ok(done),
            Err(error) => Err((error.into(), done)),
        }
    }

    /// Runs one write by itself: where it fails, the others of the transaction stand.
    fn run(&self, write: &mut dyn Write) -> Result<(), StoreError> {
        let before = self.edge.borrow().clone();
        self.connection.execute_batch("SAVEPOINT one")?;
        match write.run(&Transaction::new(&self.connection, &self.edge)) {
            Ok(()) => {}
            // a full disk or a failing one can end the whole transaction (SQLite, "BEGIN TRANSACTION", section 3)
            Err(error) if self.connection.is_autocommit() => return Err(error),
            Err(_) => {
                self.edge.replace(before);
                self.connection.execute_batch("ROLLBACK TO one")?;
            }
        }
        Ok(self.connection.execute_batch("RELEASE one")?)
    }
}

/// A write without its type.
pub(super) trait Write: Send {
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError>;
    /// Answers it; gives what is to be told once it is synced, unless there is nothing of it to sync.
    fn recorded(self: Box<Self>) -> Option<Tell>;
    fn failed(self: Box<Self>, error: &StoreError);
}

struct Pending<T, F> {
    work: Option<F>,
    result: Result<T, StoreError>,
    reply: Reply<T>,
}

pub(super) fn pending<T: Send + 'static>(
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Box<dyn Write>, Ticket<T>) {
    let (reply, ticket) = ticket();
    (
        Box::new(Pending {
            work: Some(work),
            result: Err(StoreError::Closed),
            reply,
        }),
        ticket,
    )
}

impl<T, F> Write for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        // A panic must not take the thread, and with it every tenant's writes. What it left is rolled back like
        // that of any other write that fails, the edge included.
        let ran = catch_unwind(AssertUnwindSafe(|| work(transaction)));
        self.result =
            ran.unwrap_or_else(|_| Err(StoreError::Failed("a write panicked".to_owned())));
        self.result.as_ref().map(drop).map_err(Clone::clone)
    }

    fn recorded(self: Box<Self>) -> Option<Tell> {
        match self.result {
            Ok(value) => Some(self.reply.recorded(value)),
            Err(error) => {
                self.reply.failed(&error);
                None
            }
        }
    }

    fn failed(self: Box<Self>, error: &StoreError) {
        self.reply.failed(error);
    }
}
