//! The forms of a report, to the byte: `PROBE_GOLDEN=write cargo test -p probe --test reports` writes them anew, for a person
//! to look at the difference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::time::Duration;

use probe::{
    Control, Distribution, Finding, Report, RowReport, SCHEMA, Series, Summary, catalogue,
};

/// One row of each word, with everything a row can have, and text that every form must escape.
fn report() -> Report {
    let row = |id, finding| {
        RowReport::new(
            catalogue::entry(id).unwrap(),
            finding,
            Duration::from_millis(1234),
        )
    };
    let wave = |shift: f64| -> Vec<f64> {
        (0..200)
            .map(|n| shift + 3.0 * (f64::from(n) * 0.7).sin() + f64::from(n % 7))
            .collect()
    };
    let times = Distribution {
        name: "time to the first token".into(),
        unit: "ms".into(),
        series: vec![
            Series {
                label: "primed by A".into(),
                values: wave(20.0),
            },
            Series {
                label: "fresh".into(),
                values: wave(27.0),
            },
        ],
    };
    let rows = vec![
        row(
            2,
            Finding::counted(
                Control::Shown("20 of 20 repeats of A were answered from A's cache".into()),
                0,
                200,
                "answers to B were made for A",
            )
            .detail("routes: chat, embeddings")
            .reproduce("send one request twice"),
        ),
        row(
            11,
            Finding::counted(
                Control::Shown("all plain calls reached the upstream".into()),
                2,
                160,
                "spoofed requests changed what the upstream was told",
            )
            .details([
                "x-tenant-id: <b>&\"tenant-a\"</b>".to_owned(),
                "FAIL \u{1b}[31mred\u{0}".to_owned(),
            ])
            .measure("refused", 12.0)
            .reproduce("curl $TARGET -H 'x-tenant-id: A' && echo \"done\""),
        ),
        row(
            15,
            Finding::judged(
                Control::Missing("primed and fresh look alike inside A: AUC 0.52".into()),
                true,
                "AUC 0.49 ± 0.03",
            )
            .samples(400)
            .distribution(times),
        ),
        row(
            38,
            Finding::not_tested(
                "not visible from outside; only attestation of the hardware speaks to it",
            ),
        ),
    ];
    Report {
        schema: SCHEMA,
        probe: "0.0.0",
        target: "http://127.0.0.1:7070/".into(),
        model: "small".into(),
        mode: "echo",
        scale: "smoke",
        seed: "42".into(),
        key_a: "sk-a…aaaa".into(),
        key_b: "sk-b…bbbb".into(),
        started: "2026-11-24T12:00:00Z".into(),
        seconds: 4.936,
        summary: Summary {
            pass: 1,
            fail: 1,
            inconclusive: 1,
            not_tested: 1,
        },
        rows,
    }
}

fn check(name: &str, written: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("PROBE_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&path, written).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == expected,
        "{name} differs; write it anew with PROBE_GOLDEN=write and look at the difference:\n{written}"
    );
}

#[test]
fn no_form_hands_control_characters_of_a_target_on() {
    let report = report();
    for written in [
        report.table(100, false),
        report.json(),
        report.junit(),
        report.html(),
    ] {
        assert!(!written.contains(['\u{0}', '\u{1b}']), "{written}");
    }
}

#[test]
fn a_person_reads_the_table_at_a_glance() {
    check("table.txt", &report().table(100, false));
    check("table-colour.txt", &report().table(60, true));
}

#[test]
fn programs_read_the_same_json_from_version_to_version() {
    check("report.json", &report().json());
}

#[test]
fn build_servers_read_junit_xml() {
    let written = report().junit();
    check("junit.xml", &written);
    assert!(
        !written.contains(['\u{0}', '\u{1b}']),
        "control characters are no XML"
    );
    assert!(!written.contains("<b>"), "text is escaped");
}

#[test]
fn the_page_needs_nothing_else() {
    let written = report().html();
    check("page.html", &written);
    for foreign in ["<script", "src=", "href=", "@import", "url(", "<b>&"] {
        assert!(!written.contains(foreign), "{foreign}");
    }
}
