//! The report as one page.

use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

use super::drawing::{self, Drawing};
use super::{Report, RowReport};
use crate::verdict::Verdict;

const TEMPLATE: &str = include_str!("page.html");

/// Rows of one word.
#[derive(Serialize)]
struct Group<'a> {
    word: &'static str,
    class: Verdict,
    rows: Vec<Drawn<'a>>,
}

/// A row with its pictures.
#[derive(Serialize)]
struct Drawn<'a> {
    row: &'a RowReport,
    drawings: Vec<Drawing>,
}

#[expect(
    clippy::expect_used,
    reason = "the template is part of the program, and a test renders all of it"
)]
pub(super) fn write(report: &Report) -> String {
    let groups: Vec<Group> = Verdict::ALL
        .into_iter()
        .map(|verdict| Group {
            word: verdict.word(),
            class: verdict,
            rows: drawn(report, verdict),
        })
        .collect();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    let template = environment.template_from_named_str("page.html", TEMPLATE);
    let rendered = template.and_then(|template| template.render(context! { report, groups }));
    rendered.expect("the template renders")
}

fn drawn(report: &Report, verdict: Verdict) -> Vec<Drawn<'_>> {
    let rows = report
        .rows
        .iter()
        .filter(|row| row.finding.verdict == verdict);
    rows.map(|row| Drawn {
        row,
        drawings: row
            .finding
            .distributions
            .iter()
            .filter_map(drawing::draw)
            .collect(),
    })
    .collect()
}
