//! A write that waits for its turn, without its type.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::StoreError;
use super::ticket::{Reply, Tell, Ticket, ticket};
use super::transaction::Transaction;

/// A write.
pub(crate) trait Write: Send {
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
