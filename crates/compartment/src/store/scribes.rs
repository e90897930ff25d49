//! The threads that write. Writes of one tenant that wait together become one transaction and one sync.
//!
//! Each tenant has a queue; a tenant with work stands once in the line of the threads, and goes to its end after each
//! transaction, so that a busy tenant does not keep the others from the disk.
//!
//! A commit in WAL mode with `synchronous=NORMAL` has handed its pages to the operating system: it survives the death
//! of the process, and not a loss of power (SQLite, "Write-Ahead Logging", section 3.2, and the documentation of
//! `PRAGMA synchronous`). The sync of the `-wal` file that follows makes it durable. That is why a write gives two
//! answers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;
use super::ticket::{Stub, Ticket, ticket};
use super::transaction::{Edge, Transaction};

/// The most writes of one tenant that may wait.
const MOST_WAITING: usize = 16_384;
/// The most writes in one transaction: a bound for how long the first of them waits.
const MOST_AT_ONCE: usize = 256;

/// The threads. Dropping it ends them once the line is empty.
pub(crate) struct Scribes {
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<(VecDeque<Arc<Desk>>, bool)>,
    news: Condvar,
}

/// One tenant's place at the scribes': its queue, and what it is written with.
pub(super) struct Desk {
    line: Arc<Line>,
    queue: Mutex<Queue>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Queue {
    writes: VecDeque<Box<dyn Write>>,
    /// Whether the desk stands in the line or is being served.
    in_line: bool,
}

/// INVARIANT: `edge` is what the committed transactions of `connection` have made of the journal.
pub(super) struct Book {
    connection: Connection,
    wal: File,
    edge: RefCell<Edge>,
    poisoned: bool,
}

impl Scribes {
    /// Starts `threads` of them.
    ///
    /// # Errors
    ///
    /// What the system says of starting threads.
    pub(crate) fn start(threads: usize) -> Result<Self, StoreError> {
        let line = Arc::new(Line::default());
        let threads = (0..threads.max(1))
            .map(|n| {
                let line = Arc::clone(&line);
                std::thread::Builder::new().name(format!("scribe-{n}")).spawn(move || line.serve())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { line, threads })
    }

    pub(super) fn desk(&self, book: Book) -> Arc<Desk> {
        Arc::new(Desk { line: Arc::clone(&self.line), queue: Mutex::default(), book: Mutex::new(book) })
    }
}

impl Drop for Scribes {
    fn drop(&mut self) {
        self.line.waiting.lock().1 = true;
        self.line.news.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Line {
    fn serve(&self) {
        while let Some(desk) = self.next() {
            if desk.write() {
                self.enter(desk);
            }
        }
    }

    fn next(&self) -> Option<Arc<Desk>> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(desk) = waiting.0.pop_front() {
                return Some(desk);
            }
            if waiting.1 {
                return None;
            }
            self.news.wait(&mut waiting);
        }
    }

    fn enter(&self, desk: Arc<Desk>) {
        self.waiting.lock().0.push_back(desk);
        self.news.notify_one();
    }
}

impl Desk {
    /// Queues a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as many wait as may.
    pub(super) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Ticket<T>, StoreError> {
        let (stub, ticket) = ticket();
        let mut queue = self.queue.lock();
        if queue.writes.len() >= MOST_WAITING {
            return Err(StoreError::Busy);
        }
        queue.writes.push_back(Box::new(Pending { work: Some(work), result: None, stub }));
        if !std::mem::replace(&mut queue.in_line, true) {
            drop(queue);
            self.line.enter(Arc::clone(self));
        }
        Ok(ticket)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().writes.len()
    }

    /// Writes what waits; says whether more does.
    fn write(&self) -> bool {
        let writes: Vec<_> = {
            let queue = &mut *self.queue.lock();
            let some = queue.writes.len().min(MOST_AT_ONCE);
            queue.writes.drain(..some).collect()
        };
        self.book.lock().write(writes);
        let mut queue = self.queue.lock();
        queue.in_line = !queue.writes.is_empty();
        queue.in_line
    }
}

impl Book {
    pub(super) fn new(connection: Connection, wal: File, edge: Edge) -> Self {
        Self { connection, wal, edge: RefCell::new(edge), poisoned: false }
    }

    fn write(&mut self, writes: Vec<Box<dyn Write>>) {
        if self.poisoned {
            return writes.into_iter().for_each(|write| write.fail(&StoreError::Poisoned));
        }
        let before = self.edge.borrow().clone();
        let durable = match self.commit(writes) {
            Ok(done) => done.into_iter().map(|write| write.recorded()).collect::<Vec<_>>(),
            Err((error, undone)) => {
                self.edge.replace(before);
                if !self.connection.is_autocommit() {
                    // where even this fails, the next BEGIN does too, and says so
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                return undone.into_iter().for_each(|write| write.fail(&error));
            }
        };
        let synced = self.wal.sync_data().map_err(|_| StoreError::Poisoned);
        // After a failed sync the kernel may have dropped the pages and would call the next sync a success.
        self.poisoned = synced.is_err();
        for tell in durable {
            let _ = tell.send(synced.clone());
        }
    }

    #[expect(clippy::type_complexity, reason = "what was done, or why not and what was not")]
    fn commit(&self, writes: Vec<Box<dyn Write>>) -> Result<Vec<Box<dyn Write>>, (StoreError, Vec<Box<dyn Write>>)> {
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
trait Write: Send {
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError>;
    fn recorded(self: Box<Self>) -> oneshot::Sender<Result<(), StoreError>>;
    fn fail(self: Box<Self>, error: &StoreError);
}

struct Pending<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    stub: Stub<T>,
}

impl<T, F> Write for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let result = self.work.take().map_or(Err(StoreError::Closed), |work| work(transaction));
        let ran = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        ran
    }

    fn recorded(self: Box<Self>) -> oneshot::Sender<Result<(), StoreError>> {
        self.stub.recorded(self.result.unwrap_or(Err(StoreError::Closed)))
    }

    fn fail(self: Box<Self>, error: &StoreError) {
        self.stub.failed(error);
    }
}
