//! The tables of one SQLite file, each in a file of its own here.

mod calls;
mod issuers;
mod keys;
mod limits;
mod records;
mod spend;
mod usage;
mod vault;

use evidence::log::Hash;
use jiff::Timestamp;
use jiff::civil::Date;
use policy::{Scope, Spend, Window};
use rusqlite::Connection;

use crate::id::{ApiKeyId, CallId, IssuerId};
use crate::store::calls::{CallEnd, CallRow};
use crate::store::keys::KeyRow;
use crate::store::records::{NewRecord, StoredRecord};
use crate::store::tables::{Answer, Log, Node, Tables};
use crate::store::usage::UsageSum;
use crate::vault::Sealed;

impl Log for Connection {
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

impl Tables for Connection {
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
        issuers::put(self, id, sealed, now)
    }

    fn remove_issuer(&self, id: &IssuerId) -> Answer<()> {
        issuers::remove(self, id)
    }

    fn issuers(&self) -> Answer<Vec<(IssuerId, Vec<u8>)>> {
        issuers::list(self)
    }

    fn put_limits(&self, tier: &str, sealed: &[u8]) -> Answer<()> {
        limits::put(self, tier, sealed)
    }

    fn limits(&self, tier: &str) -> Answer<Option<Vec<u8>>> {
        limits::get(self, tier)
    }

    fn all_limits(&self) -> Answer<Vec<(String, Vec<u8>)>> {
        limits::list(self)
    }

    fn put_vault(&self, one: &Sealed, now: Timestamp) -> Answer<()> {
        vault::put(self, one, now)
    }

    fn remove_vault(&self, place: &[u8; 32]) -> Answer<()> {
        vault::remove(self, place)
    }

    fn vault(&self) -> Answer<Vec<Sealed>> {
        vault::list(self)
    }

    fn insert_calls(&self, calls: &[CallRow]) -> Answer<()> {
        calls
            .iter()
            .try_for_each(|call| self::calls::insert(self, call))
    }

    fn settle_calls(&self, ends: &[(CallId, CallEnd)]) -> Answer<Vec<CallRow>> {
        let mut settled = Vec::new();
        for (id, end) in ends {
            if calls::settle(self, id, end)? {
                settled.extend(calls::get(self, id)?);
            }
        }
        Ok(settled)
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
        spend::add(self, spends)
    }

    fn spent(&self, of: &[(Scope, Window)]) -> Answer<Vec<u64>> {
        spend::get(self, of)
    }

    fn spent_after(
        &self,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Answer<Vec<(String, String, u64)>> {
        spend::after(self, after, limit)
    }

    fn add_usage(&self, sums: &[UsageSum]) -> Answer<()> {
        sums.iter().try_for_each(|sum| usage::add(self, sum))
    }

    fn usage(&self, from: Date, to: Date, limit: u32) -> Answer<Vec<UsageSum>> {
        usage::between(self, from, to, limit)
    }
}
