//! Nothing that somebody said, and no secret, stands on the disk or in a log: planted markers are looked for in every
//! spelling.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod session;
mod spellings;

use std::path::Path;

use harness::gateway::Home;
use harness::upstream::Upstream;
use session::{Marker, live};
use spellings::Search;

/// The folders that are backed up, copied and stolen. The secrets of a home are files of their own beside them.
const FOLDERS: [&str; 2] = ["data", "keyring"];

#[test]
fn no_prompt_answer_key_or_name_stands_in_the_data_the_keyring_or_a_log_in_any_spelling() {
    let upstream = Upstream::saying(session::ANSWER);
    let home = Home::new(&upstream.url, session::LIMITS);
    let gateway = home
        .serve_logging("trace")
        .unwrap_or_else(|log| panic!("{log}"));
    let markers = live(&home, &gateway, &upstream);
    let search = Search::new(markers.iter().map(|marker| marker.text.as_str()));
    // while it runs, write-ahead logs included
    check_folders(&home, &search, &markers, "running");
    let running_log = gateway.log();
    // killed: what a crash leaves behind
    gateway.kill();
    check_folders(&home, &search, &markers, "killed");
    // recovered, and stopped in order
    let gateway = home
        .serve_logging("trace")
        .unwrap_or_else(|log| panic!("{log}"));
    gateway.operator().get("/metrics");
    let stopped_log = gateway.stop();
    check_folders(&home, &search, &markers, "stopped");
    for (what, log) in [("the log", running_log), ("the second log", stopped_log)] {
        assert!(!log.is_empty(), "{what} is empty");
        report(&search, &markers, what, &log);
        assert_without_root_key(&home, what, &log);
    }
}

fn check_folders(home: &Home, search: &Search, markers: &[Marker], when: &str) {
    let mut files = 0;
    let mut bytes = 0;
    for folder in FOLDERS {
        each_file(&home.path().join(folder), &mut |path, content| {
            files += 1;
            bytes += content.len();
            report(
                search,
                markers,
                &format!("{} while {when}", path.display()),
                &content,
            );
            assert_without_root_key(home, &path.display().to_string(), &content);
            report(
                search,
                markers,
                &format!("the name {}", path.display()),
                path.as_os_str().as_encoded_bytes(),
            );
        });
    }
    assert!(
        files >= 5 && bytes > 100_000,
        "{when}: only {files} files with {bytes} bytes were looked through"
    );
}

/// The key that wraps all others is bytes, not text.
fn assert_without_root_key(home: &Home, place: &str, content: &[u8]) {
    let key = std::fs::read(home.path().join("secrets/root.key")).unwrap();
    assert_eq!(key.len(), 32);
    assert!(
        harness::raw::find(content, &key).is_none(),
        "{place} holds the root key"
    );
}

fn report(search: &Search, markers: &[Marker], place: &str, content: &[u8]) {
    let found: Vec<_> = search
        .find(content)
        .map(|(at, spelling)| format!("{} ({spelling})", markers[at].what))
        .collect();
    assert!(found.is_empty(), "{place} holds: {}", found.join(", "));
}

fn each_file(folder: &Path, look: &mut dyn FnMut(&Path, Vec<u8>)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, look);
        } else {
            look(&path, std::fs::read(&path).unwrap());
        }
    }
}
