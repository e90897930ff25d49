//! The journal's records, the hashes of its tree, its checkpoints.

use evidence::log::Hash;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::store::StoreError;
use crate::store::embedded::values::{count, millis};
use crate::store::records::{NewRecord, StoredRecord};
use crate::store::tables::Node;

pub(super) fn insert(connection: &Connection, records: &[NewRecord<'_>]) -> Result<(), StoreError> {
    let mut insert =
        connection.prepare_cached("INSERT INTO record (seq, body, hashes) VALUES (?1, ?2, ?3)")?;
    for record in records {
        insert.execute(params![count(record.seq), record.body, record.hashes()])?;
    }
    Ok(())
}

/// How many records there are.
pub(super) fn size(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM record", [], |row| row.get(0))?;
    Ok(last.map_or(0, |last| last.unsigned_abs().saturating_add(1)))
}

/// The records from `from` up to and without `to`, at most `limit`.
pub(super) fn page(
    connection: &Connection,
    from: u64,
    to: u64,
    limit: u32,
) -> Result<Vec<StoredRecord>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT body, hashes FROM record WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
    )?;
    let rows = select.query_map(params![count(from), count(to), limit], |row| {
        let hashes: Vec<u8> = row.get(1)?;
        Ok(StoredRecord::new(row.get(0)?, &hashes))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn replace_checkpoint(
    connection: &Connection,
    tile: u64,
    size: u64,
    at: Timestamp,
    note: &str,
) -> Result<(), StoreError> {
    let mut forget =
        connection.prepare_cached("DELETE FROM checkpoint WHERE size > ?1 AND size < ?2")?;
    forget.execute([count(tile), count(size)])?;
    let mut insert = connection
        .prepare_cached("INSERT OR REPLACE INTO checkpoint (size, at, note) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![count(size), millis(at), note])?;
    Ok(())
}

/// The newest checkpoint of at most `size` records: its size and its note.
pub(super) fn checkpoint_within(
    connection: &Connection,
    size: u64,
) -> Result<Option<(u64, String)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT size, note FROM checkpoint WHERE size <= ?1 ORDER BY size DESC LIMIT 1",
    )?;
    let found = select
        .query_row([count(size)], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
        })
        .optional()?;
    Ok(found)
}

/// The checkpoints of more than `after` and at most `to` records, the smallest first: one for 256 records.
pub(super) fn checkpoints(
    connection: &Connection,
    after: u64,
    to: u64,
) -> Result<Vec<(u64, String)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT size, note FROM checkpoint WHERE size > ?1 AND size <= ?2 ORDER BY size",
    )?;
    let rows = select.query_map([count(after), count(to)], |row| {
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The tree's hashes.
pub(super) fn hashes(connection: &Connection, of: &[Node]) -> Result<Vec<Hash>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT substr(hashes, ?2, 32) FROM record WHERE seq = ?1")?;
    of.iter()
        .map(|(seq, level)| {
            let found = select.query_row([count(*seq), i64::from(*level) * 32 + 1], |row| {
                row.get(0).map(Hash)
            });
            Ok(found?)
        })
        .collect()
}
