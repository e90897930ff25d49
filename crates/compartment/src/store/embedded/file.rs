//! One tenant's file.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::book::Book;
use super::desk::Desk;
use super::pen::Pen;
use super::scribes::Scribes;
use super::{connection, schema};
use crate::id::TenantId;
use crate::store::edge::edge;
use crate::store::entry::Note;
use crate::store::tables::{Log, Tables};
use crate::store::tenant::{Check, First, TenantStore};
use crate::store::write::{Write, pending};
use crate::store::{Noted, StoreError};

/// Marks the file as one of ours ("cofd"), for tools such as file(1).
const APPLICATION: i32 = 0x636f_6664;

/// The file's name in the tenant's folder.
const FILE: &str = "store.db";

/// An open tenant file: one connection that writes, at the scribes', and one that reads.
pub(in crate::store) struct TenantFile {
    desk: Arc<Desk>,
    reader: Mutex<Connection>,
}

impl TenantFile {
    /// Makes the file in `folder`, and that too. See [`crate::store::Tenants::create`].
    pub(in crate::store) fn create(
        folder: &Path,
        tenant: TenantId,
        scribes: &Scribes,
        first: First,
    ) -> Result<Self, StoreError> {
        connection::folder(folder)?;
        Self::start(&folder.join(FILE), tenant, scribes, &|_| Ok(()), first)
    }

    /// Opens the file in `folder`. See [`crate::store::Tenants::open`].
    pub(in crate::store) fn open(
        folder: &Path,
        tenant: TenantId,
        scribes: &Scribes,
        check: Check<'_>,
        first: First,
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
        check: Check<'_>,
        first: First,
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
        let reader = Mutex::new(connection::reader(file)?);
        let (write, done) = pending(first);
        desk.submit(write)?;
        done.wait()?;
        scribes.log().brought(&tenant);
        Ok(Self { desk, reader })
    }

    /// Puts a file in the place of the `-wal` file, for a test of what happens when it cannot be synced.
    #[cfg(test)]
    pub(in crate::store) fn sync_instead(&self, file: std::fs::File) {
        self.desk.sync_instead(file);
    }

    /// Sets how many pages the file may have, for a test of what happens when it is full; gives how many that are at least.
    #[cfg(test)]
    pub(in crate::store) fn most_pages(&self, most: i64) -> i64 {
        // SQLite answers this pragma with a row
        let pragma = format!("PRAGMA max_page_count = {most}");
        self.desk
            .writer(|connection| connection.query_row(&pragma, [], |row| row.get(0)))
            .unwrap()
    }
}

impl TenantStore for TenantFile {
    fn note_first(&self, note: Note, now: Timestamp) -> Result<Noted, StoreError> {
        self.desk.note_first(note, now)
    }

    fn note_last(&self, note: Note, now: Timestamp) {
        self.desk.note_last(note, now);
    }

    fn submit(&self, write: Box<dyn Write>) -> Result<(), StoreError> {
        self.desk.submit(write)
    }

    fn take_unsigned(&self) -> bool {
        self.desk.take_unsigned()
    }

    fn still_unsigned(&self) {
        self.desk.still_unsigned();
    }

    fn has_notes(&self) -> bool {
        self.desk.has_notes()
    }

    fn look(&self, work: &mut dyn FnMut(&dyn Tables)) -> Result<(), StoreError> {
        work(&*self.reader.lock());
        Ok(())
    }

    fn another_reader(&self) -> Result<Box<dyn Log + Send>, StoreError> {
        let reader = self.reader.lock();
        let path = reader.path().map(Path::new).ok_or(StoreError::Closed)?;
        Ok(Box::new(connection::reader(path)?))
    }

    fn waiting(&self) -> usize {
        self.desk.waiting()
    }

    fn leave(&self) {
        self.desk.leave();
    }
}
