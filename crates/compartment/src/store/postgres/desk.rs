//! One tenant's place at the threads that write: what its calls noted and what waits to be written.
//!
//! Everything that waits together becomes one transaction: the calls' notes in one statement for each table, then the
//! writes, each in a savepoint of its own. The commit is synced by the server, so that recorded is durable here.
//!
//! The journal's edge is in memory, and the journal's row in the database is locked and compared with it before anything
//! is appended. A note gets its number only then, so that what could not be written is written later under another one.
//! Where the connection breaks during a commit, the row tells the next transaction whether it was committed: a root is the
//! root of those records and of no others.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use evidence::log::Hash;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::journal;
use super::open::{Database, Open, Purpose};
use crate::id::TenantId;
use crate::store::StoreError;
use crate::store::batch::bring;
use crate::store::edge::Edge;
use crate::store::entry::{Entry, Note};
use crate::store::line::Line;
use crate::store::ticket::{Noted, Tell};
use crate::store::transaction::Transaction;
use crate::store::write::Write;

/// The most writes of one tenant that may wait.
const MOST_WAITING: usize = 16_384;
/// The most writes in one transaction: a bound for how long the first of them waits.
const MOST_AT_ONCE: usize = 256;
/// With as many notes that are not recorded, no further call begins.
const MOST_NOTES: usize = 65_536;

/// A tenant's queues, and the edge of its journal.
pub(super) struct Desk {
    tenant: TenantId,
    database: Database,
    line: Arc<Line<Desk>>,
    queue: Mutex<Queue>,
    page: Mutex<Page>,
}

#[derive(Default)]
struct Queue {
    notes: VecDeque<Waiting>,
    writes: VecDeque<Box<dyn Write>>,
    /// How many notes are being written, or are in doubt.
    taken: usize,
    /// Whether the desk stands in the line or is being served.
    in_line: bool,
    /// What made the last transaction fail.
    failing: Option<StoreError>,
    /// Whether the journal grew since it was signed in a round.
    unsigned: bool,
}

struct Waiting {
    note: Note,
    at: Timestamp,
    /// Who is to be told; nobody, where it was told once that it is not recorded yet.
    tell: Option<Tell>,
}

struct Page {
    edge: Edge,
    /// A commit that may have been done or not: the edge if it was, the notes in it if it was not.
    doubt: Option<(Edge, Vec<Waiting>)>,
    /// Somebody else wrote to the journal. Only opening anew shows what is there.
    overtaken: bool,
}

impl Desk {
    pub(super) fn new(
        tenant: TenantId,
        database: Database,
        line: Arc<Line<Desk>>,
        edge: Edge,
    ) -> Arc<Self> {
        let queue = Queue {
            unsigned: true,
            ..Queue::default()
        };
        let page = Page {
            edge,
            doubt: None,
            overtaken: false,
        };
        Arc::new(Self {
            tenant,
            database,
            line,
            queue: Mutex::new(queue),
            page: Mutex::new(page),
        })
    }

    /// Notes that a call begins, or why it did not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as much waits as may; what made the last transaction fail, which is tried again.
    pub(super) fn note_first(
        self: &Arc<Self>,
        note: Note,
        now: Timestamp,
    ) -> Result<Noted, StoreError> {
        self.database.guard.serving()?;
        let queue = &mut *self.queue.lock();
        if let Some(error) = queue.failing.clone() {
            self.enter(queue);
            return Err(error);
        }
        if queue.waiting() >= MOST_NOTES {
            return Err(StoreError::Busy);
        }
        let (tell, told) = oneshot::channel();
        self.put_down(queue, note, now, Some(tell));
        Ok(Noted::in_transaction(told))
    }

    /// Notes how a call ended. There is room for that: it began.
    pub(super) fn note_last(self: &Arc<Self>, note: Note, now: Timestamp) {
        self.put_down(&mut self.queue.lock(), note, now, None);
    }

    fn put_down(
        self: &Arc<Self>,
        queue: &mut Queue,
        note: Note,
        at: Timestamp,
        tell: Option<Tell>,
    ) {
        queue.notes.push_back(Waiting { note, at, tell });
        queue.unsigned = true;
        self.enter(queue);
    }

    /// Says whether somebody will come.
    fn enter(self: &Arc<Self>, queue: &mut Queue) -> bool {
        queue.in_line = queue.in_line || self.line.enter(self);
        queue.in_line
    }

    /// Queues a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as many wait as may, [`StoreError::Closed`] where nobody writes any more.
    pub(super) fn submit(self: &Arc<Self>, write: Box<dyn Write>) -> Result<(), StoreError> {
        let queue = &mut *self.queue.lock();
        if queue.writes.len() >= MOST_WAITING {
            return Err(StoreError::Busy);
        }
        if !self.enter(queue) {
            return Err(StoreError::Closed);
        }
        queue.writes.push_back(write);
        Ok(())
    }

    pub(super) fn take_unsigned(&self) -> bool {
        std::mem::take(&mut self.queue.lock().unsigned)
    }

    pub(super) fn still_unsigned(&self) {
        self.queue.lock().unsigned = true;
    }

    /// Whether calls noted what is not committed yet.
    pub(super) fn has_notes(&self) -> bool {
        self.queue.lock().waiting() > 0
    }

