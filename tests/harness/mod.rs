//! What the black-box tests share: a gateway process of their own, a counting upstream, clients, the offline verifier.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support; each test target uses its own part"
)]

pub mod chance;
pub mod client;
pub mod gateway;
pub mod journal;
pub mod raw;
pub mod tenants;
pub mod upstream;

use std::io::Write;
use std::time::{Duration, Instant};

/// Skips loudly what this machine cannot run; with `COFFERDAM_REQUIRE_ALL=1` a skip is a failure.
pub fn skip(what: &str, missing: &str) {
    if std::env::var_os("COFFERDAM_REQUIRE_ALL").is_some_and(|v| v == "1") {
        panic!("{what} was to run here, but {missing}");
    }
    // straight to the terminal: what `eprintln!` says of a test that passes, nobody sees
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {missing}");
}

/// Waits until `condition` holds.
pub fn until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A decimal amount such as `"0.000108"`, in units of 1e-9.
pub fn nanos(amount: &serde_json::Value) -> u64 {
    let text = amount
        .as_str()
        .unwrap_or_else(|| panic!("not an amount: {amount}"));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 9, "{text}");
    let whole: u64 = whole.parse().unwrap();
    whole * 1_000_000_000 + format!("{part:0<9}").parse::<u64>().unwrap()
}
