//! Every way of falsifying an export is found, and said in words that name the place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod journal;

use evidence::Record;
use evidence::export::{Finding, Signed, Trust, verify};
use journal::lines::{Lines, tile};
use journal::{Journal, SIZE, call, created, deployment, genuine, time};

/// The genuine export, falsified; `found` is what a verifier with the right key says.
fn check(case: &str, falsify: impl FnOnce(&mut Lines), found: Finding) {
    let journal = genuine();
    let mut lines = Lines::of(&journal.export());
    falsify(&mut lines);
    let trust = Trust {
        vkey: Some(journal.vkey()),
        ..Trust::default()
    };
    assert_eq!(verify(&*lines.bytes(), &trust), Err(found), "{case}");
}

#[test]
fn every_edit_is_found_and_named() {
    check(
        "a cost is lowered",
        |l| l.edit(301, "\"cost_nanos\":100", "\"cost_nanos\":1"),
        Finding::Edited { seq: 301 },
    );
    check(
        "a cost is lowered and its hash replaced",
        |l| {
            l.edit(301, "\"cost_nanos\":100", "\"cost_nanos\":1");
            l.reseal();
        },
        Finding::Diverged {
            from: 300,
            to: SIZE,
        },
    );
    check(
        "an early edit is placed before the first checkpoint",
        |l| {
            l.edit(3, "\"cost_nanos\":100", "\"cost_nanos\":1");
            l.reseal();
        },
        Finding::Diverged { from: 0, to: 100 },
    );
    check(
        "a hash is replaced",
        |l| {
            let at = l.nth("tile", 1);
            let mut leaves = vec![0; 32 * 256];
            l.0[at] = tile(&mut leaves);
        },
        Finding::Edited { seq: 256 },
    );
    let spelling = |l: &mut Lines| l.edit(7, ",\"time\"", ", \"time\"");
    let reason = "another spelling of a record".to_owned();
    check(
        "a space is added",
        spelling,
        Finding::NotCanonical {
            seq: 7,
            reason: reason.clone(),
        },
    );
    let field = |l: &mut Lines| l.edit(7, "\"call\"", "\"prompt\":\"x\",\"call\"");
    let found = verify(&*falsified(field), &Trust::default()).unwrap_err();
    assert!(
        matches!(found, Finding::NotCanonical { seq: 7, .. }),
        "{found}"
    );
    assert!(
        found
            .to_string()
            .starts_with("record 7 was edited or damaged"),
        "{found}"
    );
}

#[test]
fn every_removal_is_found_and_named() {
    check(
        "one record",
        |l| drop(l.remove(301)),
        Finding::Missing { from: 301, to: 301 },
    );
    check(
        "the first record",
        |l| drop(l.remove(0)),
        Finding::Missing { from: 0, to: 0 },
    );
    check(
        "the last record",
        |l| drop(l.remove(599)),
        Finding::Missing { from: 599, to: 599 },
    );
    check(
        "several records",
        |l| (255..260).for_each(|seq| drop(l.remove(seq))),
        Finding::Missing { from: 255, to: 255 },
    );
    check(
        "one record, the rest renumbered",
        |l| {
            l.remove(302);
            l.reseal();
        },
        Finding::SettledWithoutIntent {
            seq: 304,
            call: call(151),
        },
    );
    check(
        "a whole call, the rest renumbered",
        |l| {
            l.remove(301);
            l.remove(298);
            l.reseal();
        },
        Finding::Truncated {
            signed: 300,
            records: 299,
        },
    );
    check(
        "a page of hashes",
        |l| {
            let at = l.nth("tile", 0);
            l.0.remove(at);
        },
        Finding::Unlisted { from: 0 },
    );
    check(
        "every checkpoint",
        |l| l.0.retain(|line| !line.starts_with("{\"checkpoint\":")),
        Finding::NoCheckpoint,
    );
    check(
        "the last checkpoint",
        |l| {
            let at = l.last("checkpoint");
            l.0.remove(at);
        },
        Finding::Unsigned { from: 300 },
    );
}