    /// How many writes wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().writes.len()
    }

    /// How many notes wait although the database was asked.
    pub(super) fn unwritten(&self) -> usize {
        let queue = self.queue.lock();
        queue.failing.as_ref().map_or(0, |_| queue.waiting())
    }

    /// Writes what waits; says whether more does.
    pub(super) fn write(self: &Arc<Self>) -> bool {
        let page = &mut *self.page.lock();
        let (notes, writes) = {
            let queue = &mut *self.queue.lock();
            let some = queue.writes.len().min(MOST_AT_ONCE);
            let notes: Vec<_> = queue.notes.drain(..).collect();
            queue.taken = queue.taken.saturating_add(notes.len());
            (notes, queue.writes.drain(..some).collect())
        };
        let before = page.edge.frontier.size();
        let (left, failed) = self.attempt(page, notes, writes);
        let queue = &mut *self.queue.lock();
        queue.taken = page.doubt.as_ref().map_or(0, |(_, notes)| notes.len());
        for waiting in left.into_iter().rev() {
            queue.notes.push_front(waiting);
        }
        queue.unsigned = queue.unsigned || page.edge.frontier.size() > before;
        let stuck = failed.is_some();
        queue.failing = failed;
        // what failed is tried again when the next one comes, a round at the latest; whoever waits is answered now
        queue.in_line = !queue.writes.is_empty() || (!stuck && !queue.notes.is_empty());
        queue.in_line
    }

    /// One transaction. Gives the notes that are still to be written, and why they were not.
    fn attempt(
        &self,
        page: &mut Page,
        notes: Vec<Waiting>,
        writes: Vec<Box<dyn Write>>,
    ) -> (Vec<Waiting>, Option<StoreError>) {
        let mut notes = notes;
        let began = if page.overtaken {
            Err(StoreError::Overtaken)
        } else {
            self.begin(page, &mut notes)
        };
        let open = match began {
            Ok(open) => open,
            Err(error) => return (refused(notes, writes, &error), Some(error)),
        };
        let mut done = Vec::with_capacity(writes.len());
        let mut writes = writes.into_iter();
        let filled = self.fill(page, &open, &notes, &mut writes, &mut done);
        let committed = filled.and_then(|edge| match open.commit() {
            Ok(()) => Ok(edge),
            Err(StoreError::Unclear) => {
                page.doubt = Some((edge, Vec::new()));
                Err(StoreError::Unclear)
            }
            Err(error) => Err(error),
        });
        match committed {
            Ok(edge) => {
                page.edge = edge;
                notes.into_iter().for_each(|note| note.told(&Ok(())));
                for tell in done.into_iter().filter_map(Write::recorded) {
                    // nobody may wait any longer, which is their right
                    let _ = tell.send(Ok(()));
                }
                (Vec::new(), None)
            }
            Err(error) => {
                page.overtaken = error == StoreError::Overtaken;
                done.extend(writes);
                let mut left = refused(notes, done, &error);
                if let Some((_, kept)) = &mut page.doubt {
                    *kept = std::mem::take(&mut left);
                }
                (left, Some(error))
            }
        }
    }

    /// Begins a transaction, locks the journal and clears up what was in doubt.
    fn begin(&self, page: &mut Page, notes: &mut Vec<Waiting>) -> Result<Open, StoreError> {
        let open = self.database.begin(self.tenant, Purpose::Write)?;
        let stand = journal::lock(&open)?;
        if let Some((edge, kept)) = page.doubt.take() {
            if stand == standing(&edge) {
                page.edge = edge;
            } else {
                notes.splice(0..0, kept);
            }
        }
        if stand == standing(&page.edge) {
            Ok(open)
        } else {
            page.overtaken = true;
            Err(StoreError::Overtaken)
        }
    }

    /// Puts everything into the transaction; gives the journal's edge behind it.
    fn fill(
        &self,
        page: &Page,
        open: &Open,
        notes: &[Waiting],
        writes: &mut impl Iterator<Item = Box<dyn Write>>,
        done: &mut Vec<Box<dyn Write>>,
    ) -> Result<Edge, StoreError> {
        let mut edge = page.edge.clone();
        let entries: Vec<_> = notes.iter().map(|note| note.entry(&mut edge)).collect();
        if !entries.is_empty() {
            bring(open, &entries)?;
        }
        let edge = RefCell::new(edge);
        for mut write in writes {
            let ran = run(open, &mut *write, &edge);
            done.push(write);
            ran?;
        }
        let edge = edge.into_inner();
        journal::advance(open, &edge.frontier, self.database.guard.epoch())?;
        Ok(edge)
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        self.notes.len().saturating_add(self.taken)
    }
}

impl Waiting {
    fn entry(&self, edge: &mut Edge) -> Entry {
        let (record, body, hashes) = edge.append(self.note.record.clone(), self.at);
        Entry {
            record,
            begun: self.note.begun,
            body,
            hashes,
        }
    }

    fn told(mut self, what: &Result<(), StoreError>) {
        self.tell(what);
    }

    fn tell(&mut self, what: &Result<(), StoreError>) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(what.clone());
        }
    }
}

fn standing(edge: &Edge) -> (u64, Hash) {
    (edge.frontier.size(), edge.frontier.root())
}

/// Says to everybody that it is not recorded. Writes are over with that; notes stay, because what they say has happened.
fn refused(
    mut notes: Vec<Waiting>,
    writes: Vec<Box<dyn Write>>,
    error: &StoreError,
) -> Vec<Waiting> {
    writes.into_iter().for_each(|write| write.failed(error));
    for note in &mut notes {
        note.tell(&Err(error.clone()));
    }
    notes
}

/// Runs one write by itself: where it fails, the others of the transaction stand.
fn run(open: &Open, write: &mut dyn Write, edge: &RefCell<Edge>) -> Result<(), StoreError> {
    let before = edge.borrow().clone();
    open.run("SAVEPOINT one")?;
    match write.run(&Transaction::new(open, edge)) {
        Ok(()) => open.run("RELEASE one"),
        Err(_) => {
            edge.replace(before);
            // where the connection is gone, this says so, and the transaction with it
            open.run("ROLLBACK TO one; RELEASE one")
        }
    }
}
