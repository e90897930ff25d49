//! Opening SQLite files the way we need them.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use crate::store::StoreError;

/// How long one connection waits for another of this process. Writers do not meet: each file has one.
const WAIT: Duration = Duration::from_secs(5);

/// Opens a file for writing, makes it if it is not there, and brings it to the present schema.
pub(super) fn writer(
    file: &Path,
    schema: &'static [M<'static>],
    sync: &'static str,
) -> Result<Connection, StoreError> {
    let new = !file.exists();
    let mut connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    tune(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", sync)?;
    // SQLite carries the log to the database itself, in the commit that makes it a thousand pages long, and starts it
    // over once nobody reads what is in it; no reader of ours keeps a transaction open
    connection.pragma_update(None, "secure_delete", true)?;
    // no more of a write-ahead log than this stays behind after a burst
    connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
    Migrations::from_slice(schema)
        .to_latest(&mut connection)
        .map_err(migration)?;
    empty_log(&connection)?;
    if new && let Some(folder) = file.parent() {
        // the names of the new files have to survive a loss of power as well
        File::open(folder)?.sync_all()?;
    }
    Ok(connection)
}

/// Carries what an earlier process left in the write-ahead log to the database, with a sync of both. Where a sync failed
/// in that process, the log may be whole in the memory of the system and not on the disk; afterwards nothing depends on
/// it any more.
fn empty_log(connection: &Connection) -> Result<(), StoreError> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        Err(StoreError::Failed("the file is in use".to_owned()))
    } else {
        Ok(())
    }
}

/// Opens a file that is there, for reading.
pub(super) fn reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    tune(&connection)?;
    Ok(connection)
}

fn tune(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(WAIT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // thousands of tenants may be open: half a mebibyte of pages each is what they get
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// Makes a folder that only its owner can enter, and whose name survives a loss of power.
pub(super) fn folder(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    match path.parent() {
        Some(parent) => Ok(File::open(parent)?.sync_all()?),
        None => Ok(()),
    }
}

fn migration(error: rusqlite_migration::Error) -> StoreError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
        rusqlite_migration::Error::MigrationDefinition(_) => StoreError::TooNew,
        other => StoreError::Failed(other.to_string()),
    }
}
