//! One tenant's place at the scribes': what waits to be written, and what waits to be synced.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use parking_lot::Mutex;

use super::StoreError;
use super::book::{Book, Write, pending};
use super::scribes::Lines;
use super::ticket::{Tell, Ticket};
use super::transaction::Transaction;

/// The most writes of one tenant that may wait.
const MOST_WAITING: usize = 16_384;
/// The most writes in one transaction: a bound for how long the first of them waits.
const MOST_AT_ONCE: usize = 256;

/// A tenant's queues, and what it is written with.
pub(super) struct Desk {
    lines: Arc<Lines>,
    queue: Mutex<Queue>,
    book: Mutex<Book>,
    unsynced: Mutex<Unsynced>,
}

#[derive(Default)]
struct Queue {
    writes: VecDeque<Box<dyn Write>>,
    /// Whether the desk stands in the line or is being served.
    in_line: bool,
}

struct Unsynced {
    wal: Arc<File>,
    tells: Vec<Tell>,
    /// Whether the desk stands in the line or is being served.
    in_line: bool,
    /// A sync failed. The kernel may have dropped the pages and would call the next sync a success, so there is no next
    /// one: only opening the file anew shows what is there.
    failed: bool,
}

impl Desk {
    pub(super) fn new(lines: Arc<Lines>, book: Book, wal: File) -> Self {
        let unsynced = Unsynced {
            wal: Arc::new(wal),
            tells: Vec::new(),
            in_line: false,
            failed: false,
        };
        Self {
            lines,
            queue: Mutex::default(),
            book: Mutex::new(book),
            unsynced: Mutex::new(unsynced),
        }
    }

    /// Queues a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as many wait as may, [`StoreError::Closed`] where nobody writes any more.
    pub(super) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Ticket<T>, StoreError> {
        let (write, ticket) = pending(work);
        let mut queue = self.queue.lock();
        if queue.writes.len() >= MOST_WAITING {
            return Err(StoreError::Busy);
        }
        // under the queue's lock, so that no other write can rely on a line that was not entered
        if !queue.in_line && !self.lines.writing.enter(self) {
            return Err(StoreError::Closed);
        }
        queue.in_line = true;
        queue.writes.push_back(write);
        Ok(ticket)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().writes.len()
    }

    /// Writes what waits; says whether more does.
    pub(super) fn write(self: &Arc<Self>) -> bool {
        let writes: Vec<_> = {
            let queue = &mut *self.queue.lock();
            let some = queue.writes.len().min(MOST_AT_ONCE);
            queue.writes.drain(..some).collect()
        };
        if self.unsynced.lock().failed {
            writes
                .into_iter()
                .for_each(|write| write.failed(&StoreError::Poisoned));
        } else {
            let tells = self.book.lock().write(writes);
            self.tell_when_synced(tells);
        }
        let mut queue = self.queue.lock();
        queue.in_line = !queue.writes.is_empty();
        queue.in_line
    }

    fn tell_when_synced(self: &Arc<Self>, tells: Vec<Tell>) {
        if tells.is_empty() {
            return;
        }
        let mut unsynced = self.unsynced.lock();
        if unsynced.failed {
            return tell(tells, &Err(StoreError::Poisoned));
        }
        // the syncing threads end after the writing ones, so there is always one that comes
        unsynced.in_line = unsynced.in_line || self.lines.syncing.enter(self);
        unsynced.tells.extend(tells);
    }

    /// Syncs what is written and says so; says whether more was written in the meantime.
    pub(super) fn sync(self: &Arc<Self>) -> bool {
        let (wal, tells) = {
            let mut unsynced = self.unsynced.lock();
            (
                Arc::clone(&unsynced.wal),
                std::mem::take(&mut unsynced.tells),
            )
        };
        let synced = wal.sync_data().map_err(|_| StoreError::Poisoned);
        let mut unsynced = self.unsynced.lock();
        unsynced.failed = synced.is_err();
        if unsynced.failed {
            let later = std::mem::take(&mut unsynced.tells);
            tell(later, &synced);
        }
        unsynced.in_line = !unsynced.tells.is_empty();
        let more = unsynced.in_line;
        drop(unsynced);
        tell(tells, &synced);
        more
    }

    /// Puts a file in the place of the `-wal` file, for a test of what happens when it cannot be synced.
    #[cfg(test)]
    pub(super) fn sync_instead(&self, file: File) {
        self.unsynced.lock().wal = Arc::new(file);
    }
}

fn tell(tells: Vec<Tell>, synced: &Result<(), StoreError>) {
    for tell in tells {
        // nobody may wait any longer, which is their right
        let _ = tell.send(synced.clone());
    }
}
