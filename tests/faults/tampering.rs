//! An export that somebody edited: the offline verifier refuses it and names what it found.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::gateway::Home;
use crate::harness::journal::{Export, verify};
use crate::harness::tenants::{Tenant, mint};
use crate::harness::until;
use crate::harness::upstream::Upstream;

/// What is done to the lines of an export.
type Edit = fn(&mut Vec<String>);

fn is_record(line: &str) -> bool {
    line.starts_with("{\"seq\":")
}

/// The place of record number `seq`.
fn record(lines: &[String], seq: usize) -> usize {
    lines
        .iter()
        .position(|line| line.starts_with(&format!("{{\"seq\":{seq},")))
        .unwrap()
}

const EDITS: &[(&str, Edit, &str)] = &[
    (
        "a cost is changed",
        |lines| replace(lines, "\"cost_nanos\":", "\"cost_nanos\":1"),
        "record",
    ),
    (
        "an outcome is changed",
        |lines| replace(lines, "\"completed\"", "\"client_gone\""),
        "record",
    ),
    (
        "a model is changed",
        |lines| replace(lines, "\"model\":\"free\"", "\"model\":\"fake\""),
        "record",
    ),
    (
        "a space is added",
        |lines| replace(lines, "{\"seq\":1,", "{\"seq\":1, "),
        "record 1",
    ),
    (
        "the first record is removed",
        |lines| {
            let at = record(lines, 0);
            lines.remove(at);
        },
        "record",
    ),
    (
        "a record in the middle is removed",
        |lines| {
            let at = record(lines, 4);
            lines.remove(at);
        },
        "record",
    ),
    (
        "two records change places",
        |lines| {
            let (a, b) = (record(lines, 2), record(lines, 3));
            lines.swap(a, b);
        },
        "record",
    ),
    (
        "a record stands twice",
        |lines| {
            let at = record(lines, 3);
            let line = lines[at].clone();
            lines.insert(at, line);
        },
        "record",
    ),
    (
        "the last record is removed",
        |lines| {
            let at = lines.iter().rposition(|line| is_record(line)).unwrap();
            lines.remove(at);
        },
        "record",
    ),
    (
        "the last line is removed",
        |lines| {
            lines.pop();
        },
        "cut off",
    ),
    (
        "the second half is removed",
        |lines| lines.truncate(lines.len() / 2),
        "cut off",
    ),
    (
        "the last checkpoint is removed",
        |lines| {
            let at = lines
                .iter()
                .rposition(|line| line.starts_with("{\"checkpoint\""))
                .unwrap();
            lines.remove(at);
        },
        "checkpoint",
    ),
    (
        "a signature is changed",
        |lines| {
            let at = lines
                .iter()
                .rposition(|line| line.starts_with("{\"checkpoint\""))
                .unwrap();
            let line = &mut lines[at];
            let last = line.rfind("\\n").unwrap() - 8;
            let other = if line.as_bytes()[last] == b'A' {
                "B"
            } else {
                "A"
            };
            line.replace_range(last..=last, other);
        },
        "checkpoint",
    ),
    (
        "a hash is changed",
        |lines| {
            let at = lines
                .iter()
                .position(|line| line.starts_with("{\"tile\""))
                .unwrap();
            let other = if lines[at].as_bytes()[12] == b'A' {
                "B"
            } else {
                "A"
            };
            lines[at].replace_range(12..=12, other);
        },
        "record",
    ),
    (
        "a line of nonsense is added",
        |lines| lines.insert(3, "{\"note\":\"all is well\"}".to_owned()),
        "line 4",
    ),
    ("everything is removed", Vec::clear, "cut off"),
];

fn replace(lines: &mut [String], from: &str, to: &str) {
    let line = lines
        .iter_mut()
        .find(|line| is_record(line) && line.contains(from))
        .unwrap();
    *line = line.replacen(from, to, 1);
}

#[test]
fn an_edited_removed_reordered_or_truncated_export_is_refused_and_the_finding_named() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let (a, b) = (Tenant::create(&gateway, "a"), Tenant::create(&gateway, "b"));
    for tenant in [&a, &b] {
        for _ in 0..6 {
            tenant.app(&gateway).chat("free", "hello").ok();
        }
        mint(
            &gateway.operator(),
            &tenant.id,
            &json!({"name": "x", "scopes": ["audit"]}),
        );
        until(
            "every call is settled",
            std::time::Duration::from_secs(10),
            || {
                Export::verified(&home, &gateway, &tenant.id)
                    .calls()
                    .values()
                    .all(|call| call.is_settled())
            },
        );
    }
    let export = Export::verified(&home, &gateway, &a.id);
    let text = std::fs::read_to_string(&export.file).unwrap();
    let file = home.path().join("edited");
    let check = |what: &str, file: &Path, key: &str, names: &str| {
        let found = verify(file, key);
        let told = String::from_utf8_lossy(&found.stderr).into_owned();
        assert_eq!(found.status.code(), Some(2), "{what}: {told}");
        assert!(
            told.starts_with("NOT VALID: ") && told.contains(names),
            "{what}: {told}"
        );
    };
    for (what, edit, names) in EDITS {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        let edited = lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        assert_ne!(edited, text, "{what}: nothing was edited");
        std::fs::write(&file, edited).unwrap();
        check(what, &file, &export.key, names);
    }
    std::fs::write(&file, &text[..text.len() - 1]).unwrap();
    check("the last byte is removed", &file, &export.key, "cut off");
    // every single byte of a record counts
    let at = text.find("{\"seq\":3,").unwrap();
    let length = text[at..].find('\n').unwrap();
    for offset in (0..length).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at + offset] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        check(
            &format!("byte {offset} of record 3 is flipped"),
            &file,
            &export.key,
            "",
        );
    }
    // another tenant's journal is not this one's, however whole
    let others = Export::verified(&home, &gateway, &b.id);
    check("another journal", &others.file, &export.key, "");
    // untouched, it is still good, and one record of it can be proved
    assert_eq!(verify(&export.file, &export.key).status.code(), Some(0));
    let call = export.calls().into_keys().next().unwrap();
    let proved = std::process::Command::new(crate::harness::gateway::BINARY)
        .args(["audit", "prove"])
        .arg(&export.file)
        .args(["--call", &call])
        .output()
        .unwrap();
    assert!(
        proved.status.success(),
        "{}",
        String::from_utf8_lossy(&proved.stderr)
    );
    assert!(serde_json::from_slice::<Value>(&proved.stdout).is_ok());
}
