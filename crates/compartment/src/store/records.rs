//! The journal's records, the hashes of its tree, its checkpoints.

use evidence::log::{Hash, HashReader, stored_from};
use evidence::tiles::TILE_WIDTH;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, count, millis};

/// One record as it stands: its canonical bytes, and the leaf hash that was stored with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRecord {
    pub(crate) body: Vec<u8>,
    pub(crate) leaf: Hash,
}

pub(super) fn insert(
    connection: &Connection,
    seq: u64,
    body: &[u8],
    hashes: &[Hash],
) -> Result<(), StoreError> {
    let mut record = connection.prepare_cached("INSERT INTO record (seq, body) VALUES (?1, ?2)")?;
    record.execute(params![count(seq), body])?;
    let mut node = connection.prepare_cached("INSERT INTO node (place, hash) VALUES (?1, ?2)")?;
    for (place, hash) in (stored_from(seq)..).zip(hashes) {
        node.execute(params![count(place), hash.0])?;
    }
    Ok(())
}

/// How many records there are.
pub(crate) fn size(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM record", [], |row| row.get(0))?;
    Ok(last.map_or(0, |last| last.unsigned_abs().saturating_add(1)))
}

/// How many hashes the tree has.
pub(super) fn nodes(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> =
        connection.query_row("SELECT max(place) FROM node", [], |row| row.get(0))?;
    Ok(last.map_or(0, |last| last.unsigned_abs().saturating_add(1)))
}

/// The record at `seq`.
pub(crate) fn get(connection: &Connection, seq: u64) -> Result<Option<StoredRecord>, StoreError> {
    Ok(page(connection, seq, seq.saturating_add(1), 1)?.pop())
}

/// The records from `from` up to and without `to`, at most `limit`.
pub(crate) fn page(
    connection: &Connection,
    from: u64,
    to: u64,
    limit: u32,
) -> Result<Vec<StoredRecord>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT seq, body FROM record WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut leaf = connection.prepare_cached("SELECT hash FROM node WHERE place = ?1")?;
    let rows = select.query_map(params![count(from), count(to), limit], |row| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?))
    })?;
    rows.map(|row| {
        let (seq, body) = row?;
        let place = count(stored_from(seq.unsigned_abs()));
        let hash = leaf.query_row([place], |row| row.get(0))?;
        Ok(StoredRecord {
            body,
            leaf: Hash(hash),
        })
    })
    .collect()
}

/// Keeps a signed checkpoint, and forgets the earlier ones of the same 256 records: one a second would take more room
/// than the records, and a proof leads from any earlier one to the newest.
pub(crate) fn put_checkpoint(
    connection: &Connection,
    size: u64,
    at: Timestamp,
    note: &str,
) -> Result<(), StoreError> {
    let tile = size.saturating_sub(1) / TILE_WIDTH * TILE_WIDTH;
    let mut forget =
        connection.prepare_cached("DELETE FROM checkpoint WHERE size > ?1 AND size < ?2")?;
    forget.execute([count(tile), count(size)])?;
    let mut insert = connection
        .prepare_cached("INSERT OR REPLACE INTO checkpoint (size, at, note) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![count(size), millis(at), note])?;
    Ok(())
}

/// The newest checkpoint of at most `size` records: its size and its note.
pub(crate) fn checkpoint_within(
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
pub(crate) fn checkpoints(
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

/// The tree's hashes, read from the file.
pub(crate) struct Nodes<'a>(pub(crate) &'a Connection);

impl HashReader for Nodes<'_> {
    fn read_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let gone = |_: rusqlite::Error| tlog_tiles::Error::IndexesNotInTree;
        let mut select = self
            .0
            .prepare_cached("SELECT hash FROM node WHERE place = ?1")
            .map_err(gone)?;
        places
            .iter()
            .map(|place| {
                select
                    .query_row([count(*place)], |row| row.get(0))
                    .map(Hash)
                    .map_err(gone)
            })
            .collect()
    }
}
