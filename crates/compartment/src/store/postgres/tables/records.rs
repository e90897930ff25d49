//! The journal's records, the hashes of its tree, its checkpoints.

use std::collections::HashMap;

use evidence::log::Hash;
use jiff::Timestamp;
use postgres::Row;

use super::super::open::Open;
use super::number;
use crate::store::records::{NewRecord, StoredRecord};
use crate::store::tables::{Answer, Node};
use crate::store::{StoreError, count, millis};

pub(super) fn size(open: &Open) -> Answer<u64> {
    let row = open.first(
        "SELECT coalesce(max(seq) + 1, 0) FROM record WHERE tenant = $1",
        &[&open.tenant()],
    )?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

pub(super) fn insert(open: &Open, records: &[NewRecord<'_>]) -> Answer<()> {
    if records.is_empty() {
        return Ok(());
    }
    let seqs: Vec<_> = records.iter().map(|record| count(record.seq)).collect();
    let bodies: Vec<_> = records.iter().map(|record| record.body).collect();
    let hashes: Vec<_> = records.iter().map(NewRecord::hashes).collect();
    open.execute(
        "INSERT INTO record (tenant, seq, body, hashes) \
         SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[])",
        &[&open.tenant(), &seqs, &bodies, &hashes],
    )?;
    Ok(())
}

pub(super) fn page(open: &Open, from: u64, to: u64, limit: u32) -> Answer<Vec<StoredRecord>> {
    let rows = open.query(
        "SELECT body, hashes FROM record WHERE tenant = $1 AND seq >= $2 AND seq < $3 ORDER BY seq LIMIT $4",
        &[&open.tenant(), &count(from), &count(to), &i64::from(limit)],
    )?;
    rows.iter()
        .map(|row| Ok(StoredRecord::new(row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub(super) fn hashes(open: &Open, of: &[Node]) -> Answer<Vec<Hash>> {
    let seqs: Vec<_> = of.iter().map(|(seq, _)| count(*seq)).collect();
    let rows = open.query(
        "SELECT seq, hashes FROM record WHERE tenant = $1 AND seq = ANY($2::bigint[])",
        &[&open.tenant(), &seqs],
    )?;
    let mut found = HashMap::new();
    for row in &rows {
        let stored = StoredRecord::new(Vec::new(), row.try_get(1)?);
        found.insert(number(row, 0)?, stored.hashes);
    }
    let missing = || StoreError::Corrupt("log: a hash is missing".to_owned());
    of.iter()
        .map(|(seq, level)| {
            let hashes = found.get(seq).ok_or_else(missing)?;
            hashes.get(usize::from(*level)).copied().ok_or_else(missing)
        })
        .collect()
}

pub(super) fn replace_checkpoint(
    open: &Open,
    tile: u64,
    size: u64,
    at: Timestamp,
    note: &str,
) -> Answer<()> {
    open.execute(
        "DELETE FROM checkpoint WHERE tenant = $1 AND size > $2 AND size < $3",
        &[&open.tenant(), &count(tile), &count(size)],
    )?;
    open.execute(
        "INSERT INTO checkpoint (tenant, size, at, note) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, size) DO UPDATE SET at = excluded.at, note = excluded.note",
        &[&open.tenant(), &count(size), &millis(at), &note],
    )?;
    Ok(())
}

pub(super) fn checkpoint_within(open: &Open, size: u64) -> Answer<Option<(u64, String)>> {
    let row = open.first(
        "SELECT size, note FROM checkpoint WHERE tenant = $1 AND size <= $2 ORDER BY size DESC LIMIT 1",
        &[&open.tenant(), &count(size)],
    )?;
    row.as_ref().map(read).transpose()
}

pub(super) fn checkpoints(open: &Open, after: u64, to: u64) -> Answer<Vec<(u64, String)>> {
    let rows = open.query(
        "SELECT size, note FROM checkpoint WHERE tenant = $1 AND size > $2 AND size <= $3 ORDER BY size",
        &[&open.tenant(), &count(after), &count(to)],
    )?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Answer<(u64, String)> {
    Ok((number(row, 0)?, row.try_get(1)?))
}
