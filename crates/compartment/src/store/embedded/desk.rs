//! One tenant's place at the scribes': what its calls noted, what waits to be written, and what waits to be synced.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::book::Book;
use super::log::{CommitLog, Left, Place};
use super::noted::InLog;
use super::pen::Pen;
use super::scribes::Lines;
use crate::id::TenantId;
use crate::store::StoreError;
use crate::store::entry::Note;
use crate::store::ticket::{Noted, Tell};
use crate::store::write::Write;

/// The most writes of one tenant that may wait.
const MOST_WAITING: usize = 16_384;
/// The most writes in one transaction: a bound for how long the first of them waits.
const MOST_AT_ONCE: usize = 256;
/// As many notes of calls are brought into the tenant's file at once, if nothing brings them there before.
const NOTES_AT_ONCE: usize = 1024;
/// With as many notes that do not stand in the tenant's file, no further call begins.
const MOST_NOTES: usize = 65_536;

/// A tenant's queues, and what it is written with.
pub(super) struct Desk {
    tenant: TenantId,
    lines: Arc<Lines>,
    log: Arc<CommitLog>,
    pen: Mutex<Pen>,
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
    pub(super) fn new(
        tenant: TenantId,
        lines: Arc<Lines>,
        log: Arc<CommitLog>,
        pen: Pen,
        book: Book,
        wal: File,
    ) -> Self {
        let unsynced = Unsynced {
            wal: Arc::new(wal),
            tells: Vec::new(),
            in_line: false,
            failed: false,
        };
        Self {
            tenant,
            lines,
            log,
            pen: Mutex::new(pen),
            queue: Mutex::default(),
            book: Mutex::new(book),
            unsynced: Mutex::new(unsynced),
        }
    }

    /// Notes that a call begins, or why it did not, if the journal has room for it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as much waits as may, [`StoreError::Poisoned`], or what keeps the commit log from being
    /// written. Nothing was noted.
    pub(super) fn note_first(
        self: &Arc<Self>,
        note: Note,
        now: Timestamp,
    ) -> Result<Noted, StoreError> {
        self.log.ready()?;
        if self.unsynced.lock().failed {
            return Err(StoreError::Poisoned);
        }
        if self.pen.lock().waiting() >= MOST_NOTES {
            return Err(StoreError::Busy);
        }
        let (place, behind) = self.put_down(note, now);
        let file = behind.then(|| self.told_when_synced());
        Ok(Noted::in_log(InLog::new(
            Arc::clone(&self.log),
            place,
            file,
        )))
    }

    /// Notes how a call ended. There is room for that: it began.
    pub(super) fn note_last(self: &Arc<Self>, note: Note, now: Timestamp) {
        let (place, _) = self.put_down(note, now);
        // what cannot be written now goes with the next write
        let _ = self.log.write(place);
    }

    /// Notes what an earlier process left, which the log has.
    pub(super) fn note_again(&self, left: Left) {
        let (note, time) = left.into_note();
        self.pen.lock().number(note, time, |_| ());
    }

    /// Says where in the log it stands, and whether the tenant's own file has to be synced for it too.
    fn put_down(self: &Arc<Self>, note: Note, now: Timestamp) -> (Place, bool) {
        let mut pen = self.pen.lock();
        let place = pen.number(note, now, |entry| self.log.append(self.tenant, entry));
        let behind = pen.is_behind();
        let many = pen.waiting().is_multiple_of(NOTES_AT_ONCE);
        drop(pen);
        if many {
            let mut queue = self.queue.lock();
            queue.in_line = queue.in_line || self.lines.writing.enter(self);
        }
        (place, behind)
    }

    pub(super) fn take_unsigned(&self) -> bool {
        std::mem::take(&mut self.pen.lock().unsigned)
    }

    pub(super) fn still_unsigned(&self) {
        self.pen.lock().unsigned = true;
    }

    /// Whether calls noted what does not stand in the file yet.
    pub(super) fn has_notes(&self) -> bool {
        self.pen.lock().waiting() > 0
    }

    /// Has the log keep what it has, if the file does not have it all. For the end of a desk.
    pub(super) fn leave(&self) {
        if self.has_notes() || self.unsynced.lock().failed {
            self.log.keep();
        }
    }

    fn told_when_synced(self: &Arc<Self>) -> oneshot::Receiver<Result<(), StoreError>> {
        let (tell, told) = oneshot::channel();
        self.tell_when_synced(vec![tell]);
        told
    }

    /// Queues a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as many wait as may, [`StoreError::Closed`] where nobody writes any more.
    pub(super) fn submit(self: &Arc<Self>, write: Box<dyn Write>) -> Result<(), StoreError> {
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
        Ok(())
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
            let tells = self.book.lock().write(&self.pen, writes);
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
        let commits = self.pen.lock().commits();
        let synced = wal.sync_data().map_err(|_| StoreError::Poisoned);
        if synced.is_ok() {
            self.pen.lock().synced(commits);
        }
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

    /// The connection that writes, for a test of what it does when there is no room.
    #[cfg(test)]
    pub(super) fn writer<T>(&self, work: impl FnOnce(&rusqlite::Connection) -> T) -> T {
        work(self.book.lock().connection())
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
