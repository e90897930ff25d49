//! What a tenant's store holds, whichever back end keeps it.
//!
//! Both traits are one back end's view of one open connection or transaction: what one writes, the next one reads. They
//! are dumb. They see ids, times, counts, blind indexes and sealed bytes, and every one of them belongs to one tenant.

use evidence::log::Hash;
use jiff::Timestamp;
use jiff::civil::Date;
use policy::{Nanos, Scope, Spend, Window};

use super::StoreError;
use super::calls::{CallEnd, CallRow};
use super::keys::KeyRow;
use super::records::{NewRecord, StoredRecord};
use super::usage::UsageSum;
use crate::id::{ApiKeyId, CallId, IssuerId};
use crate::vault::Sealed;

/// What one statement answers.
pub(crate) type Answer<T> = Result<T, StoreError>;

/// Where a hash of the tree stands: the record that completes its subtree, and which of that record's hashes it is.
pub(crate) type Node = (u64, u8);

/// A Merkle log: its records, each with the hashes that it brings to the tree, and its signed checkpoints.
pub(crate) trait Log {
    /// How many records there are.
    fn size(&self) -> Answer<u64>;

    /// Appends records, in the order of their numbers.
    fn insert_records(&self, records: &[NewRecord<'_>]) -> Answer<()>;

    /// The records from `from` up to and without `to`, at most `limit`.
    fn records(&self, from: u64, to: u64, limit: u32) -> Answer<Vec<StoredRecord>>;

    /// The record at `seq`.
    fn record(&self, seq: u64) -> Answer<Option<StoredRecord>> {
        Ok(self.records(seq, seq.saturating_add(1), 1)?.pop())
    }

    /// The hashes at these places, one for each.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where one is not there.
    fn hashes(&self, of: &[Node]) -> Answer<Vec<Hash>>;

    /// Keeps a signed checkpoint, and forgets those of more than `tile` and fewer than `size` records.
    fn replace_checkpoint(&self, tile: u64, size: u64, at: Timestamp, note: &str) -> Answer<()>;

    /// The newest checkpoint of at most `size` records: its size and its note.
    fn checkpoint_within(&self, size: u64) -> Answer<Option<(u64, String)>>;

    /// The checkpoints of more than `after` and at most `to` records, the smallest first: one for 256 records.
    fn checkpoints(&self, after: u64, to: u64) -> Answer<Vec<(u64, String)>>;
}

/// Everything of one tenant.
pub(crate) trait Tables: Log {
    /// Adds an API key; an error where its id is taken.
    fn insert_key(&self, key: &KeyRow) -> Answer<()>;

    /// Changes description, expiry and revocation of a key that is there.
    fn update_key(&self, key: &KeyRow) -> Answer<()>;

    /// One key, revoked or not.
    fn key(&self, id: &ApiKeyId) -> Answer<Option<KeyRow>>;

    /// The keys after `after` in the order of their ids, at most `limit`.
    fn keys(&self, after: Option<ApiKeyId>, limit: u32) -> Answer<Vec<KeyRow>>;

    /// The keys that are not revoked.
    fn live_keys(&self) -> Answer<Vec<KeyRow>>;

    /// Adds or replaces a pinned token issuer.
    fn put_issuer(&self, id: &IssuerId, sealed: &[u8], now: Timestamp) -> Answer<()>;

    /// Removes one, if it is there.
    fn remove_issuer(&self, id: &IssuerId) -> Answer<()>;

    /// Every pinned issuer, ordered by id.
    fn issuers(&self) -> Answer<Vec<(IssuerId, Vec<u8>)>>;

    /// Adds or replaces a tier of limits.
    fn put_limits(&self, tier: &str, sealed: &[u8]) -> Answer<()>;

    /// A tier of limits.
    fn limits(&self, tier: &str) -> Answer<Option<Vec<u8>>>;

    /// Every tier of limits, ordered by name.
    fn all_limits(&self) -> Answer<Vec<(String, Vec<u8>)>>;

    /// Adds or replaces an upstream credential.
    fn put_vault(&self, one: &Sealed, now: Timestamp) -> Answer<()>;

    /// Removes one, if it is there.
    fn remove_vault(&self, place: &[u8; 32]) -> Answer<()>;

    /// Every upstream credential, ordered by place.
    fn vault(&self) -> Answer<Vec<Sealed>>;

    /// Writes calls, whether they are over or not.
    fn insert_calls(&self, calls: &[CallRow]) -> Answer<()>;

    /// Settles calls, each named once; gives those that were open, as they are now.
    fn settle_calls(&self, ends: &[(CallId, CallEnd)]) -> Answer<Vec<CallRow>>;

    /// One call.
    fn call(&self, id: &CallId) -> Answer<Option<CallRow>>;

    /// Calls that have no settlement, in the order they began, at most `limit`.
    fn open_calls(&self, limit: u32) -> Answer<Vec<CallRow>>;

    /// The calls after `after` in the order of their ids, at most `limit`.
    fn calls_after(&self, after: Option<&CallId>, limit: u32) -> Answer<Vec<CallRow>>;

    /// Adds to what was spent; each scope and window is named once. A sum that would be too large stays at the largest:
    /// budgets then are used up, and that is the safe side.
    fn add_spends(&self, spends: &[Spend]) -> Answer<()>;

    /// What was spent, one sum for each, in nano-units; what was never spent is zero.
    fn spent(&self, of: &[(Scope, Window)]) -> Answer<Vec<u64>>;

    /// What was spent, in nano-units: the sums after that of the scope and window `after`, in the order of these words, at
    /// most `limit`.
    fn spent_after(
        &self,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Answer<Vec<(String, String, u64)>>;

    /// Adds to the sums of usage; each day, credential and model is named once.
    fn add_usage(&self, sums: &[UsageSum]) -> Answer<()>;

    /// The sums of the days from `from` to `to`, both included, at most `limit` rows, ordered by day.
    fn usage(&self, from: Date, to: Date, limit: u32) -> Answer<Vec<UsageSum>>;
}

/// The sums of these scopes and windows, as the book of money takes them.
///
/// # Errors
///
/// Faults of the store.
pub(crate) fn spends(tables: &dyn Tables, of: &[(Scope, Window)]) -> Answer<Vec<Spend>> {
    let sums = tables.spent(of)?;
    let spends = of.iter().zip(sums).map(|((scope, window), nanos)| Spend {
        scope: scope.clone(),
        window: *window,
        amount: Nanos::new(nanos).unwrap_or(Nanos::MAX),
    });
    Ok(spends.collect())
}
