//! The tables of one tenant, each in a file of its own here. Every statement names the tenant; that the server would not
//! show another's rows anyway is the second wall, not the only one.

mod calls;
mod keys;
mod records;
mod sealed;
mod sums;

use evidence::log::Hash;
use jiff::Timestamp;
use jiff::civil::Date;
use policy::{Scope, Spend, Window};
use postgres::Row;

use super::open::Open;
use crate::id::{ApiKeyId, CallId, IssuerId};
use crate::store::StoreError;
use crate::store::calls::{CallEnd, CallRow};
use crate::store::keys::KeyRow;
use crate::store::records::{NewRecord, StoredRecord};
use crate::store::tables::{Answer, Log, Node, Tables};
use crate::store::usage::UsageSum;
use crate::vault::Sealed;

impl Log for Open {
    fn size(&self) -> Answer<u64> {
        records::size(self)
    }

    fn insert_records(&self, new: &[NewRecord<'_>]) -> Answer<()> {
        records::insert(self, new)
    }

    fn records(&self, from: u64, to: u64, limit: u32) -> Answer<Vec<StoredRecord>> {
        records::page(self, from, to, limit)
    }

    fn hashes(&self, of: &[Node]) -> Answer<Vec<Hash>> {
        records::hashes(self, of)
    }

    fn replace_checkpoint(&self, tile: u64, size: u64, at: Timestamp, note: &str) -> Answer<()> {
        records::replace_checkpoint(self, tile, size, at, note)
    }

    fn checkpoint_within(&self, size: u64) -> Answer<Option<(u64, String)>> {
        records::checkpoint_within(self, size)
    }

    fn checkpoints(&self, after: u64, to: u64) -> Answer<Vec<(u64, String)>> {
        records::checkpoints(self, after, to)
    }
}

impl Tables for Open {
    fn insert_key(&self, key: &KeyRow) -> Answer<()> {
        keys::insert(self, key)
    }

    fn update_key(&self, key: &KeyRow) -> Answer<()> {
        keys::update(self, key)
    }

    fn key(&self, id: &ApiKeyId) -> Answer<Option<KeyRow>> {
        keys::get(self, id)
    }

    fn keys(&self, after: Option<ApiKeyId>, limit: u32) -> Answer<Vec<KeyRow>> {
        keys::page(self, after, limit)
    }

    fn live_keys(&self) -> Answer<Vec<KeyRow>> {
        keys::list_live(self)
    }

    fn put_issuer(&self, id: &IssuerId, sealed: &[u8], now: Timestamp) -> Answer<()> {
        sealed::put_issuer(self, id, sealed, now)
    }

    fn remove_issuer(&self, id: &IssuerId) -> Answer<()> {
        sealed::remove_issuer(self, id)
    }

    fn issuers(&self) -> Answer<Vec<(IssuerId, Vec<u8>)>> {
        sealed::issuers(self)
    }

    fn put_limits(&self, tier: &str, sealed: &[u8]) -> Answer<()> {
        sealed::put_limits(self, tier, sealed)
    }

    fn limits(&self, tier: &str) -> Answer<Option<Vec<u8>>> {
        sealed::limits(self, tier)
    }

    fn all_limits(&self) -> Answer<Vec<(String, Vec<u8>)>> {
        sealed::all_limits(self)
    }

    fn put_vault(&self, one: &Sealed, now: Timestamp) -> Answer<()> {
        sealed::put_vault(self, one, now)
    }

    fn remove_vault(&self, place: &[u8; 32]) -> Answer<()> {
        sealed::remove_vault(self, place)
    }

    fn vault(&self) -> Answer<Vec<Sealed>> {
        sealed::vault(self)
    }

    fn insert_calls(&self, calls: &[CallRow]) -> Answer<()> {
        calls::insert(self, calls)
    }

    fn settle_calls(&self, ends: &[(CallId, CallEnd)]) -> Answer<Vec<CallRow>> {
        calls::settle(self, ends)
    }

    fn call(&self, id: &CallId) -> Answer<Option<CallRow>> {
        calls::get(self, id)
    }

    fn open_calls(&self, limit: u32) -> Answer<Vec<CallRow>> {
        calls::open(self, limit)
    }

    fn calls_after(&self, after: Option<&CallId>, limit: u32) -> Answer<Vec<CallRow>> {
        calls::after(self, after, limit)
    }

    fn add_spends(&self, spends: &[Spend]) -> Answer<()> {
        sums::add_spends(self, spends)
    }

    fn spent(&self, of: &[(Scope, Window)]) -> Answer<Vec<u64>> {
        sums::spent(self, of)
    }

    fn spent_after(
        &self,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Answer<Vec<(String, String, u64)>> {
        sums::spent_after(self, after, limit)
    }

    fn add_usage(&self, sums: &[UsageSum]) -> Answer<()> {
        sums::add_usage(self, sums)
    }

    fn usage(&self, from: Date, to: Date, limit: u32) -> Answer<Vec<UsageSum>> {
        sums::usage(self, from, to, limit)
    }
}

/// A value that is not of its kind.
pub(super) fn unreadable() -> StoreError {
    StoreError::Corrupt("a value is not of its kind".to_owned())
}

/// Bytes of a fixed length.
pub(super) fn bytes<const N: usize>(row: &Row, column: usize) -> Answer<[u8; N]> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| unreadable())
}

/// A count.
pub(super) fn number(row: &Row, column: usize) -> Answer<u64> {
    u64::try_from(row.try_get::<_, i64>(column)?).map_err(|_| unreadable())
}

/// A moment.
pub(super) fn moment(row: &Row, column: usize) -> Answer<Timestamp> {
    Timestamp::from_millisecond(row.try_get(column)?).map_err(|_| unreadable())
}

/// A moment that may not have been.
pub(super) fn moment_maybe(row: &Row, column: usize) -> Answer<Option<Timestamp>> {
    row.try_get::<_, Option<i64>>(column)?
        .map(|millis| Timestamp::from_millisecond(millis).map_err(|_| unreadable()))
        .transpose()
}
