//! What a verifier finds about a journal's whole history: what it sums up to, whether it was rolled back or forked, and
//! whether it contradicts itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod journal;

use evidence::export::{Finding, Report, Signed, Trust, Writer, verify};
use evidence::{Checkpoint, Record, leaf_hash};
use journal::{Journal, SIZE, call, created, deployment, genuine, intent, settled, time};

#[test]
fn a_genuine_export_verifies_and_is_summed_up() {
    let journal = genuine();
    let trust = Trust {
        vkey: Some(journal.vkey()),
        earlier: Some(journal.checkpoint(450)),
        ..Trust::default()
    };
    let report = verify(&*journal.export(), &trust).unwrap();
    assert!(report.pinned);
    assert_eq!(
        (report.records, report.checkpoints, report.grown_from),
        (SIZE, 3, Some(450))
    );
    assert_eq!(
        (report.first, report.last),
        (Some(time(0)), Some(time(SIZE - 1)))
    );
    assert_eq!(report.root, journal.log.frontier().root());
    // Record 0 is the tenant's creation; then intent 0, intent 1, settlement 0, intent 2, settlement 1 …
    assert_eq!(report.kinds["admin"], 1);
    assert_eq!(
        (report.kinds["call_intent"], report.kinds["call_settled"]),
        (300, 299)
    );
    let (even, odd) = (report.models["even"], report.models["odd"]);
    assert_eq!(
        (even.calls, odd.calls, even.at_bound, odd.at_bound),
        (150, 149, 1, 0)
    );
    assert_eq!((even.input_tokens, even.cached_input_tokens), (1500, 600));
    assert_eq!((even.output_tokens, even.cost_nanos), (750, 15_000));
    assert_eq!(
        (report.open_calls, report.open[0].call.as_str()),
        (1, "call_299")
    );
    assert_eq!(report.over_reservation, 0);
}

#[test]
fn a_rollback_or_a_rewritten_past_shows_against_an_earlier_checkpoint() {
    let journal = genuine();
    let old = Journal::generate(450);
    let trust = |earlier| Trust {
        vkey: Some(journal.vkey()),
        earlier: Some(earlier),
        ..Trust::default()
    };
    let at = |size| trust(journal.checkpoint(size));
    assert_eq!(verify(&*old.export(), &at(450)).map(|r| r.records), Ok(450));
    assert_eq!(
        verify(&*old.export(), &at(500)),
        Err(Finding::RolledBack {
            earlier: 500,
            now: 450
        })
    );
    // The operator, who has the key, rewrites the past and signs again.
    let mut rewritten = Journal::empty("log_1", 1);
    (0..SIZE).for_each(|_| rewritten.push(created()));
    assert_eq!(
        verify(&*rewritten.export(), &at(500)),
        Err(Finding::Rewritten { size: 500 })
    );
    let other = Journal::empty("log_2", 1);
    let found = verify(&*other.export(), &trust(other.checkpoint(0)));
    let (expected, found_origin) = (journal.origin.clone(), other.origin.clone());
    assert_eq!(
        found,
        Err(Finding::WrongOrigin {
            expected,
            found: found_origin
        })
    );
}

#[test]
fn a_rollback_shows_against_the_deployment_log() {
    let (journal, old) = (genuine(), Journal::generate(450));
    let trust = |seed| Trust {
        vkey: Some(journal.vkey()),
        deployment_vkey: Some(deployment(&journal, SIZE, seed).vkey),
        ..Trust::default()
    };
    let good = |size| deployment(&journal, size, 9);
    let export = |journal: &Journal, head| verify(&*journal.export_with(head), &trust(9));

    let report: Report = export(&journal, Some(good(SIZE))).unwrap();
    assert_eq!(
        report
            .deployment
            .as_ref()
            .map(|d| (d.pinned, d.covers, d.heads)),
        Some((true, SIZE, 4))
    );
    assert!(report.caveats.is_empty(), "{report:?}");
    let report = export(&journal, Some(good(500))).unwrap();
    assert!(report.caveats[0].contains("only part"), "{report:?}");

    let behind = Finding::BehindDeployment {
        known: SIZE,
        records: 450,
    };
    assert_eq!(export(&old, Some(good(SIZE))), Err(behind));
    assert_eq!(export(&journal, None), Err(Finding::NoDeployment));
    let mut rewritten = Journal::empty("log_1", 1);
    (0..SIZE).for_each(|_| rewritten.push(created()));
    let forked = Finding::ForkedFromDeployment { size: 500 };
    assert_eq!(export(&rewritten, Some(good(500))), Err(forked));
    let wrong_key = export(&journal, Some(deployment(&journal, SIZE, 10)));
    assert!(matches!(
        wrong_key,
        Err(Finding::WrongKey {
            log: Signed::Deployment,
            ..
        })
    ));

    let bad = |what| Err(Finding::BadDeployment { what });
    let mut moved = good(SIZE);
    moved.index = 1;
    assert_eq!(
        export(&journal, Some(moved)),
        bad("the head is not in the log that was signed")
    );
    let mut edited = good(SIZE);
    edited.head = edited.head.replacen("\"size\":600", "\"size\":500", 1);
    assert_eq!(
        export(&journal, Some(edited)),
        bad("the head is not in the log that was signed")
    );
    let mut unopened = good(SIZE);
    unopened.opening.blinding_key = [0; 32];
    assert_eq!(
        export(&journal, Some(unopened)),
        bad("the head is another journal's")
    );
    let mut unsalted = good(SIZE);
    unsalted.opening.salt = [0; 32];
    let forked = Finding::ForkedFromDeployment { size: SIZE };
    assert_eq!(export(&journal, Some(unsalted)), Err(forked));
}

