//! What is a sealed value under a key: pinned token issuers, tiers of limits, upstream credentials.

use jiff::Timestamp;

use super::super::open::Open;
use super::{bytes, number};
use crate::id::IssuerId;
use crate::store::tables::Answer;
use crate::store::{count, millis};
use crate::vault::Sealed;

pub(super) fn put_issuer(open: &Open, id: &IssuerId, sealed: &[u8], now: Timestamp) -> Answer<()> {
    open.execute(
        "INSERT INTO issuer (tenant, id, sealed, changed) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, id) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed",
        &[&open.tenant(), &&id.as_bytes()[..], &sealed, &millis(now)],
    )?;
    Ok(())
}

pub(super) fn remove_issuer(open: &Open, id: &IssuerId) -> Answer<()> {
    open.execute(
        "DELETE FROM issuer WHERE tenant = $1 AND id = $2",
        &[&open.tenant(), &&id.as_bytes()[..]],
    )?;
    Ok(())
}

pub(super) fn issuers(open: &Open) -> Answer<Vec<(IssuerId, Vec<u8>)>> {
    let rows = open.query(
        "SELECT id, sealed FROM issuer WHERE tenant = $1 ORDER BY id",
        &[&open.tenant()],
    )?;
    rows.iter()
        .map(|row| Ok((IssuerId::from_bytes(bytes(row, 0)?), row.try_get(1)?)))
        .collect()
}

pub(super) fn put_limits(open: &Open, tier: &str, sealed: &[u8]) -> Answer<()> {
    open.execute(
        "INSERT INTO limit_set (tenant, tier, sealed) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, tier) DO UPDATE SET sealed = excluded.sealed",
        &[&open.tenant(), &tier, &sealed],
    )?;
    Ok(())
}

pub(super) fn limits(open: &Open, tier: &str) -> Answer<Option<Vec<u8>>> {
    let row = open.first(
        "SELECT sealed FROM limit_set WHERE tenant = $1 AND tier = $2",
        &[&open.tenant(), &tier],
    )?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

pub(super) fn all_limits(open: &Open) -> Answer<Vec<(String, Vec<u8>)>> {
    let rows = open.query(
        "SELECT tier, sealed FROM limit_set WHERE tenant = $1 ORDER BY tier COLLATE \"C\"",
        &[&open.tenant()],
    )?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub(super) fn put_vault(open: &Open, one: &Sealed, now: Timestamp) -> Answer<()> {
    open.execute(
        "INSERT INTO vault (tenant, place, version, sealed, changed) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant, place) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, \
         changed = excluded.changed",
        &[
            &open.tenant(),
            &&one.place[..],
            &count(one.version),
            &one.sealed,
            &millis(now),
        ],
    )?;
    Ok(())
}

pub(super) fn remove_vault(open: &Open, place: &[u8; 32]) -> Answer<()> {
    open.execute(
        "DELETE FROM vault WHERE tenant = $1 AND place = $2",
        &[&open.tenant(), &&place[..]],
    )?;
    Ok(())
}

pub(super) fn vault(open: &Open) -> Answer<Vec<Sealed>> {
    let rows = open.query(
        "SELECT place, version, sealed FROM vault WHERE tenant = $1 ORDER BY place",
        &[&open.tenant()],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Sealed {
                place: bytes(row, 0)?,
                version: number(row, 1)?,
                sealed: row.try_get(2)?,
            })
        })
        .collect()
}
