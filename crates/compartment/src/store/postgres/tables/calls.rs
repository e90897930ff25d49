//! Calls: what was reserved for each, and how it ended.

use postgres::Row;

use super::super::open::Open;
use super::{bytes, moment, moment_maybe, number, unreadable};
use crate::id::CallId;
use crate::store::calls::{CallEnd, CallRow, unword, word};
use crate::store::tables::Answer;
use crate::store::{count, millis};

/// The columns of a call, in the order that [`read`] takes them.
macro_rules! columns {
    () => {
        "call.id, credential, subject, session, route, model, upstream, started, bound_input, bound_output, reserved, \
         call.ended, call.outcome, call.basis, call.status, call.input, call.cached_input, call.output, call.cost"
    };
}

/// How calls ended, column by column; nothing for those that are open.
#[derive(Default)]
struct Ends {
    at: Vec<Option<i64>>,
    outcome: Vec<Option<String>>,
    basis: Vec<Option<String>>,
    status: Vec<Option<i64>>,
    input: Vec<Option<i64>>,
    cached_input: Vec<Option<i64>>,
    output: Vec<Option<i64>>,
    cost: Vec<Option<i64>>,
}

impl Ends {
    fn of<'a>(ends: impl Iterator<Item = Option<&'a CallEnd>>) -> Answer<Self> {
        let mut columns = Self::default();
        for end in ends {
            columns.at.push(end.map(|end| millis(end.at)));
            columns
                .outcome
                .push(end.map(|end| word(&end.outcome)).transpose()?);
            columns
                .basis
                .push(end.map(|end| word(&end.basis)).transpose()?);
            columns.status.push(end.map(|end| i64::from(end.status)));
            columns.input.push(end.map(|end| count(end.input)));
            columns
                .cached_input
                .push(end.map(|end| count(end.cached_input)));
            columns.output.push(end.map(|end| count(end.output)));
            columns.cost.push(end.map(|end| count(end.cost)));
        }
        Ok(columns)
    }
}

pub(super) fn insert(open: &Open, calls: &[CallRow]) -> Answer<()> {
    let texts = |of: fn(&CallRow) -> &String| calls.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&CallRow) -> i64| calls.iter().map(of).collect::<Vec<_>>();
    let ids: Vec<_> = calls.iter().map(|call| &call.id.as_bytes()[..]).collect();
    let names = |of: fn(&CallRow) -> Option<&[u8; 16]>| {
        calls
            .iter()
            .map(|call| of(call).map(|name| &name[..]))
            .collect::<Vec<_>>()
    };
    let ends = Ends::of(calls.iter().map(|call| call.end.as_ref()))?;
    open.execute(
        "INSERT INTO call (tenant, id, credential, subject, session, route, model, upstream, started, bound_input, \
         bound_output, reserved, ended, outcome, basis, status, input, cached_input, output, cost) \
         SELECT $1, * FROM unnest($2::bytea[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], \
         $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], \
         $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[])",
        &[
            &open.tenant(),
            &ids,
            &texts(|call| &call.credential),
            &names(|call| call.subject.as_ref()),
            &names(|call| call.session.as_ref()),
            &texts(|call| &call.route),
            &texts(|call| &call.model),
            &texts(|call| &call.upstream),
            &numbers(|call| millis(call.started)),
            &numbers(|call| count(call.bound_input)),
            &numbers(|call| count(call.bound_output)),
            &numbers(|call| count(call.reserved)),
            &ends.at,
            &ends.outcome,
            &ends.basis,
            &ends.status,
            &ends.input,
            &ends.cached_input,
            &ends.output,
            &ends.cost,
        ],
    )?;
    Ok(())
}

pub(super) fn settle(open: &Open, ends: &[(CallId, CallEnd)]) -> Answer<Vec<CallRow>> {
    let ids: Vec<_> = ends.iter().map(|(id, _)| &id.as_bytes()[..]).collect();
    let ends = Ends::of(ends.iter().map(|(_, end)| Some(end)))?;
    let rows = open.query(
        concat!(
            "UPDATE call SET ended = e.ended, outcome = e.outcome, basis = e.basis, status = e.status, \
             input = e.input, cached_input = e.cached_input, output = e.output, cost = e.cost \
             FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], \
             $8::bigint[], $9::bigint[], $10::bigint[]) \
             AS e (id, ended, outcome, basis, status, input, cached_input, output, cost) \
             WHERE call.tenant = $1 AND call.id = e.id AND call.ended IS NULL RETURNING ",
            columns!()
        ),
        &[
            &open.tenant(),
            &ids,
            &ends.at,
            &ends.outcome,
            &ends.basis,
            &ends.status,
            &ends.input,
            &ends.cached_input,
            &ends.output,
            &ends.cost,
        ],
    )?;
    rows.iter().map(read).collect()
}

pub(super) fn get(open: &Open, id: &CallId) -> Answer<Option<CallRow>> {
    let row = open.first(
        concat!(
            "SELECT ",
            columns!(),
            " FROM call WHERE tenant = $1 AND id = $2"
        ),
        &[&open.tenant(), &&id.as_bytes()[..]],
    )?;
    row.as_ref().map(read).transpose()
}

pub(super) fn open(open: &Open, limit: u32) -> Answer<Vec<CallRow>> {
    let rows = open.query(
        concat!(
            "SELECT ",
            columns!(),
            " FROM call WHERE tenant = $1 AND ended IS NULL ORDER BY id LIMIT $2"
        ),
        &[&open.tenant(), &i64::from(limit)],
    )?;
    rows.iter().map(read).collect()
}

pub(super) fn after(open: &Open, after: Option<&CallId>, limit: u32) -> Answer<Vec<CallRow>> {
    let after = after.map_or(&[][..], |id| id.as_bytes());
    let rows = open.query(
        concat!(
            "SELECT ",
            columns!(),
            " FROM call WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3"
        ),
        &[&open.tenant(), &after, &i64::from(limit)],
    )?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Answer<CallRow> {
    let name = |column: usize| {
        row.try_get::<_, Option<&[u8]>>(column)?
            .map(|bytes| bytes.try_into().map_err(|_| unreadable()))
            .transpose()
    };
    let end = match moment_maybe(row, 11)? {
        None => None,
        Some(at) => Some(CallEnd {
            at,
            outcome: unword(row.try_get(12)?).ok_or_else(unreadable)?,
            basis: unword(row.try_get(13)?).ok_or_else(unreadable)?,
            status: u16::try_from(number(row, 14)?).map_err(|_| unreadable())?,
            input: number(row, 15)?,
            cached_input: number(row, 16)?,
            output: number(row, 17)?,
            cost: number(row, 18)?,
        }),
    };
    Ok(CallRow {
        id: CallId::from_bytes(bytes(row, 0)?),
        credential: row.try_get(1)?,
        subject: name(2)?,
        session: name(3)?,
        route: row.try_get(4)?,
        model: row.try_get(5)?,
        upstream: row.try_get(6)?,
        started: moment(row, 7)?,
        bound_input: number(row, 8)?,
        bound_output: number(row, 9)?,
        reserved: number(row, 10)?,
        end,
    })
}
