//! One tenant's file.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::book::Book;
use super::desk::Desk;
use super::edge::edge;
use super::entry::Note;
use super::pen::Pen;
use super::transaction::Transaction;
use super::{Noted, Scribes, StoreError, Ticket, connection, schema};
use crate::id::TenantId;

/// Marks the file as one of ours ("cofd"), for tools such as file(1).
const APPLICATION: i32 = 0x636f_6664;

/// The file's name in the tenant's folder.
const FILE: &str = "store.db";

/// An open tenant file: one connection that writes, at the scribes', and one that reads.
pub(crate) struct TenantDb {
    desk: Arc<Desk>,
    reader: Mutex<Connection>,
    /// Whose turn it is to read where it may block.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl TenantDb {
    /// Makes the file in `folder`, and that too. `first` is its first transaction.
    ///
    /// # Errors
    ///
    /// Faults of the disk. It may be tried again.
    pub(crate) fn create(
        folder: &Path,
        tenant: TenantId,
        scribes: &Scribes,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        connection::folder(folder)?;
        Self::start(&folder.join(FILE), tenant, scribes, |_| Ok(()), first)
    }

    /// Opens the file in `folder` and checks that the journal fits its tree and its newest checkpoint. `check` sees it
    /// before anything is written. Then what calls of an earlier process noted is brought in, and `first` runs, in a
    /// transaction of its own, before anything else.
    ///
    /// # Errors
    ///
    /// Faults of the disk; [`StoreError::Missing`] where there is no file, because an empty one in its place would have
    /// no spend and no journal; [`StoreError::Corrupt`] where records and tree do not fit each other.
    pub(crate) fn open(
        folder: &Path,
        tenant: TenantId,
        scribes: &Scribes,
        check: impl FnOnce(&Connection) -> Result<(), StoreError>,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let file = folder.join(FILE);
        if !file.try_exists()? {
            return Err(StoreError::Missing);
        }
        Self::start(&file, tenant, scribes, check, first)
    }

    fn start(
        file: &Path,
        tenant: TenantId,
        scribes: &Scribes,
        check: impl FnOnce(&Connection) -> Result<(), StoreError>,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let writer = connection::writer(file, schema::TENANT, "NORMAL")?;
        let edge = edge(&writer)?;
        check(&writer)?;
        // a write makes sure that the write-ahead log is there to be synced
        writer.pragma_update(None, "application_id", APPLICATION)?;
        let wal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(file.with_extension("db-wal"))?;
        let left = scribes.log().left(&tenant, edge.frontier.size());
        let desk = scribes.desk(tenant, Pen::new(edge), Book::new(writer), wal);
        for note in left {
            desk.note_again(note);
        }
        let db = Self {
            desk,
            reader: Mutex::new(connection::reader(file)?),
            turn: Arc::default(),
        };
        db.submit(first)?.wait()?;
        scribes.log().brought(&tenant);
        Ok(db)
    }

    /// Notes that a call begins, or why it did not. Not recorded before [`Noted::recorded`] says so.
    ///
    /// # Errors
    ///
    /// Why it cannot be noted just now; nothing was.
    pub(crate) fn note_first(&self, note: Note, now: Timestamp) -> Result<Noted, StoreError> {
        self.desk.note_first(note, now)
    }

    /// Notes how a call ended, and records it, now or as soon as the disk allows.
    pub(crate) fn note_last(&self, note: Note, now: Timestamp) {
        self.desk.note_last(note, now);
    }

    /// Queues a write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where as many wait as may.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Ticket<T>, StoreError> {
        self.desk.submit(work)
    }

    /// Whether the journal grew since this was asked the last time, or since [`TenantDb::still_unsigned`].
    pub(crate) fn take_unsigned(&self) -> bool {
        self.desk.take_unsigned()
    }

    /// What was taken was not signed.
    pub(crate) fn still_unsigned(&self) {
        self.desk.still_unsigned();
    }

    /// Brings what calls noted into the file, where [`TenantDb::read_now`] and other connections see it.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) async fn bring_in(&self) -> Result<(), StoreError> {
        if self.desk.has_notes() {
            self.submit(|_| Ok(()))?.recorded().await?;
        }
        Ok(())
    }

    /// Has everything written and synced, and the commit log keep what could not be. Blocks. Nothing may be noted or
    /// submitted afterwards.
    pub(crate) fn finish(&self) {
        // what could not be written was answered as such
        let _ = self.submit(|_| Ok(())).and_then(Ticket::wait);
        self.desk.leave();
    }

    /// Reads, on this thread. Of what calls noted lately it sees nothing, see [`TenantDb::bring_in`].
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub(crate) fn read_now<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        work(&self.reader.lock())
    }

    /// Reads, on a thread that may block. Everything recorded is seen. One read at a time waits there: they share a connection, and a tenant that
    /// reads much must not hold the threads that its neighbours need.
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.bring_in().await?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            this.read_now(work)
        });
        read.await
            .map_err(|_| StoreError::Failed("a read panicked".to_owned()))?
    }

    /// Reads with a connection of its own, so that a long export keeps nobody from reading.
    ///
    /// # Errors
    ///
    /// Faults of the disk.
    pub(crate) fn another_reader(&self) -> Result<Connection, StoreError> {
        let reader = self.reader.lock();
        let path = reader.path().map(Path::new).ok_or(StoreError::Closed)?;
        connection::reader(path)
    }

    /// Writes that wait for the disk.
    pub(crate) fn waiting(&self) -> usize {
        self.desk.waiting()
    }

    /// Puts a file in the place of the `-wal` file, for a test of what happens when it cannot be synced.
    #[cfg(test)]
    pub(super) fn sync_instead(&self, file: std::fs::File) {
        self.desk.sync_instead(file);
    }
}
