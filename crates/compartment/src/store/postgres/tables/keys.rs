//! API keys: a keyed hash and a sealed description each.

use postgres::Row;

use super::super::open::Open;
use super::{bytes, moment, moment_maybe};
use crate::id::ApiKeyId;
use crate::store::keys::KeyRow;
use crate::store::millis;
use crate::store::tables::Answer;

pub(super) fn insert(open: &Open, key: &KeyRow) -> Answer<()> {
    open.execute(
        "INSERT INTO api_key (tenant, id, hash, sealed, created, expires, revoked) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &open.tenant(),
            &&key.id.as_bytes()[..],
            &&key.hash[..],
            &key.sealed,
            &millis(key.created),
            &key.expires.map(millis),
            &key.revoked.map(millis),
        ],
    )?;
    Ok(())
}

pub(super) fn update(open: &Open, key: &KeyRow) -> Answer<()> {
    open.execute(
        "UPDATE api_key SET sealed = $3, expires = $4, revoked = $5 WHERE tenant = $1 AND id = $2",
        &[
            &open.tenant(),
            &&key.id.as_bytes()[..],
            &key.sealed,
            &key.expires.map(millis),
            &key.revoked.map(millis),
        ],
    )?;
    Ok(())
}

pub(super) fn get(open: &Open, id: &ApiKeyId) -> Answer<Option<KeyRow>> {
    let row = open.first(
        "SELECT id, hash, sealed, created, expires, revoked FROM api_key WHERE tenant = $1 AND id = $2",
        &[&open.tenant(), &&id.as_bytes()[..]],
    )?;
    row.as_ref().map(read).transpose()
}

pub(super) fn page(open: &Open, after: Option<ApiKeyId>, limit: u32) -> Answer<Vec<KeyRow>> {
    let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let rows = open.query(
        "SELECT id, hash, sealed, created, expires, revoked FROM api_key WHERE tenant = $1 AND id > $2 \
         ORDER BY id LIMIT $3",
        &[&open.tenant(), &after, &i64::from(limit)],
    )?;
    rows.iter().map(read).collect()
}

pub(super) fn list_live(open: &Open) -> Answer<Vec<KeyRow>> {
    let rows = open.query(
        "SELECT id, hash, sealed, created, expires, revoked FROM api_key WHERE tenant = $1 AND revoked IS NULL",
        &[&open.tenant()],
    )?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Answer<KeyRow> {
    Ok(KeyRow {
        id: ApiKeyId::from_bytes(bytes(row, 0)?),
        hash: bytes(row, 1)?,
        sealed: row.try_get(2)?,
        created: moment(row, 3)?,
        expires: moment_maybe(row, 4)?,
        revoked: moment_maybe(row, 5)?,
    })
}
