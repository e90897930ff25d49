//! One tenant's file.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::book::Book;
use super::desk::Desk;
use super::edge::edge;
use super::transaction::Transaction;
use super::{Scribes, StoreError, Ticket, connection, schema};

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
        scribes: &Scribes,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        connection::folder(folder)?;
        Self::start(&folder.join(FILE), scribes, first)
    }

    /// Opens the file in `folder` and checks that the journal fits its tree and its newest checkpoint. `first` runs
    /// before anything else can be written, in a transaction of its own; where it fails, nothing was written.
    ///
    /// # Errors
    ///
    /// Faults of the disk; [`StoreError::Missing`] where there is no file, because an empty one in its place would have
    /// no spend and no journal; [`StoreError::Corrupt`] where records and tree do not fit each other.
    pub(crate) fn open(
        folder: &Path,
        scribes: &Scribes,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let file = folder.join(FILE);
        if !file.try_exists()? {
            return Err(StoreError::Missing);
        }
        Self::start(&file, scribes, first)
    }

    fn start(
        file: &Path,
        scribes: &Scribes,
        first: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let writer = connection::writer(file, schema::TENANT, "NORMAL")?;
        let edge = edge(&writer)?;
        // a write makes sure that the write-ahead log is there to be synced
        writer.pragma_update(None, "application_id", APPLICATION)?;
        let wal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(file.with_extension("db-wal"))?;
        let db = Self {
            desk: scribes.desk(Book::new(writer, edge), wal),
            reader: Mutex::new(connection::reader(file)?),
            turn: Arc::default(),
        };
        db.submit(first)?.wait()?;
        Ok(db)
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

    /// Reads, on this thread. What is recorded is seen.
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

    /// Reads, on a thread that may block. One read at a time waits there: they share a connection, and a tenant that
    /// reads much must not hold the threads that its neighbours need.
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
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
