//! Calls: what was reserved for each, and how it ended.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use crate::id::CallId;
use crate::store::StoreError;
use crate::store::calls::{CallEnd, CallRow, unword, word};
use crate::store::embedded::values::{count, known, millis, time, uncount, unreadable};

const COLUMNS: &str = "id, credential, subject, session, route, model, upstream, started, bound_input, bound_output, \
    reserved, ended, outcome, basis, status, input, cached_input, output, cost";

/// Writes a call, whether it is over or not.
pub(super) fn insert(connection: &Connection, call: &CallRow) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO call (id, credential, subject, session, route, model, upstream, started, bound_input, \
         bound_output, reserved, ended, outcome, basis, status, input, cached_input, output, cost) VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?;
    let end = call.end.as_ref();
    let number = |of: fn(&CallEnd) -> u64| end.map(|end| count(of(end)));
    insert.execute(params![
        call.id.as_bytes(),
        call.credential,
        call.subject,
        call.session,
        call.route,
        call.model,
        call.upstream,
        millis(call.started),
        count(call.bound_input),
        count(call.bound_output),
        count(call.reserved),
        end.map(|end| millis(end.at)),
        end.map(|end| word(&end.outcome)).transpose()?,
        end.map(|end| word(&end.basis)).transpose()?,
        end.map(|end| end.status),
        number(|end| end.input),
        number(|end| end.cached_input),
        number(|end| end.output),
        number(|end| end.cost),
    ])?;
    Ok(())
}

/// Settles a call. Says whether it was open.
pub(super) fn settle(
    connection: &Connection,
    id: &CallId,
    end: &CallEnd,
) -> Result<bool, StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE call SET ended = :ended, outcome = :outcome, basis = :basis, status = :status, input = :input, \
         cached_input = :cached_input, output = :output, cost = :cost WHERE id = :id AND ended IS NULL",
    )?;
    let changed = update.execute(named_params! {
        ":id": id.as_bytes(),
        ":ended": millis(end.at),
        ":outcome": word(&end.outcome)?,
        ":basis": word(&end.basis)?,
        ":status": end.status,
        ":input": count(end.input),
        ":cached_input": count(end.cached_input),
        ":output": count(end.output),
        ":cost": count(end.cost),
    })?;
    Ok(changed == 1)
}

pub(super) fn get(connection: &Connection, id: &CallId) -> Result<Option<CallRow>, StoreError> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM call WHERE id = ?1"))?;
    Ok(select.query_row(params![id.as_bytes()], read).optional()?)
}

/// Calls that have no settlement, in the order they began, at most `limit`.
pub(super) fn open(connection: &Connection, limit: u32) -> Result<Vec<CallRow>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM call WHERE ended IS NULL ORDER BY id LIMIT ?1"
    ))?;
    Ok(select.query_map([limit], read)?.collect::<Result<_, _>>()?)
}

/// The calls after `after` in the order of their ids, at most `limit`.
pub(super) fn after(
    connection: &Connection,
    after: Option<&CallId>,
    limit: u32,
) -> Result<Vec<CallRow>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM call WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let rows = select.query_map(params![after.map(CallId::as_bytes), limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let number = |column: usize| uncount(column, row.get(column)?);
    let ended: Option<i64> = row.get(11)?;
    let end = match ended {
        None => None,
        Some(at) => Some(CallEnd {
            at: time(11, at)?,
            outcome: known(12, unword(&row.get::<_, String>(12)?))?,
            basis: known(13, unword(&row.get::<_, String>(13)?))?,
            status: u16::try_from(row.get::<_, i64>(14)?).map_err(|e| unreadable(14, e))?,
            input: number(15)?,
            cached_input: number(16)?,
            output: number(17)?,
            cost: number(18)?,
        }),
    };
    Ok(CallRow {
        id: CallId::from_bytes(row.get(0)?),
        credential: row.get(1)?,
        subject: row.get(2)?,
        session: row.get(3)?,
        route: row.get(4)?,
        model: row.get(5)?,
        upstream: row.get(6)?,
        started: time(7, row.get(7)?)?,
        bound_input: number(8)?,
        bound_output: number(9)?,
        reserved: number(10)?,
        end,
    })
}
