//! `cofferdam usage`

use anyhow::Result;
use wire::steward::UsageList;

use super::operator;
use crate::cli;
use crate::show;

pub fn run(asked: cli::Usage) -> Result<()> {
    let mut path = format!("/admin/v1/tenants/{}/usage?by=each", asked.tenant);
    for (name, value) in [("from", &asked.from), ("to", &asked.to)] {
        if let Some(value) = value {
            path += &format!("&{name}={value}");
        }
    }
    let usage: UsageList = operator(&asked.reach)?.get(&path)?;
    if asked.reach.json {
        return show::json(&usage);
    }
    table(&usage);
    Ok(())
}

/// The rows, and their sum below them.
pub fn table(usage: &UsageList) {
    let row = |row: &wire::steward::UsageRow, first: String| {
        vec![
            first,
            row.key.clone().unwrap_or_default(),
            row.model.clone().unwrap_or_default(),
            row.calls.to_string(),
            row.input_tokens.to_string(),
            row.output_tokens.to_string(),
            format!("{} {}", row.cost, usage.currency),
        ]
    };
    let mut rows: Vec<_> = usage
        .data
        .iter()
        .map(|r| row(r, r.day.map_or(String::new(), |day| day.to_string())))
        .collect();
    if rows.len() != 1 {
        rows.push(row(&usage.total, "total".to_owned()));
    }
    show::table(
        &[
            "day",
            "key",
            "model",
            "calls",
            "tokens in",
            "tokens out",
            "cost",
        ],
        rows,
    );
}
