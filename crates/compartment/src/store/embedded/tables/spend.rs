//! Money spent, summed by scope and window: what budgets are measured against.

use policy::{Scope, Spend, Window};
use rusqlite::{Connection, OptionalExtension, params};

use crate::store::StoreError;
use crate::store::embedded::values::{count, uncount};

/// Adds to the sums. One that would be too large for its column stays at the largest: budgets then are used up, and
/// that is the safe side.
pub(super) fn add(connection: &Connection, spends: &[Spend]) -> Result<(), StoreError> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO spend (scope, span, nanos) VALUES (?1, ?2, ?3) \
         ON CONFLICT (scope, span) DO UPDATE SET \
         nanos = CASE WHEN nanos <= 9223372036854775807 - excluded.nanos THEN nanos + excluded.nanos \
         ELSE 9223372036854775807 END",
    )?;
    for spend in spends {
        upsert.execute(params![
            spend.scope.to_string(),
            spend.window.to_string(),
            count(spend.amount.get())
        ])?;
    }
    Ok(())
}

/// The sums of these, in nano-units; what was never spent is zero.
pub(super) fn get(connection: &Connection, of: &[(Scope, Window)]) -> Result<Vec<u64>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT nanos FROM spend WHERE scope = ?1 AND span = ?2")?;
    of.iter()
        .map(|(scope, window)| {
            let nanos: Option<i64> = select
                .query_row([scope.to_string(), window.to_string()], |row| row.get(0))
                .optional()?;
            Ok(uncount(0, nanos.unwrap_or(0))?)
        })
        .collect()
}

/// The sums after that of `after`, in nano-units, in the order of scope and window, at most `limit`.
pub(super) fn after(
    connection: &Connection,
    after: Option<(&str, &str)>,
    limit: u32,
) -> Result<Vec<(String, String, u64)>, StoreError> {
    let (scope, span) = after.unwrap_or_default();
    let mut select = connection.prepare_cached(
        "SELECT scope, span, nanos FROM spend WHERE (scope, span) > (?1, ?2) ORDER BY scope, span LIMIT ?3",
    )?;
    let rows = select.query_map(params![scope, span, limit], |row| {
        Ok((row.get(0)?, row.get(1)?, uncount(2, row.get(2)?)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
