//! The report for a terminal.

use std::fmt::Write;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, TableComponent, presets};

use super::Report;
use crate::verdict::Verdict;

const NARROWEST: u16 = 60;
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

pub(super) fn write(report: &Report, width: u16, colour: bool) -> String {
    let paint = |text: &str, with: &str| {
        if colour {
            format!("{with}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    };
    let mut text = String::new();
    for line in rows(report, width).lines() {
        let line = line.trim_end();
        // the word begins its row, so that no word within a text is taken for it
        let found = Verdict::ALL
            .into_iter()
            .find(|word| line.trim_start().starts_with(word.word()));
        match found {
            Some(word) => {
                text.push_str(&line.replacen(word.word(), &paint(word.word(), shade(word)), 1))
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    for row in &report.rows {
        let finding = &row.finding;
        if !matches!(finding.verdict, Verdict::Fail | Verdict::Inconclusive) {
            continue;
        }
        let heading = format!("{} {} {}", finding.verdict.word(), row.id, row.title);
        let _ = writeln!(
            text,
            "\n{}: {}",
            paint(&heading, shade(finding.verdict)),
            row.mechanism
        );
        let control = finding.control.iter().map(|how| format!("control: {how}"));
        let reproduce = finding
            .reproduce
            .iter()
            .map(|how| format!("by hand: {how}"));
        for line in finding
            .detail
            .iter()
            .cloned()
            .chain(control)
            .chain(reproduce)
        {
            let _ = writeln!(text, "  - {line}");
        }
    }
    let summary = &report.summary;
    let counts: Vec<String> = [
        (Verdict::Pass, summary.pass),
        (Verdict::Fail, summary.fail),
        (Verdict::Inconclusive, summary.inconclusive),
        (Verdict::NotTested, summary.not_tested),
    ]
    .iter()
    .map(|(word, count)| {
        let counted = format!("{count} {}", word.word());
        if *count > 0 {
            paint(&counted, shade(*word))
        } else {
            counted
        }
    })
    .collect();
    let _ = writeln!(text, "\n{}", counts.join(", "));
    let _ = writeln!(
        text,
        "{} at {}, model {}, {} in {} s; seed {} replays it",
        report.mode,
        report.target,
        report.model,
        report.scale,
        report.seconds,
        paint(&report.seed, BOLD)
    );
    text
}

fn rows(report: &Report, width: u16) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width.max(NARROWEST))
        .set_header(["verdict", "#", "attack", "figure"])
        .remove_style(TableComponent::HorizontalLines)
        .remove_style(TableComponent::MiddleIntersections);
    for row in &report.rows {
        let bound = row.finding.bound.as_ref().map(|bound| format!("; {bound}"));
        table.add_row([
            row.finding.verdict.word().to_owned(),
            row.id.to_string(),
            row.title.to_owned(),
            row.finding.figure.clone() + &bound.unwrap_or_default(),
        ]);
    }
    for index in [0, 1] {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.to_string()
}

/// Green, red, yellow, dim.
fn shade(word: Verdict) -> &'static str {
    match word {
        Verdict::Pass => "\x1b[32m",
        Verdict::Fail => "\x1b[1;31m",
        Verdict::Inconclusive => "\x1b[33m",
        Verdict::NotTested => "\x1b[2m",
    }
}
