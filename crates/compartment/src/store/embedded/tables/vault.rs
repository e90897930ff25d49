//! Upstream credentials, sealed, by the blind index of their upstream's name.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::store::StoreError;
use crate::store::embedded::values::{count, millis, uncount};
use crate::vault::Sealed;

pub(super) fn put(connection: &Connection, one: &Sealed, now: Timestamp) -> Result<(), StoreError> {
    let mut upsert = connection.prepare_cached(
        "INSERT OR REPLACE INTO vault (place, version, sealed, changed) VALUES (?1, ?2, ?3, ?4)",
    )?;
    upsert.execute(params![
        one.place,
        count(one.version),
        one.sealed,
        millis(now)
    ])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, place: &[u8; 32]) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM vault WHERE place = ?1")?
        .execute([place])?;
    Ok(())
}

pub(super) fn list(connection: &Connection) -> Result<Vec<Sealed>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT place, version, sealed FROM vault ORDER BY place")?;
    let rows = select.query_map([], |row| {
        Ok(Sealed {
            place: row.get(0)?,
            version: uncount(1, row.get(1)?)?,
            sealed: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
