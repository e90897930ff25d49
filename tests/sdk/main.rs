//! The official SDKs, unmodified: chat (plain, streamed, tools, errors) and list models through the gateway.
//!
//! `COFFERDAM_TEST_PYTHON` names a Python that can import `openai`; `COFFERDAM_TEST_NODE_MODULES` a `node_modules` folder
//! that holds `openai`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::gateway::Home;
use harness::skip;
use harness::tenants::Tenant;
use harness::upstream::Upstream;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/sdk")
        .join(name)
}

/// Runs a script of an SDK against a gateway of its own, with both forms of the base URL.
fn check(mut command: impl FnMut() -> Command) {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    for base in [
        format!("{}/v1", gateway.data_plane),
        gateway.data_plane.clone(),
    ] {
        let before = upstream.calls();
        let ran = command()
            .env("OPENAI_BASE_URL", &base)
            .env("OPENAI_API_KEY", &tenant.app_key)
            .env("MODEL", "fake")
            .env("TOOLS_MODEL", "free")
            .env("NO_PROXY", "*")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{base}: {told}");
        assert!(
            String::from_utf8_lossy(&ran.stdout)
                .contains("chatted: plain, streamed, tools, errors"),
            "{base}"
        );
        assert!(
            upstream.calls() >= before + 4,
            "{base}: it did not chat through the gateway"
        );
    }
}

#[test]
fn the_official_python_sdk_chats_through_the_gateway() {
    let named = std::env::var_os("COFFERDAM_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| PathBuf::from("python3"));
    let there = Command::new(&python).args(["-c", "import openai"]).output();
    if !there.is_ok_and(|ran| ran.status.success()) {
        return skip(
            "the official Python SDK",
            "no Python that can import `openai`; set COFFERDAM_TEST_PYTHON",
        );
    }
    check(|| {
        let mut command = Command::new(&python);
        command.arg(script("chat.py"));
        command
    });
}

#[test]
fn the_official_node_sdk_chats_through_the_gateway() {
    let Some(modules) = std::env::var_os("COFFERDAM_TEST_NODE_MODULES") else {
        return skip(
            "the official Node SDK",
            "COFFERDAM_TEST_NODE_MODULES is not set",
        );
    };
    if !Command::new("node")
        .arg("--version")
        .output()
        .is_ok_and(|ran| ran.status.success())
    {
        return skip("the official Node SDK", "there is no `node`");
    }
    assert!(
        Path::new(&modules).join("openai/package.json").is_file(),
        "COFFERDAM_TEST_NODE_MODULES holds no `openai`"
    );
    check(|| {
        let mut command = Command::new("node");
        command
            .arg(script("chat.mjs"))
            .env("NODE_MODULES", &modules);
        command
    });
}