#[test]
fn every_reordering_insertion_and_duplication_is_found_and_named() {
    check(
        "two records swapped",
        |l| {
            let (a, b) = (l.at(9), l.at(10));
            l.0.swap(a, b);
        },
        Finding::Missing { from: 9, to: 9 },
    );
    check(
        "two calls swapped and renumbered",
        |l| {
            let (a, b) = (l.at(9), l.at(11));
            l.0.swap(a, b);
            l.reseal();
        },
        Finding::Diverged { from: 0, to: 100 },
    );
    check(
        "a settlement moved before its intent and renumbered",
        |l| {
            let (a, b) = (l.at(8), l.at(11));
            l.0.swap(a, b);
            l.reseal();
        },
        Finding::SettledWithoutIntent {
            seq: 8,
            call: call(4),
        },
    );
    check(
        "a record duplicated",
        |l| {
            let at = l.at(9);
            l.0.insert(at + 1, l.0[at].clone());
        },
        Finding::OutOfPlace {
            expected: 10,
            found: 9,
        },
    );
    check(
        "a settlement duplicated and renumbered",
        |l| {
            let at = l.at(9);
            l.0.insert(at + 1, l.0[at].clone());
            l.reseal();
        },
        Finding::SettledTwice {
            seq: 10,
            call: call(3),
            first: 9,
        },
    );
    let forged =
        |seq| String::from_utf8(Record::new(seq, time(seq), created()).canonical()).unwrap();
    check(
        "a record inserted",
        |l| {
            let at = l.at(400);
            l.0.insert(at, forged(400));
        },
        Finding::OutOfPlace {
            expected: 401,
            found: 400,
        },
    );
    check(
        "a record inserted, the rest renumbered",
        |l| {
            let at = l.at(400);
            l.0.insert(at, forged(400));
            l.reseal();
        },
        Finding::StaleCheckpoint {
            signed: SIZE,
            records: SIZE + 1,
        },
    );
    check(
        "a record added at the end of the page",
        |l| {
            let at = l.last("tile");
            l.0.insert(at, forged(SIZE));
        },
        Finding::Unlisted { from: SIZE },
    );
    check(
        "a record added behind the page",
        |l| {
            let at = l.last("tile");
            l.0.insert(at + 1, forged(SIZE));
        },
        Finding::Unlisted { from: SIZE },
    );
    check(
        "a record added behind the last checkpoint",
        |l| {
            let at = l.last("checkpoint");
            l.0.insert(at + 1, forged(SIZE));
            l.reseal();
        },
        Finding::Unsigned { from: SIZE },
    );
}

#[test]
fn every_truncation_is_found_and_named() {
    let line = |l: &Lines| u64::try_from(l.0.len()).unwrap() + 1;
    let full = line(&Lines::of(&genuine().export()));
    check(
        "no end line",
        |l| drop(l.0.pop()),
        Finding::CutOff { line: full - 1 },
    );
    check(
        "half the file",
        |l| l.0.truncate(l.at(301)),
        Finding::CutOff { line: 306 },
    );
    check(
        "nothing left",
        |l| l.0.clear(),
        Finding::BadLine {
            line: 1,
            what: "it is no line of this format",
        },
    );
    check(
        "the last records, with their hashes and count",
        |l| {
            (590..600).for_each(|seq| drop(l.remove(seq)));
            l.reseal();
        },
        Finding::Truncated {
            signed: SIZE,
            records: 590,
        },
    );
    check(
        "the end line counts more",
        |l| *l.0.last_mut().unwrap() = "{\"end\":{\"records\":601}}".to_owned(),
        Finding::Miscounted {
            counted: 601,
            records: SIZE,
        },
    );
    assert_eq!(
        verify(&b""[..], &Trust::default()),
        Err(Finding::CutOff { line: 1 })
    );
    let mut export = genuine().export();
    export.pop();
    let found = verify(&*export, &Trust::default());
    assert_eq!(
        found,
        Err(Finding::CutOff { line: full - 1 }),
        "the last line is cut"
    );
}

