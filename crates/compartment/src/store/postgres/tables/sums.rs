//! Money spent by scope and window, and usage by day, credential and model.

use std::collections::HashMap;

use jiff::civil::Date;
use policy::{Scope, Spend, Window};

use super::super::open::Open;
use super::{number, unreadable};
use crate::store::count;
use crate::store::tables::Answer;
use crate::store::usage::UsageSum;

pub(super) fn add_spends(open: &Open, spends: &[Spend]) -> Answer<()> {
    let scopes: Vec<_> = spends.iter().map(|spend| spend.scope.to_string()).collect();
    let spans: Vec<_> = spends
        .iter()
        .map(|spend| spend.window.to_string())
        .collect();
    let nanos: Vec<_> = spends
        .iter()
        .map(|spend| count(spend.amount.get()))
        .collect();
    open.execute(
        "INSERT INTO spend (tenant, scope, span, nanos) \
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[]) \
         ON CONFLICT (tenant, scope, span) DO UPDATE SET \
         nanos = CASE WHEN spend.nanos <= 9223372036854775807 - excluded.nanos THEN spend.nanos + excluded.nanos \
         ELSE 9223372036854775807 END",
        &[&open.tenant(), &scopes, &spans, &nanos],
    )?;
    Ok(())
}

pub(super) fn spent(open: &Open, of: &[(Scope, Window)]) -> Answer<Vec<u64>> {
    let scopes: Vec<_> = of.iter().map(|(scope, _)| scope.to_string()).collect();
    let spans: Vec<_> = of.iter().map(|(_, window)| window.to_string()).collect();
    let rows = open.query(
        "SELECT scope, span, nanos FROM spend WHERE tenant = $1 \
         AND (scope, span) IN (SELECT * FROM unnest($2::text[], $3::text[]))",
        &[&open.tenant(), &scopes, &spans],
    )?;
    let mut found: HashMap<(String, String), u64> = HashMap::new();
    for row in &rows {
        found.insert((row.try_get(0)?, row.try_get(1)?), number(row, 2)?);
    }
    let places = scopes.into_iter().zip(spans);
    Ok(places
        .map(|place| found.get(&place).copied().unwrap_or(0))
        .collect())
}

pub(super) fn spent_after(
    open: &Open,
    after: Option<(&str, &str)>,
    limit: u32,
) -> Answer<Vec<(String, String, u64)>> {
    let (scope, span) = after.unwrap_or_default();
    let rows = open.query(
        "SELECT scope, span, nanos FROM spend WHERE tenant = $1 AND (scope, span) > ($2, $3) \
         ORDER BY scope, span LIMIT $4",
        &[&open.tenant(), &scope, &span, &i64::from(limit)],
    )?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, number(row, 2)?)))
        .collect()
}

pub(super) fn add_usage(open: &Open, sums: &[UsageSum]) -> Answer<()> {
    let numbers = |of: fn(&UsageSum) -> u64| sums.iter().map(|sum| count(of(sum))).collect();
    let days: Vec<_> = sums.iter().map(|sum| sum.day.to_string()).collect();
    let credentials: Vec<_> = sums.iter().map(|sum| &sum.credential).collect();
    let models: Vec<_> = sums.iter().map(|sum| &sum.model).collect();
    let calls: Vec<i64> = numbers(|sum| sum.calls);
    let inputs: Vec<i64> = numbers(|sum| sum.input);
    let cached: Vec<i64> = numbers(|sum| sum.cached_input);
    let outputs: Vec<i64> = numbers(|sum| sum.output);
    let costs: Vec<i64> = numbers(|sum| sum.cost);
    open.execute(
        "INSERT INTO usage (tenant, day, credential, model, calls, input, cached_input, output, cost) \
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[]) \
         ON CONFLICT (tenant, day, credential, model) DO UPDATE SET calls = usage.calls + excluded.calls, \
         input = usage.input + excluded.input, cached_input = usage.cached_input + excluded.cached_input, \
         output = usage.output + excluded.output, cost = usage.cost + excluded.cost",
        &[
            &open.tenant(),
            &days,
            &credentials,
            &models,
            &calls,
            &inputs,
            &cached,
            &outputs,
            &costs,
        ],
    )?;
    Ok(())
}

pub(super) fn usage(open: &Open, from: Date, to: Date, limit: u32) -> Answer<Vec<UsageSum>> {
    let rows = open.query(
        "SELECT day, credential, model, calls, input, cached_input, output, cost FROM usage \
         WHERE tenant = $1 AND day >= $2 AND day <= $3 ORDER BY day, credential, model LIMIT $4",
        &[
            &open.tenant(),
            &from.to_string(),
            &to.to_string(),
            &i64::from(limit),
        ],
    )?;
    rows.iter()
        .map(|row| {
            let day: &str = row.try_get(0)?;
            Ok(UsageSum {
                day: day.parse().map_err(|_| unreadable())?,
                credential: row.try_get(1)?,
                model: row.try_get(2)?,
                calls: number(row, 3)?,
                input: number(row, 4)?,
                cached_input: number(row, 5)?,
                output: number(row, 6)?,
                cost: number(row, 7)?,
            })
        })
        .collect()
}
