//! API keys: a keyed hash and a sealed description each.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::id::ApiKeyId;
use crate::store::StoreError;
use crate::store::embedded::values::{millis, time};
use crate::store::keys::KeyRow;

const COLUMNS: &str = "id, hash, sealed, created, expires, revoked";

pub(super) fn insert(connection: &Connection, key: &KeyRow) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO api_key (id, hash, sealed, created, expires, revoked) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        key.id.as_bytes(),
        key.hash,
        key.sealed,
        millis(key.created),
        key.expires.map(millis),
        key.revoked.map(millis)
    ])?;
    Ok(())
}

/// Changes description, expiry and revocation of a key that is there.
pub(super) fn update(connection: &Connection, key: &KeyRow) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE api_key SET sealed = ?2, expires = ?3, revoked = ?4 WHERE id = ?1",
    )?;
    update.execute(params![
        key.id.as_bytes(),
        key.sealed,
        key.expires.map(millis),
        key.revoked.map(millis)
    ])?;
    Ok(())
}

pub(super) fn get(connection: &Connection, id: &ApiKeyId) -> Result<Option<KeyRow>, StoreError> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_key WHERE id = ?1"))?;
    Ok(select.query_row([id.as_bytes()], read).optional()?)
}

/// The keys after `after` in the order of their ids, at most `limit`.
pub(super) fn page(
    connection: &Connection,
    after: Option<ApiKeyId>,
    limit: u32,
) -> Result<Vec<KeyRow>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM api_key WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let rows = select.query_map(params![after.map(|id| *id.as_bytes()), limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The keys that are not revoked.
pub(super) fn list_live(connection: &Connection) -> Result<Vec<KeyRow>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM api_key WHERE revoked IS NULL"
    ))?;
    Ok(select.query_map([], read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    let moment = |column: usize| {
        row.get::<_, Option<i64>>(column)?
            .map(|at| time(column, at))
            .transpose()
    };
    Ok(KeyRow {
        id: ApiKeyId::from_bytes(row.get(0)?),
        hash: row.get(1)?,
        sealed: row.get(2)?,
        created: time(3, row.get(3)?)?,
        expires: moment(4)?,
        revoked: moment(5)?,
    })
}
