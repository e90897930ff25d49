//! What the black-box tests share: a running gateway of their own, a counting upstream, and a client.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support; each test target uses its own part"
)]

pub mod client;
pub mod gateway;
pub mod tenants;
pub mod upstream;

/// Skips loudly what this machine cannot run; with `COFFERDAM_REQUIRE_ALL=1` a skip is a failure.
pub fn skip(what: &str, missing: &str) {
    if std::env::var_os("COFFERDAM_REQUIRE_ALL").is_some_and(|v| v == "1") {
        panic!("{what} was to run here, but {missing}");
    }
    eprintln!("SKIPPED: {what}: {missing}");
}
