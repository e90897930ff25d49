//! Cofferdam under its own conformance suite: `cofferdam probe` in echo mode against a real gateway process, as an operator
//! runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use harness::gateway::{BINARY, Home};
use harness::tenants::Tenant;
use serde_json::Value;

/// `cofferdam probe` with these arguments and these keys in the environment.
fn probe(arguments: &[&str], keys: [&str; 2]) -> Output {
    Command::new(BINARY)
        .arg("probe")
        .args(arguments)
        .env("COFFERDAM_PROBE_KEY_A", keys[0])
        .env("COFFERDAM_PROBE_KEY_B", keys[1])
        .output()
        .unwrap()
}

/// An address for an upstream that starts after the gateway that leads to it. Its port is below those that the system gives
/// to connections on their way out: one of these could take it in between.
fn free() -> SocketAddr {
    let own = std::process::id();
    let addresses = (0..12_000).map(|n| {
        let port = u16::try_from(20_000 + (own + n * 7) % 12_000).unwrap();
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn cofferdam_passes_the_smoke_form_of_its_own_suite() {
    let echo = free().to_string();
    let home = Home::new(&format!("http://{echo}"), "");
    let gateway = home.serve();
    let (a, b) = (
        Tenant::create(&gateway, "acme"),
        Tenant::create(&gateway, "globex"),
    );
    let out = |name: &str| home.path().join(name).display().to_string();
    let (json, html, junit) = (out("probe.json"), out("probe.html"), out("probe.xml"));
    let operator = out("secrets/operator.key");
    let arguments = [
        "--target",
        &gateway.data_plane,
        "--echo",
        &echo,
        "--model",
        "free",
        "--embedding-model",
        "vectors",
        "--admin",
        &gateway.control_plane,
        "--operator-key-file",
        &operator,
        "--json",
        &json,
        "--html",
        &html,
        "--junit",
        &junit,
    ];
    let ran = probe(&arguments, [&a.app_key, &b.app_key]);
    let (table, progress) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{table}\n{progress}");

    let report: Value = serde_json::from_str(&read(Path::new(&json))).unwrap();
    assert_eq!(report["summary"]["fail"], 0, "{table}");
    assert_eq!(report["summary"]["inconclusive"], 0, "{table}");
    assert_eq!(
        report["rows"].as_array().unwrap().len(),
        38,
        "every row is there"
    );
    assert!(report["summary"]["pass"].as_u64().unwrap() > 0, "{table}");
    let seed = report["seed"].as_str().unwrap();
    assert!(
        table.contains(seed) && progress.contains(seed),
        "the seed is printed"
    );

    let everything = [
        &table,
        &progress,
        &*read(Path::new(&json)),
        &*read(Path::new(&html)),
        &*read(Path::new(&junit)),
    ]
    .concat();
    let operator_key = home.operator_key.as_str();
    for key in [&a.app_key, &b.app_key, operator_key] {
        assert!(!everything.contains(key), "a whole key was written");
    }
}

#[test]
fn a_run_that_cannot_prove_anything_is_refused_with_the_status_2() {
    let check = |arguments: &[&str], keys: [&str; 2], says: &str| {
        let ran = probe(arguments, keys);
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(says), "{arguments:?}: {told}");
        assert!(ran.stdout.is_empty(), "{arguments:?}");
        assert!(
            !told.contains("sk-one-of-two-keys"),
            "{arguments:?}: {told}"
        );
    };
    let here = format!("http://{}", free());
    let two = ["sk-one-of-two-keys-here", "sk-other-of-two-keys"];
    check(
        &["--target", &here],
        [two[0], two[0]],
        "both keys are the same",
    );
    check(
        &["--target", &here],
        [two[0], "not a key"],
        "not visible ASCII",
    );
    check(
        &["--target", "http://203.0.113.7"],
        two,
        "--i-operate-this-target",
    );
    check(
        &["--target", "file:///etc"],
        two,
        "not an http or https URL",
    );
    check(&["--target", &here, "--only", "2,39"], two, "no row 39");
    check(
        &["--target", &here, "--json", "/nowhere/x.json"],
        two,
        "nothing was sent",
    );
    check(
        &["--target", &here, "--key-a-file", "/nowhere/key"],
        two,
        "was not read",
    );
    check(
        &["--target", &here],
        two,
        "did not answer a plain call of tenant A",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    check(
        &["--target", &here, "--echo", &taken],
        two,
        "could not listen",
    );
    let none = Command::new(BINARY)
        .args(["probe", "--target", &here])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("--key-a-file"));
}

#[test]
fn an_upstream_that_is_not_the_echo_is_found_out_before_anything_is_believed() {
    let elsewhere = harness::upstream::Upstream::start();
    let home = Home::new(&elsewhere.url, "");
    let gateway = home.serve();
    let (a, b) = (
        Tenant::create(&gateway, "acme"),
        Tenant::create(&gateway, "globex"),
    );
    let echo = free().to_string();
    let ran = probe(
        &[
            "--target",
            &gateway.data_plane,
            "--echo",
            &echo,
            "--model",
            "free",
        ],
        [&a.app_key, &b.app_key],
    );
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{told}");
    assert!(told.contains("without asking the echo upstream"), "{told}");
}
