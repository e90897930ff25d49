//! Calls: what was reserved for each, and how it ended.

use evidence::{Basis, CallIntent, CallSettled, Id, Outcome};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::{Serialize, de::DeserializeOwned};

use super::entry::Begun;
use super::{StoreError, count, millis, time, uncount, unreadable};
use crate::id::CallId;

/// A call's intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallRow {
    pub(crate) id: CallId,
    /// The credential, as records show it.
    pub(crate) credential: String,
    pub(crate) subject: Option<[u8; 16]>,
    pub(crate) session: Option<[u8; 16]>,
    pub(crate) route: String,
    pub(crate) model: String,
    pub(crate) upstream: String,
    pub(crate) started: Timestamp,
    /// Most tokens, and the money held for them in nano-units.
    pub(crate) bound_input: u64,
    pub(crate) bound_output: u64,
    pub(crate) reserved: u64,
    pub(crate) end: Option<CallEnd>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallEnd {
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) basis: Basis,
    pub(crate) status: u16,
    pub(crate) input: u64,
    pub(crate) cached_input: u64,
    pub(crate) output: u64,
    /// Nano-units.
    pub(crate) cost: u64,
}

const COLUMNS: &str = "id, credential, subject, session, route, model, upstream, started, bound_input, bound_output, \
    reserved, ended, outcome, basis, status, input, cached_input, output, cost";

impl CallRow {
    /// The row of a call that begins.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where the record names no call of ours.
    pub(super) fn begun(intent: &CallIntent, begun: &Begun) -> Result<Self, StoreError> {
        let text = |id: &Id| id.as_str().to_owned();
        Ok(Self {
            id: id(&intent.call)?,
            credential: text(&intent.credential),
            subject: begun.subject,
            session: begun.session,
            route: text(&intent.route),
            model: text(&intent.model),
            upstream: text(&intent.upstream),
            started: begun.started,
            bound_input: intent.bound_input_tokens,
            bound_output: intent.bound_output_tokens,
            reserved: intent.reserved_nanos,
            end: None,
        })
    }
}

impl CallEnd {
    /// What a record says that stands in the journal since `at`.
    pub(crate) fn of(settled: &CallSettled, at: Timestamp) -> Self {
        Self {
            at,
            outcome: settled.outcome,
            basis: settled.measured,
            status: settled.status,
            input: settled.input_tokens,
            cached_input: settled.cached_input_tokens,
            output: settled.output_tokens,
            cost: settled.cost_nanos,
        }
    }
}

/// The call that a record names.
pub(crate) fn id(named: &Id) -> Result<CallId, StoreError> {
    CallId::parse(named.as_str())
        .map_err(|_| StoreError::Corrupt("a record names no call of ours".to_owned()))
}

/// Writes a call, whether it is over or not.
pub(crate) fn insert(connection: &Connection, call: &CallRow) -> Result<(), StoreError> {
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

pub(crate) fn get(connection: &Connection, id: &CallId) -> Result<Option<CallRow>, StoreError> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM call WHERE id = ?1"))?;
    Ok(select.query_row(params![id.as_bytes()], read).optional()?)
}

/// Calls that have no settlement, in the order they began, at most `limit`.
pub(crate) fn open(connection: &Connection, limit: u32) -> Result<Vec<CallRow>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM call WHERE ended IS NULL ORDER BY id LIMIT ?1"
    ))?;
    Ok(select.query_map([limit], read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let number = |column: usize| uncount(column, row.get(column)?);
    let ended: Option<i64> = row.get(11)?;
    let end = match ended {
        None => None,
        Some(at) => Some(CallEnd {
            at: time(11, at)?,
            outcome: unword(12, &row.get::<_, String>(12)?)?,
            basis: unword(13, &row.get::<_, String>(13)?)?,
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

/// The word that the journal uses for it too.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Failed(e.to_string()))?;
    Ok(text.trim_matches('"').to_owned())
}

fn unword<T: DeserializeOwned>(column: usize, word: &str) -> rusqlite::Result<T> {
    serde_json::from_str(&format!("\"{word}\"")).map_err(|e| unreadable(column, e))
}
