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
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use leaky::{Engine, KEY_A, KEY_B, Leaky, OPERATOR, Switches};
use probe::catalogue::{self, Kind};
use probe::{Admin, Key, Mode, Options, Report, Scale, Verdict};

/// Gateways that are probed at once.
const AT_ONCE: usize = 3;

/// Runs the probe against a leaky gateway, with options changed by `change`.
async fn probed_with(switches: Switches, change: impl FnOnce(&mut Options)) -> Report {
    let listen = free();
    let gateway = Leaky::start(listen, switches).await;
    let mut options = options(&gateway, Mode::Echo { listen });
    options.embedding_model = Some("probe-embedding".to_owned());
    options.admin = Some(Admin {
        url: format!("http://{}", gateway.admin).parse().unwrap(),
        key: Key::new(OPERATOR).unwrap(),
    });
    change(&mut options);
    probe::run(options, |_| {}).await.unwrap()
}

/// An address for an upstream that starts after the gateway that leads to it. Its port is below those that the system gives
/// to connections on their way out: one of these could take it in between.
fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port =
            20_000 + (std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed) * 7) % 12_000;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn options(gateway: &Leaky, mode: Mode) -> Options {
    let target = format!("http://{}/v1", gateway.address).parse().unwrap();
    let key = |text| Key::new(text).unwrap();
    let mut options = Options::new(target, key(KEY_A), key(KEY_B), mode, 42);
    options.scale = Scale::Quick;
    options
}

/// Runs every row of live mode, with a simulated engine behind the gateway.
async fn probed_live(switches: Switches, engine: &Engine) -> Report {
    let gateway = Leaky::start(engine.address(), switches).await;
    let options = options(&gateway, Mode::Live);
    probe::run(options, |_| {}).await.unwrap()
}

/// In the mode that the row is tested in.
async fn probed_for(row: u8, switches: Switches) -> Report {
    match catalogue::entry(row).unwrap().kind {
        Kind::Live => probed_live(switches, &Engine::start(true).await).await,
        _ => probed(switches, &[]).await,
    }
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
    let echo = probed(Switches::default(), &[]).await;
    let live = probed_live(Switches::default(), &Engine::start(true).await).await;
    for report in [&echo, &live] {
        assert!(report.is_clean(), "{}", shown(report));
    }
    let passed = &with(&echo, Verdict::Pass) | &with(&live, Verdict::Pass);
    for switch in leaky::all() {
        assert!(
            passed.contains(&switch.row),
            "row {} of {}: {} {}",
            switch.row,
            switch.name,
            shown(&echo),
            shown(&live)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_forgets_the_salt_below_its_first_level_fails_row_16() {
    let engine = Engine::start(false).await;
    let report = probed_live(Switches::default(), &engine).await;
    assert_eq!(
        with(&report, Verdict::Fail),
        BTreeSet::from([16]),
        "{}",
        shown(&report)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_switch_fails_exactly_its_row() {
    // most of a run is waiting for what is meant to be slow
    let runs = leaky::all().map(async |switch| {
        let mut switches = Switches::default();
        (switch.turn)(&mut switches);
        let report = probed_for(switch.row, switches).await;
        let failed = with(&report, Verdict::Fail);
        (failed != BTreeSet::from([switch.row])).then(|| {
            format!(
                "{} failed {failed:?}, not {}: {}",
                switch.name,
                switch.row,
                shown(&report)
            )
        })
    });
    let runs = futures_util::stream::iter(runs).buffer_unordered(AT_ONCE);
    let wrong: Vec<String> = runs.filter_map(std::future::ready).collect().await;
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
    let mut tested: Vec<u8> = probe::rows().map(|row| row.id).collect();
    tested.sort_unstable();
    let once: BTreeSet<u8> = tested.iter().copied().collect();
    assert_eq!(tested.len(), once.len(), "a row has two tests: {tested:?}");
    for entry in &catalogue::ROWS {
        let testable = !matches!(entry.kind, Kind::Left(_));
        assert_eq!(once.contains(&entry.id), testable, "row {}", entry.id);
    }
    assert!(
        once.iter().all(|id| catalogue::entry(*id).is_some()),
        "{once:?}"
    );
}