/// What a journal that is signed but wrong in itself is found to be.
fn check_signed(case: &str, build: impl FnOnce(&mut Journal), found: Finding) {
    let mut journal = Journal::empty("log_1", 1);
    build(&mut journal);
    assert_eq!(
        verify(&*journal.export(), &Trust::default()),
        Err(found),
        "{case}"
    );
}

#[test]
fn a_signed_journal_that_contradicts_itself_is_found() {
    check_signed(
        "a settlement without an intent",
        |j| j.push(settled(1)),
        Finding::SettledWithoutIntent {
            seq: 0,
            call: call(1),
        },
    );
    check_signed(
        "a call settled twice",
        |j| {
            [intent(1), settled(1), settled(1)]
                .into_iter()
                .for_each(|kind| j.push(kind))
        },
        Finding::SettledTwice {
            seq: 2,
            call: call(1),
            first: 1,
        },
    );
    check_signed(
        "two intents for one call",
        |j| {
            [intent(1), intent(1)]
                .into_iter()
                .for_each(|kind| j.push(kind))
        },
        Finding::IntentTwice {
            seq: 1,
            call: call(1),
            first: 0,
        },
    );
    check_signed(
        "a call id used again",
        |j| {
            [intent(1), settled(1), intent(1)]
                .into_iter()
                .for_each(|kind| j.push(kind))
        },
        Finding::IntentTwice {
            seq: 2,
            call: call(1),
            first: 1,
        },
    );
    check_signed(
        "a clock set back",
        |j| {
            [100, 39]
                .into_iter()
                .for_each(|at| j.push_at(time(at), created()))
        },
        Finding::TimeBackwards {
            seq: 1,
            millis: 61_000,
        },
    );
    check_signed(
        "a clock set back step by step",
        |j| {
            [100, 60, 30]
                .into_iter()
                .for_each(|at| j.push_at(time(at), created()))
        },
        Finding::TimeBackwards {
            seq: 2,
            millis: 70_000,
        },
    );
    check_signed(
        "a checkpoint from before its records",
        |j| j.push_at(time(100), created()),
        Finding::CheckpointBeforeRecords {
            size: 1,
            millis: 99_000,
        },
    );
    let number_five = |j: &mut Journal| {
        j.push_text(Record::new(5, time(0), created()).canonical());
    };
    check_signed(
        "a gap in the sequence",
        number_five,
        Finding::Missing { from: 0, to: 4 },
    );
}

#[test]
fn clocks_of_replicas_may_differ_a_little() {
    let mut journal = Journal::empty("log_1", 1);
    [100, 41, 100]
        .into_iter()
        .for_each(|at| journal.push_at(time(at), created()));
    journal.push_at(time(40), created());
    let mut writer = Writer::begin(Vec::new(), journal.vkey(), None).unwrap();
    for text in &journal.texts {
        writer.record(text, leaf_hash(text)).unwrap();
    }
    let root = journal.log.frontier().root();
    let head = Checkpoint::new(journal.origin.clone(), 4, root, time(40));
    writer
        .checkpoint(&head.sign(&journal.signer).unwrap())
        .unwrap();
    assert!(verify(&*writer.finish().unwrap(), &Trust::default()).is_ok());
}

#[test]
fn an_empty_journal_and_full_pages_verify() {
    for size in [1, 255, 256, 257, 511, 512, 513] {
        let journal = Journal::generate(size);
        assert_eq!(
            verify(&*journal.export(), &Trust::default()).map(|r| r.records),
            Ok(size)
        );
    }
    let empty = Journal::empty("log_1", 1);
    let report = verify(&*empty.export(), &Trust::default()).unwrap();
    assert_eq!(
        (report.records, report.first, report.open_calls),
        (0, None, 0)
    );
}
