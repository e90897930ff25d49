//! Pinned token issuers, sealed.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::id::IssuerId;
use crate::store::StoreError;
use crate::store::embedded::values::millis;

pub(super) fn put(
    connection: &Connection,
    id: &IssuerId,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut upsert = connection.prepare_cached(
        "INSERT OR REPLACE INTO issuer (id, sealed, changed) VALUES (?1, ?2, ?3)",
    )?;
    upsert.execute(params![id.as_bytes(), sealed, millis(now)])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, id: &IssuerId) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM issuer WHERE id = ?1")?
        .execute([id.as_bytes()])?;
    Ok(())
}

/// Every issuer, ordered by id.
pub(super) fn list(connection: &Connection) -> Result<Vec<(IssuerId, Vec<u8>)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT id, sealed FROM issuer ORDER BY id")?;
    let rows = select.query_map([], |row| {
        Ok((IssuerId::from_bytes(row.get(0)?), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
