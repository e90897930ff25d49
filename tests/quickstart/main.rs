//! `cofferdam quickstart`: one command from nothing to two tenants that chat and cannot reach each other.
//!
//! `COFFERDAM_TEST_MODEL` names the pinned model file, for the tour with the built-in engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;

use std::path::Path;
use std::process::Command;

use harness::gateway::BINARY;
use harness::journal::verify;
use harness::skip;
use harness::upstream::Upstream;

/// The tour's own questions, and what a fake upstream answers to them.
const SAID: [&str; 4] = [
    "what is a harbour?",
    "what is a compass?",
    "echo In one short",
    "In one short sentence",
];

/// Takes the tour once; what it printed.
fn tour(home: &Path, cache: &Path, arguments: &[&str]) -> String {
    let ran = Command::new(BINARY)
        .args([
            "quickstart",
            "--once",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--home",
        ])
        .arg(home)
        .args(arguments)
        .env("COFFERDAM_CACHE", cache)
        .env_remove("COFFERDAM_MODEL_FILE")
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout).into_owned(),
        String::from_utf8_lossy(&ran.stderr).into_owned(),
    );
    assert!(ran.status.success(), "{out}\n{err}");
    out
}

/// Everything that the tour promises to show.
fn check(told: &str, home: &Path, model: &str) {
    for shown in [
        "acme asks:",
        "acme hears: ",
        "globex asks:",
        "globex hears: ",
        "as for one that never was, to the byte",
        "valid: ",
        "curl http://127.0.0.1:",
        "export OPENAI_BASE_URL=http://127.0.0.1:",
        "export OPENAI_API_KEY=cfdk_",
        model,
    ] {
        assert!(
            told.contains(shown),
            "the tour does not show {shown:?}: {told}"
        );
    }
    assert_eq!(
        told.matches(": 404 , as for one that never was").count(),
        2,
        "a call and a key: {told}"
    );
    for tenant in ["acme", "globex"] {
        let heard = told
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{tenant} hears: ")));
        assert!(
            heard.is_some_and(|heard| heard.trim().len() > 3),
            "{tenant} heard nothing: {told}"
        );
        // pinned by the key that stands in the export itself: the tour compared it with the gateway's
        let journal = home.join(format!("{tenant}.journal.jsonl"));
        let text = std::fs::read_to_string(&journal).unwrap();
        let header: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let key = header["header"]["vkey"].as_str().unwrap();
        assert_eq!(verify(&journal, key).status.code(), Some(0));
        assert!(
            text.contains("\"call_settled\"") && text.contains("\"completed\""),
            "{text}"
        );
    }
    // a line of usage for each, with a call in it
    let billed = told
        .lines()
        .filter(|line| line.contains("key_") && line.contains(" USD") && line.contains(model))
        .count();
    assert_eq!(billed, 2, "{told}");
    for file in [
        "operator.key",
        "root.key",
        "acme.app.key",
        "globex.steward.key",
    ] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.join("secrets").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file} can be read by others");
    }
    nothing_was_written_down(told, home);
}

/// Neither what was said nor a key stands in the data, the keyring or the log.
fn nothing_was_written_down(told: &str, home: &Path) {
    let mut secrets: Vec<String> = SAID.map(str::to_owned).into();
    for entry in std::fs::read_dir(home.join("secrets")).unwrap() {
        if let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) {
            secrets.push(text.trim().to_owned());
        }
    }
    assert!(secrets.len() >= 9, "{secrets:?}");
    let heard = told
        .lines()
        .filter_map(|line| line.split_once(" hears: "))
        .map(|(_, heard)| heard.trim().to_owned());
    secrets.extend(heard.filter(|heard| heard.len() > 8));
    let mut looked = 0;
    let mut folders = vec![home.join("data"), home.join("keyring")];
    let mut files = vec![home.join("cofferdam.log")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    for file in files {
        let content = std::fs::read(&file).unwrap();
        looked += content.len();
        for secret in &secrets {
            assert!(
                harness::raw::find(&content, secret.as_bytes()).is_none(),
                "{} holds {secret}",
                file.display()
            );
        }
        for name in ["acme", "globex"] {
            assert!(
                harness::raw::find(&content, name.as_bytes()).is_none(),
                "{} holds the name {name}",
                file.display()
            );
        }
    }
    assert!(looked > 50_000, "only {looked} bytes were looked through");
}

/// What must stay as it is when the tour is taken again.
fn kept(home: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(home.join("secrets"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([home.join("cofferdam.toml"), home.join("prices.toml")])
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

fn twice(folder: &Path, arguments: &[&str], model: &str) {
    let (home, cache) = (folder.join("home"), folder.join("cache"));
    let first = tour(&home, &cache, arguments);
    check(&first, &home, model);
    let before = kept(&home);
    let second = tour(&home, &cache, arguments);
    check(&second, &home, model);
    assert!(second.contains("going on from it"), "{second}");
    assert_eq!(kept(&home), before, "the second tour made something anew");
    for tenant in ["acme", "globex"] {
        let id = |told: &str| {
            let mut lines = told
                .lines()
                .filter_map(|line| line.trim().strip_prefix(tenant));
            lines
                .find_map(|rest| Some(rest.trim().strip_prefix("ten_")?.to_owned()))
                .unwrap()
        };
        assert_eq!(id(&first), id(&second), "{tenant} is another tenant");
    }
}

#[test]
fn the_tour_with_a_server_shows_everything_and_can_be_taken_again() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let key = folder.path().join("server.key");
    std::fs::write(&key, "sk-of-the-server\n").unwrap();
    let arguments = [
        "--upstream",
        &upstream.url,
        "--upstream-key-file",
        key.to_str().unwrap(),
        "--upstream-model",
        "gpt-4o-mini",
    ];
    twice(folder.path(), &arguments, "gpt-4o-mini");
    let seen = upstream.seen();
    assert_eq!(seen.len(), 4);
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization") == Some("Bearer sk-of-the-server"))
    );
    assert!(seen.iter().all(|seen| seen.body["model"] == "gpt-4o-mini"));
}

#[test]
fn the_tour_with_the_built_in_engine_chats_with_a_real_model() {
    let Some(model) = std::env::var_os("COFFERDAM_TEST_MODEL") else {
        return skip(
            "the tour with a real model",
            "COFFERDAM_TEST_MODEL is not set",
        );
    };
    let folder = tempfile::tempdir().unwrap();
    twice(
        folder.path(),
        &["--model-file", model.to_str().unwrap()],
        "smollm2-135m-instruct",
    );
}

#[test]
fn a_tour_that_cannot_be_taken_says_what_to_do_and_can_be_taken_then() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let ran = Command::new(BINARY)
            .args([
                "quickstart",
                "--once",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--home",
            ])
            .arg(folder.path().join("home"))
            .args(arguments)
            .env("COFFERDAM_CACHE", folder.path().join("cache"))
            .output()
            .unwrap();
        assert!(!ran.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let wrong = folder.path().join("wrong.gguf");
    std::fs::write(&wrong, "GGUF but not the pinned one").unwrap();
    let told = run(&["--model-file", wrong.to_str().unwrap()]);
    assert!(
        told.contains("wrong.gguf") && !told.contains("panicked"),
        "{told}"
    );
    let told = run(&["--model-file", "/nowhere/model.gguf"]);
    assert!(told.contains("/nowhere/model.gguf"), "{told}");
    // nothing of the failed ones stands in the way
    let upstream = Upstream::start();
    twice(folder.path(), &["--upstream", &upstream.url], "gpt-4o-mini");
}
