//! The embedded store: one SQLite file for each tenant, and one for the deployment; before the tenants' files a commit log
//! for what their calls note.
//!
//! It is dumb. It sees ids, times, counts, blind indexes and sealed bytes; it never sees a name, a text or a key. SQL
//! stands here and nowhere else.

mod batch;
mod book;
pub(crate) mod calls;
mod connection;
pub(crate) mod deployment;
mod desk;
mod edge;
mod entry;
mod error;
pub(crate) mod issuers;
pub(crate) mod keys;
pub(crate) mod limits;
mod log;
mod pen;
pub(crate) mod records;
mod schema;
mod scribes;
pub(crate) mod spend;
mod tenant;
#[cfg(test)]
mod tests;
mod ticket;
mod transaction;
pub(crate) mod usage;
pub(crate) mod vault;

pub(crate) use batch::Batch;
pub(crate) use deployment::{ClaimPlace, DeploymentDb, LoggedHead, TenantRow, TenantState};
pub(crate) use entry::{Begun, Note};
pub use error::StoreError;
pub(crate) use log::CommitLog;
pub(crate) use rusqlite::Connection;
pub(crate) use scribes::Scribes;
pub(crate) use tenant::TenantDb;
pub(crate) use ticket::{Noted, Ticket};
pub(crate) use transaction::Transaction;

use jiff::Timestamp;

/// Times are kept as milliseconds since 1970.
fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn time(column: usize, millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|e| unreadable(column, e))
}

/// Counts are kept in SQLite's signed integers; what does not fit is clamped, and no count of ours comes near.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn uncount(column: usize, value: i64) -> rusqlite::Result<u64> {
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn unreadable(
    column: usize,
    why: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Null, Box::new(why))
}
