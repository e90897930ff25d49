//! The threads that write and the threads that sync.
//!
//! Each tenant has a [`Desk`]. One with work stands once in the line of the writing threads and goes to its end after
//! each transaction, so that a busy tenant does not keep the others from the disk. Once a transaction is committed, the
//! desk stands in the line of the syncing threads in the same way: writing goes on while the disk syncs, and one sync
//! makes everything durable that was committed before it.
//!
//! **Recorded.** A commit in WAL mode with `synchronous=NORMAL` has handed its pages to the operating system: it
//! survives the death of the process, and not a loss of power (SQLite, "Write-Ahead Logging", section 3.2, and the
//! documentation of `PRAGMA synchronous`).
//!
//! **Durable.** The sync of the `-wal` file that follows makes it so. Recovery reads the frames of that file up to the
//! last commit whose checksums add up ("WAL-mode File Format", section 4.4), and one sync covers every frame before
//! it. Where a checkpoint carries frames to the database in between, SQLite has synced the log before and the database
//! after, and only then writes over the log; so what was committed before our sync is on the disk after it, in one of
//! the two files. The log stays the same file for as long as a connection is open, and SQLite takes its locks on the
//! other two files, so that a descriptor of our own on this one disturbs none of them.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::book::Book;
use super::desk::Desk;
use super::log::CommitLog;
use super::pen::Pen;
use crate::id::TenantId;
use crate::store::StoreError;
use crate::store::line::Line;

/// The threads. Dropping it ends them once their lines are empty; what is submitted afterwards is refused.
pub(crate) struct Scribes {
    lines: Arc<Lines>,
    /// What calls note goes there first.
    log: Arc<CommitLog>,
    writing: Vec<JoinHandle<()>>,
    syncing: Vec<JoinHandle<()>>,
}

/// Where desks wait.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) writing: Line<Desk>,
    pub(super) syncing: Line<Desk>,
}

impl Scribes {
    /// Starts `threads` that write, and as many that sync; at least one of each.
    ///
    /// # Errors
    ///
    /// What the system says of starting threads.
    pub(crate) fn start(threads: usize, log: CommitLog) -> Result<Self, StoreError> {
        // dropped on an early return, it ends the threads that did start
        let mut scribes = Self {
            lines: Arc::default(),
            log: Arc::new(log),
            writing: Vec::new(),
            syncing: Vec::new(),
        };
        for n in 0..threads.max(1) {
            let lines = Arc::clone(&scribes.lines);
            let write = move || lines.writing.serve(Desk::write);
            scribes.writing.push(
                std::thread::Builder::new()
                    .name(format!("write-{n}"))
                    .spawn(write)?,
            );
            let lines = Arc::clone(&scribes.lines);
            let sync = move || lines.syncing.serve(Desk::sync);
            scribes.syncing.push(
                std::thread::Builder::new()
                    .name(format!("sync-{n}"))
                    .spawn(sync)?,
            );
        }
        Ok(scribes)
    }

    /// A desk for what `book` writes; `wal` is the `-wal` file of its connection.
    pub(super) fn desk(&self, tenant: TenantId, pen: Pen, book: Book, wal: File) -> Arc<Desk> {
        let (lines, log) = (Arc::clone(&self.lines), Arc::clone(&self.log));
        Arc::new(Desk::new(tenant, lines, log, pen, book, wal))
    }

    /// The commit log.
    pub(crate) fn log(&self) -> &CommitLog {
        &self.log
    }
}

impl Drop for Scribes {
    fn drop(&mut self) {
        // writing first: what is still written is still synced
        for (line, threads) in [
            (&self.lines.writing, &mut self.writing),
            (&self.lines.syncing, &mut self.syncing),
        ] {
            line.close();
            for thread in threads.drain(..) {
                let _ = thread.join();
            }
        }
    }
}
