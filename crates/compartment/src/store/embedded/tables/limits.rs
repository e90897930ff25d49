//! The tiers of limits, sealed.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::StoreError;

pub(super) fn put(connection: &Connection, tier: &str, sealed: &[u8]) -> Result<(), StoreError> {
    let mut upsert = connection
        .prepare_cached("INSERT OR REPLACE INTO limit_set (tier, sealed) VALUES (?1, ?2)")?;
    upsert.execute(params![tier, sealed])?;
    Ok(())
}

pub(super) fn get(connection: &Connection, tier: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select = connection.prepare_cached("SELECT sealed FROM limit_set WHERE tier = ?1")?;
    Ok(select.query_row([tier], |row| row.get(0)).optional()?)
}

/// Every tier, ordered by name.
pub(super) fn list(connection: &Connection) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT tier, sealed FROM limit_set ORDER BY tier")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
