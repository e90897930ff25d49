//! What was used, summed by day, credential and model.

use jiff::civil::Date;
use rusqlite::{Connection, Row, params};

use crate::store::StoreError;
use crate::store::embedded::values::{count, uncount, unreadable};
use crate::store::usage::UsageSum;

/// Adds to the sums.
pub(super) fn add(connection: &Connection, sum: &UsageSum) -> Result<(), StoreError> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO usage (day, credential, model, calls, input, cached_input, output, cost) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT (day, credential, model) DO UPDATE SET calls = calls + excluded.calls, \
         input = input + excluded.input, cached_input = cached_input + excluded.cached_input, \
         output = output + excluded.output, cost = cost + excluded.cost",
    )?;
    upsert.execute(params![
        sum.day.to_string(),
        sum.credential,
        sum.model,
        count(sum.calls),
        count(sum.input),
        count(sum.cached_input),
        count(sum.output),
        count(sum.cost),
    ])?;
    Ok(())
}

/// The sums of the days from `from` to `to`, both included, at most `limit` rows, ordered by day.
pub(super) fn between(
    connection: &Connection,
    from: Date,
    to: Date,
    limit: u32,
) -> Result<Vec<UsageSum>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT day, credential, model, calls, input, cached_input, output, cost FROM usage \
         WHERE day >= ?1 AND day <= ?2 ORDER BY day, credential, model LIMIT ?3",
    )?;
    let rows = select.query_map(params![from.to_string(), to.to_string(), limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<UsageSum> {
    let day: String = row.get(0)?;
    let number = |column: usize| uncount(column, row.get(column)?);
    Ok(UsageSum {
        day: day.parse().map_err(|e| unreadable(0, e))?,
        credential: row.get(1)?,
        model: row.get(2)?,
        calls: number(3)?,
        input: number(4)?,
        cached_input: number(5)?,
        output: number(6)?,
        cost: number(7)?,
    })
}
