//! How times and counts stand in SQLite's columns.

use jiff::Timestamp;

pub(super) use crate::store::{count, millis};

pub(super) fn time(column: usize, millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|e| unreadable(column, e))
}

pub(super) fn uncount(column: usize, value: i64) -> rusqlite::Result<u64> {
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A word of the journal that was read from a column.
pub(super) fn known<T>(column: usize, word: Option<T>) -> rusqlite::Result<T> {
    word.ok_or_else(|| unreadable(column, std::fmt::Error))
}

pub(super) fn unreadable(
    column: usize,
    why: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Null, Box::new(why))
}
