//! The manual says of every row what the catalogue says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use probe::catalogue::{self, Kind};

#[test]
fn the_manual_has_every_row_with_its_name_and_where_it_is_tested() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/manual/probe.md");
    let manual = std::fs::read_to_string(path).unwrap();
    for entry in &catalogue::ROWS {
        let tested = match entry.kind {
            Kind::Echo => "echo",
            Kind::Live => "live",
            Kind::Both => "both",
            Kind::Objects(_) => "where offered",
            Kind::Left(_) => "no",
        };
        let begins = format!("| {} | {} | {tested} | ", entry.id, entry.title);
        let line = manual.lines().find(|line| line.starts_with(&begins));
        let line = line.unwrap_or_else(|| panic!("no line begins with {begins}"));
        let says_something =
            line.trim_end_matches(['|', ' ']).len() > begins.trim_end_matches(['|', ' ']).len();
        assert_eq!(says_something, tested != "no", "{line}");
    }
}