#[test]
fn every_falsified_signature_is_found() {
    let journal = genuine();
    let key = journal.vkey().to_string();
    check(
        "a signature swapped with another checkpoint's",
        |l| {
            let (a, b) = (l.nth("checkpoint", 0), l.nth("checkpoint", 1));
            let (text, _) = l.0[a].split_once("\\n\\n").unwrap();
            let (_, signature) = l.0[b].split_once("\\n\\n").unwrap();
            l.0[a] = format!("{text}\\n\\n{signature}");
        },
        Finding::BadSignature {
            records: 100,
            key: key.clone(),
        },
    );
    check(
        "two checkpoints swapped",
        |l| {
            let (a, b) = (l.nth("checkpoint", 0), l.nth("checkpoint", 1));
            l.0.swap(a, b);
        },
        Finding::Truncated {
            signed: 300,
            records: 100,
        },
    );
    check(
        "a checkpoint's time edited",
        |l| {
            let at = l.last("checkpoint");
            l.0[at] = l.0[at].replacen("time 2026", "time 2027", 1);
        },
        Finding::BadSignature { records: SIZE, key },
    );

    // A forger with a key of its own: the pinned key shows it, and without one the report says what it cannot show.
    let mut forged = Journal::empty("log_1", 66);
    forged.push(created());
    let trust = Trust {
        vkey: Some(journal.vkey()),
        ..Trust::default()
    };
    let found = verify(&*forged.export(), &trust);
    let (pinned, found_key) = (journal.vkey().to_string(), forged.vkey().to_string());
    assert_eq!(
        found,
        Err(Finding::WrongKey {
            log: Signed::Journal,
            pinned,
            found: found_key
        })
    );
    let report = verify(&*forged.export(), &Trust::default()).unwrap();
    assert!(
        !report.pinned && report.caveats[0].contains("pin the key"),
        "{report:?}"
    );
}

#[test]
fn no_flipped_byte_goes_unnoticed_and_none_makes_a_panic() {
    let mut journal = Journal::generate(12);
    journal.checkpoints_at = vec![5];
    let export = journal.export_with(Some(deployment(&journal, 12, 9)));
    let trust = Trust {
        vkey: Some(journal.vkey()),
        deployment_vkey: Some(deployment(&journal, 12, 9).vkey),
        ..Trust::default()
    };
    assert!(verify(&*export, &trust).is_ok());
    for at in 0..export.len() {
        let mut flipped = export.clone();
        flipped[at] ^= 1;
        assert!(verify(&*flipped, &trust).is_err(), "byte {at}");
    }
}

fn falsified(falsify: impl FnOnce(&mut Lines)) -> Vec<u8> {
    let mut lines = Lines::of(&genuine().export());
    falsify(&mut lines);
    lines.bytes()
}

#[test]
fn lines_that_are_no_lines_of_an_export_are_named() {
    let bad = |falsify: &dyn Fn(&mut Lines)| match verify(&*falsified(falsify), &Trust::default()) {
        Err(Finding::BadLine { line, what }) => (line, what),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        bad(&|l| l.0[0] = l.0[1].clone()),
        (1, "it is no line of this format")
    );
    assert_eq!(
        bad(&|l| l.0.insert(3, "{}".into())),
        (4, "it is no line of this format")
    );
    assert_eq!(
        bad(&|l| l.0.insert(3, String::new())),
        (4, "it is no line of this format")
    );
    assert_eq!(
        bad(&|l| l.0.insert(3, l.0[0].clone())),
        (4, "a second header")
    );
    assert_eq!(
        bad(&|l| l.0.insert(1, "{\"tile\":\"AAAA\"}".into())),
        (2, "it is no tile of hashes")
    );
    let long = "x".repeat(evidence::export::MAX_LINE_BYTES);
    let longer = "it is longer than any line of an export";
    assert_eq!(bad(&|l| l.0.insert(3, long.clone())), (4, longer));
    assert_eq!(
        bad(&|l| l.0.push("{}".into())).1,
        "something stands after the end line"
    );
    let version = falsified(|l| l.0[0] = l.0[0].replacen("\"format\":1", "\"format\":2", 1));
    assert_eq!(
        verify(&*version, &Trust::default()),
        Err(Finding::UnknownFormat { format: 2 })
    );
    let mut endless = genuine().export();
    endless.truncate(endless.len() - 30);
    endless.extend(std::iter::repeat_n(b'x', 1_000_000));
    assert!(matches!(
        verify(&*endless, &Trust::default()),
        Err(Finding::BadLine { .. })
    ));
}
