//! What a run found, as a whole, and the forms it is read in.

mod drawing;
mod html;
mod junit;
mod table;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::catalogue::Entry;
use crate::options::{Mode, Options};
use crate::verdict::{Finding, Verdict};

/// Version of the JSON schema: grows by one when a field changes its meaning or goes away, not when one is added.
pub const SCHEMA: u32 = 1;

/// Characters of one text in a report.
const LONGEST_TEXT: usize = 1000;

/// One row's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowReport {
    /// Its number in the catalogue.
    pub id: u8,
    /// Its name.
    pub title: &'static str,
    /// How the attack works.
    pub mechanism: &'static str,
    /// Where it was seen.
    pub source: &'static str,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl RowReport {
    /// A row's finding, with what the catalogue says of it. Texts are made fit to be shown: a target decides some of them.
    pub fn new(entry: &Entry, mut finding: Finding, took: Duration) -> RowReport {
        finding.texts().for_each(|text| *text = presentable(text));
        RowReport {
            id: entry.id,
            title: entry.title,
            mechanism: entry.mechanism,
            source: entry.source,
            finding,
            seconds: rounded(took),
        }
    }
}

/// How many rows ended with which word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// PASS.
    pub pass: usize,
    /// FAIL.
    pub fail: usize,
    /// INCONCLUSIVE.
    pub inconclusive: usize,
    /// NOT TESTED.
    pub not_tested: usize,
}

/// A whole run. Serialises to the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the probe.
    pub probe: &'static str,
    /// The gateway's base URL.
    pub target: String,
    /// The model that was asked for.
    pub model: String,
    /// `echo` or `live`.
    pub mode: &'static str,
    /// `quick`, `smoke` or `certificate`.
    pub scale: &'static str,
    /// What every random value was drawn from; as text, because not every reader of JSON keeps 64 bits.
    pub seed: String,
    /// Tenant A's key, shortened.
    pub key_a: String,
    /// Tenant B's key, shortened.
    pub key_b: String,
    /// When it began (RFC 3339, UTC, whole seconds).
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// How many rows ended with which word.
    pub summary: Summary,
    /// Every row that was asked for, by number.
    pub rows: Vec<RowReport>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        model: String,
        started: Timestamp,
        took: Duration,
        rows: Vec<RowReport>,
    ) -> Report {
        let count = |word| {
            rows.iter()
                .filter(|row| row.finding.verdict == word)
                .count()
        };
        Report {
            schema: SCHEMA,
            probe: env!("CARGO_PKG_VERSION"),
            target: options.target.to_string(),
            model: presentable(&model),
            mode: match options.mode {
                Mode::Echo { .. } => "echo",
                Mode::Live => "live",
            },
            scale: options.scale.word(),
            seed: options.seed.to_string(),
            key_a: options.key_a.shortened(),
            key_b: options.key_b.shortened(),
            started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            seconds: rounded(took),
            summary: Summary {
                pass: count(Verdict::Pass),
                fail: count(Verdict::Fail),
                inconclusive: count(Verdict::Inconclusive),
                not_tested: count(Verdict::NotTested),
            },
            rows,
        }
    }

    /// A table that a person reads at a glance, at most `width` columns wide (never less than 60); with colour for a
    /// terminal.
    pub fn table(&self, width: u16, colour: bool) -> String {
        table::write(self, width, colour)
    }

    /// One JSON document, described in `docs/manual/probe.md`.
    pub fn json(&self) -> String {
        // names and numbers only: nothing in a report can fail to be written
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// JUnit XML, as build servers read it: FAIL is a failure, INCONCLUSIVE an error, NOT TESTED skipped.
    pub fn junit(&self) -> String {
        junit::write(self)
    }

    /// One HTML page that needs nothing else: no script, no font, no picture from anywhere.
    pub fn html(&self) -> String {
        html::write(self)
    }

    /// Whether nothing failed and nothing that was tried stayed open.
    pub fn is_clean(&self) -> bool {
        self.summary.fail == 0 && self.summary.inconclusive == 0
    }

    /// The word of a row; none where it was not asked for.
    pub fn verdict(&self, id: u8) -> Option<Verdict> {
        let row = self.rows.iter().find(|row| row.id == id)?;
        Some(row.finding.verdict)
    }
}

/// A text without control characters, which could make a terminal do things, and not longer than anyone reads.
fn presentable(text: &str) -> String {
    let shown = text.chars().take(LONGEST_TEXT);
    let mut shown: String = shown
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

/// Seconds to the millisecond.
fn rounded(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}
