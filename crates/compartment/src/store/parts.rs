//! The kinds of rows that a tenant has, for whoever takes all of them from one store to another.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use policy::{Nanos, Spend};

use super::StoreError;
use super::calls::CallRow;
use super::keys::KeyRow;
use super::records::{self, StoredRecord};
use super::tables::{Answer, Tables};
use super::transaction::Transaction;
use super::usage::UsageSum;
use crate::id::IssuerId;
use crate::vault::Sealed;

/// One kind of rows, in an order that both back ends have.
pub(crate) trait Part {
    /// One of them.
    type Row: Clone + PartialEq + Send + 'static;

    /// Those after `after`, at most about `limit`; none at the end.
    fn page(tables: &dyn Tables, after: Option<&Self::Row>, limit: u32) -> Answer<Vec<Self::Row>>;

    /// Adds some to a store that has none behind them.
    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], now: Timestamp) -> Answer<()>;
}

/// The records of the journal.
pub(crate) struct Records;
/// The checkpoints that are kept.
pub(crate) struct Checkpoints;
/// API keys.
pub(crate) struct Keys;
/// Pinned token issuers.
pub(crate) struct Issuers;
/// Tiers of limits.
pub(crate) struct Limits;
/// Upstream credentials.
pub(crate) struct Vault;
/// Calls.
pub(crate) struct Calls;
/// What was spent.
pub(crate) struct Spent;
/// What was used.
pub(crate) struct Usage;

impl Part for Records {
    type Row = (u64, StoredRecord);

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, limit: u32) -> Answer<Vec<Self::Row>> {
        let from = after.map_or(0, |(seq, _)| seq.saturating_add(1));
        Ok((from..)
            .zip(tables.records(from, u64::MAX, limit)?)
            .collect())
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        let records: Vec<_> = rows.iter().map(|(_, record)| record.clone()).collect();
        transaction.append_again(&records)
    }
}

impl Part for Checkpoints {
    type Row = (u64, String);

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, _: u32) -> Answer<Vec<Self::Row>> {
        tables.checkpoints(after.map_or(0, |(size, _)| *size), u64::MAX)
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        for (size, note) in rows {
            let at = records::signed_at(note).ok_or_else(|| {
                StoreError::Corrupt("journal: a checkpoint has no time".to_owned())
            })?;
            transaction.replace_checkpoint(*size, *size, at, note)?;
        }
        Ok(())
    }
}

impl Part for Keys {
    type Row = KeyRow;

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, limit: u32) -> Answer<Vec<Self::Row>> {
        tables.keys(after.map(|key| key.id), limit)
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        rows.iter().try_for_each(|key| transaction.insert_key(key))
    }
}

impl Part for Issuers {
    type Row = (IssuerId, Vec<u8>);

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, _: u32) -> Answer<Vec<Self::Row>> {
        all_at_once(after, || tables.issuers())
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], now: Timestamp) -> Answer<()> {
        rows.iter()
            .try_for_each(|(id, sealed)| transaction.put_issuer(id, sealed, now))
    }
}

impl Part for Limits {
    type Row = (String, Vec<u8>);

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, _: u32) -> Answer<Vec<Self::Row>> {
        all_at_once(after, || tables.all_limits())
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        rows.iter()
            .try_for_each(|(tier, sealed)| transaction.put_limits(tier, sealed))
    }
}

impl Part for Vault {
    type Row = Sealed;

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, _: u32) -> Answer<Vec<Self::Row>> {
        all_at_once(after, || tables.vault())
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], now: Timestamp) -> Answer<()> {
        rows.iter()
            .try_for_each(|one| transaction.put_vault(one, now))
    }
}

impl Part for Calls {
    type Row = CallRow;

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, limit: u32) -> Answer<Vec<Self::Row>> {
        tables.calls_after(after.map(|call| &call.id), limit)
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        transaction.insert_calls(rows)
    }
}

impl Part for Spent {
    /// Scope, window and nano-units.
    type Row = (String, String, u64);

    fn page(tables: &dyn Tables, after: Option<&Self::Row>, limit: u32) -> Answer<Vec<Self::Row>> {
        let after = after.map(|(scope, span, _)| (scope.as_str(), span.as_str()));
        tables.spent_after(after, limit)
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        let unknown = || StoreError::Corrupt("a sum has no scope or window of ours".to_owned());
        let spends: Vec<_> = rows
            .iter()
            .map(|(scope, span, nanos)| {
                Some(Spend {
                    scope: scope.parse().ok()?,
                    window: span.parse().ok()?,
                    amount: Nanos::new(*nanos)?,
                })
            })
            .collect::<Option<_>>()
            .ok_or_else(unknown)?;
        transaction.add_spends(&spends)
    }
}

impl Part for Usage {
    type Row = UsageSum;

    /// A day's rows may be cut by `limit`; then the page goes on to the end of that day.
    fn page(tables: &dyn Tables, after: Option<&Self::Row>, limit: u32) -> Answer<Vec<Self::Row>> {
        const FIRST: Date = date(0, 1, 1);
        let from = match after.map(|sum| sum.day.tomorrow()) {
            None => FIRST,
            Some(Ok(next)) => next,
            Some(Err(_)) => return Ok(Vec::new()),
        };
        let some = tables.usage(from, Date::MAX, limit)?;
        match some.last() {
            Some(last) => tables.usage(from, last.day, u32::MAX),
            None => Ok(some),
        }
    }

    fn put(transaction: &Transaction<'_>, rows: &[Self::Row], _: Timestamp) -> Answer<()> {
        transaction.add_usage(rows)
    }
}

/// What there are few of, in one page.
fn all_at_once<T>(after: Option<&T>, all: impl FnOnce() -> Answer<Vec<T>>) -> Answer<Vec<T>> {
    after.map_or_else(all, |_| Ok(Vec::new()))
}
