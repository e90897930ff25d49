//! The probe is proven sensitive before it is believed: every switch of the leaky gateway turns exactly its row to FAIL, and
//! with all of them off nothing fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod leaky;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use leaky::{KEY_A, KEY_B, Leaky, Switches};
use probe::{Key, Mode, Options, Report, Scale, Verdict};

/// Rows of the catalogue whose tests are still being written. May only shrink.
const UNWRITTEN: &[u8] = &[
    1, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    32, 34, 35, 37,
];

/// Runs the probe against a leaky gateway, with options changed by `change`.
async fn probed_with(switches: Switches, change: impl FnOnce(&mut Options)) -> Report {
    // both ends must know the other's address: one port is found free first
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let gateway = Leaky::start(listen, switches).await;
    let target = format!("http://{}/v1", gateway.address).parse().unwrap();
    let key = |text| Key::new(text).unwrap();
    let mut options = Options::new(target, key(KEY_A), key(KEY_B), Mode::Echo { listen }, 42);
    options.scale = Scale::Quick;
    options.embedding_model = Some("probe-embedding".to_owned());
    change(&mut options);
    probe::run(options, |_| {}).await.unwrap()
}

/// As [`probed_with`]; all rows where none are named.
async fn probed(switches: Switches, only: &[u8]) -> Report {
    probed_with(switches, |options| options.only = only.to_vec()).await
}

fn with(report: &Report, word: Verdict) -> BTreeSet<u8> {
    let rows = report.rows.iter().filter(|row| row.finding.verdict == word);
    rows.map(|row| row.id).collect()
}

fn shown(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_gateway_fails_nothing_and_passes_what_can_leak() {
    let report = probed(Switches::default(), &[]).await;
    assert!(report.is_clean(), "{}", shown(&report));
    let passed = with(&report, Verdict::Pass);
    for switch in leaky::all() {
        assert!(
            passed.contains(&switch.row),
            "row {} of {}: {}",
            switch.row,
            switch.name,
            shown(&report)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_switch_fails_exactly_its_row() {
    let mut wrong = Vec::new();
    for switch in leaky::all() {
        let mut switches = Switches::default();
        (switch.turn)(&mut switches);
        let report = probed(switches, &[]).await;
        let failed = with(&report, Verdict::Fail);
        if failed != BTreeSet::from([switch.row]) {
            wrong.push(format!(
                "{} failed {failed:?}, not {}: {}",
                switch.name,
                switch.row,
                shown(&report)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_seed_replays_a_run_exactly() {
    // with a leak, so that what was asked stands in the report
    let mut switches = Switches::default();
    switches.caching.shared = true;
    let first = probed(switches.clone(), &[2, 11]).await;
    let again = probed(switches, &[2, 11]).await;
    assert_eq!(first.verdict(2), Some(Verdict::Fail));
    for (first, again) in first.rows.iter().zip(&again.rows) {
        assert_eq!(first.finding, again.finding);
    }
}

#[tokio::test]
async fn rows_that_the_limits_leave_undone_are_inconclusive() {
    let report = probed_with(Switches::default(), |options| {
        options.only = vec![2, 38];
        options.limits.requests = 10;
    })
    .await;
    assert_eq!(report.verdict(2), Some(Verdict::Inconclusive));
    assert_eq!(report.verdict(38), Some(Verdict::NotTested));
    assert!(!report.is_clean());
}

#[test]
fn every_row_of_the_catalogue_is_tested_or_says_why_not() {
    use probe::catalogue::{self, Kind};
    let mut tested: Vec<u8> = probe::rows().map(|row| row.id).collect();
    tested.sort_unstable();
    let once: BTreeSet<u8> = tested.iter().copied().collect();
    assert_eq!(tested.len(), once.len(), "a row has two tests: {tested:?}");
    for entry in &catalogue::ROWS {
        let testable = !matches!(entry.kind, Kind::Left(_));
        let unwritten = UNWRITTEN.contains(&entry.id);
        let has_test = once.contains(&entry.id);
        assert!(
            if testable {
                has_test || unwritten
            } else {
                !has_test
            },
            "row {}",
            entry.id
        );
    }
    assert!(
        once.iter().all(|id| catalogue::entry(*id).is_some()),
        "{once:?}"
    );
}
