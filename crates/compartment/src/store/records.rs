//! The journal's records, the hashes of its tree, its checkpoints.

use evidence::log::{Hash, HashReader, split_stored_hash_index};
use evidence::tiles::TILE_WIDTH;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, count, millis};

/// One record as it stands: its canonical bytes, and the hashes that were stored with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRecord {
    pub(crate) body: Vec<u8>,
    pub(super) hashes: Vec<Hash>,
}

impl StoredRecord {
    /// Its leaf hash, as it was stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where there is none.
    pub(crate) fn leaf(&self) -> Result<Hash, StoreError> {
        let leaf = self.hashes.first().copied();
        leaf.ok_or_else(|| StoreError::Corrupt("log: a record has no hash".to_owned()))
    }
}

/// Appends a record with the hashes that it brings to the tree: its leaf, then the roots of the subtrees that it
/// completes, in that order.
pub(super) fn insert(
    connection: &Connection,
    seq: u64,
    body: &[u8],
    hashes: &[Hash],
) -> Result<(), StoreError> {
    let mut insert =
        connection.prepare_cached("INSERT INTO record (seq, body, hashes) VALUES (?1, ?2, ?3)")?;
    let hashes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
    insert.execute(params![count(seq), body, hashes])?;
    Ok(())
}

/// How many records there are.
pub(crate) fn size(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM record", [], |row| row.get(0))?;
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
        "SELECT body, hashes FROM record WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
    )?;
    let rows = select.query_map(params![count(from), count(to), limit], |row| {
        let hashes: Vec<u8> = row.get(1)?;
        Ok(StoredRecord {
            body: row.get(0)?,
            hashes: hashes_of(&hashes),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is no whole hash is left out, and missed by whoever counts them.
fn hashes_of(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks().0.iter().copied().map(Hash).collect()
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
        const GONE: tlog_tiles::Error = tlog_tiles::Error::IndexesNotInTree;
        let mut select = self
            .0
            .prepare_cached("SELECT substr(hashes, ?2, 32) FROM record WHERE seq = ?1")
            .map_err(|_| GONE)?;
        places
            .iter()
            .map(|place| {
                // a subtree of 2^level records is complete with its last one
                let (level, n) = split_stored_hash_index(*place);
                let seq = (n.saturating_add(1) << level).saturating_sub(1);
                select
                    .query_row([count(seq), i64::from(level) * 32 + 1], |row| row.get(0))
                    .map(Hash)
                    .map_err(|_| GONE)
            })
            .collect()
    }
}
