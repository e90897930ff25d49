//! One call can be shown to somebody who never sees the rest of the journal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod journal;

use evidence::export::{Finding, Part, Proof, Signed, Trust, Wanted, prove, verify_proof};
use evidence::log::verify_inclusion;
use evidence::{JournalSigner, Opening, Record, leaf_hash};
use journal::{Journal, SALT, id, refused, request_text};

fn proof_of(call: u64) -> (Journal, Proof) {
    let journal = Journal::generate(600);
    let wanted = Wanted::Call(id(&format!("call_{call}")));
    let proof = prove(&*journal.export(), &Trust::default(), &wanted).unwrap();
    (journal, proof)
}

/// The proof as it arrives at somebody else.
fn sent(proof: &Proof) -> Proof {
    Proof::from_json(&serde_json::to_vec(proof).unwrap()).unwrap()
}

#[test]
fn a_call_is_proved_with_both_its_records() {
    let (journal, proof) = proof_of(150);
    let report = verify_proof(&sent(&proof), Some(&journal.vkey()), &[]).unwrap();
    assert_eq!(
        report.records.iter().map(Record::seq).collect::<Vec<_>>(),
        [300, 303]
    );
    assert_eq!(
        (report.origin, report.size, report.pinned),
        (journal.origin.clone(), 600, true)
    );
    assert!(!verify_proof(&proof, None, &[]).unwrap().pinned);
}

#[test]
fn every_record_of_every_small_journal_can_be_proved() {
    for size in (1..70).chain([255, 256, 257, 300]) {
        let journal = Journal::generate(size);
        let export = journal.export();
        let root = journal.log.frontier().root();
        for seq in (0..size).filter(|seq| size < 18 || seq % 13 == 0 || seq + 1 == size) {
            let proof = prove(&*export, &Trust::default(), &Wanted::Seq(seq)).unwrap();
            let [proved] = &proof.records[..] else {
                panic!("one record")
            };
            let leaf = leaf_hash(&journal.texts[usize::try_from(seq).unwrap()]);
            assert!(
                verify_inclusion(size, root, seq, leaf, &proved.inclusion).is_ok(),
                "{seq} of {size}"
            );
            assert!(verify_proof(&proof, Some(&journal.vkey()), &[]).is_ok());
        }
    }
}

#[test]
fn whoever_kept_the_text_can_prove_it_and_nobody_can_prove_another() {
    let (_, mut proof) = proof_of(150);
    let text = request_text(150);
    let checked = |proof: &Proof, part, text: &str| {
        verify_proof(&sent(proof), None, &[(part, text.as_bytes())]).map(|report| report.texts)
    };
    let unopened = Finding::TextUnchecked {
        part: "request",
        what: "the proof has no opening for it",
    };
    assert_eq!(checked(&proof, Part::Request, &text), Err(unopened));

    proof.request_opening = Some(Opening { salt: SALT });
    proof.answer_opening = Some(Opening { salt: SALT });
    assert_eq!(
        checked(&proof, Part::Request, &text),
        Ok(vec![Part::Request])
    );
    assert_eq!(
        checked(&proof, Part::Answer, "the answer"),
        Ok(vec![Part::Answer])
    );
    let other = Finding::NotTheText {
        part: "request",
        seq: 300,
    };
    assert_eq!(
        checked(&proof, Part::Request, "another text"),
        Err(other.clone())
    );
    let other_answer = Finding::NotTheText {
        part: "answer",
        seq: 303,
    };
    assert_eq!(checked(&proof, Part::Answer, &text), Err(other_answer));

    proof.request_opening = Some(Opening { salt: [6; 32] });
    assert_eq!(checked(&proof, Part::Request, &text), Err(other));
    proof.records.remove(1);
    let uncommitted = Finding::TextUnchecked {
        part: "answer",
        what: "none of the proof's records commits to it",
    };
    assert_eq!(
        checked(&proof, Part::Answer, "the answer"),
        Err(uncommitted)
    );
}

#[test]
fn every_falsified_proof_is_found() {
    let (journal, genuine) = proof_of(150);
    let key = journal.vkey();
    let check = |case: &str, falsify: &dyn Fn(&mut Proof), found: Finding| {
        let mut proof = genuine.clone();
        falsify(&mut proof);
        assert_eq!(verify_proof(&proof, Some(&key), &[]), Err(found), "{case}");
    };
    let bad = |what| Finding::BadProof { what };
    check(
        "a record edited",
        &|p| p.records[0].record = p.records[0].record.replacen("1000", "1001", 1),
        Finding::NotIncluded { seq: 300 },
    );
    check(
        "a record moved",
        &|p| p.records[0].record = p.records[0].record.replacen("300", "301", 1),
        Finding::NotIncluded { seq: 301 },
    );
    check(
        "a path cut",
        &|p| p.records[1].inclusion.truncate(3),
        Finding::NotIncluded { seq: 303 },
    );
    check(
        "another spelling",
        &|p| p.records[0].record.push(' '),
        bad("a record is not in canonical form"),
    );
    check(
        "records swapped",
        &|p| p.records.swap(0, 1),
        bad("its records are not in order"),
    );
    check(
        "a record doubled",
        &|p| p.records[1] = p.records[0].clone(),
        bad("its records are not in order"),
    );
    let other = proof_of(7).1;
    check(
        "another call's record",
        &|p| p.records.insert(0, other.records[0].clone()),
        bad("its records are not about one call"),
    );
    check(
        "no records",
        &|p| p.records.clear(),
        bad("it has no records, or more than a proof may have"),
    );
    check(
        "a checkpoint edited",
        &|p| p.checkpoint = p.checkpoint.replacen("600", "601", 1),
        bad("its checkpoint has no valid signature by its key"),
    );
    let forger = JournalSigner::from_seed([66; 32]).verifier_key(&journal.origin);
    check(
        "another key",
        &|p| p.vkey = forger.clone(),
        Finding::WrongKey {
            log: Signed::Journal,
            pinned: key.to_string(),
            found: forger.to_string(),
        },
    );
}

#[test]
fn a_proof_is_taken_only_from_an_export_that_verifies() {
    let journal = Journal::generate(20);
    let missing = Finding::NotInJournal {
        wanted: "call call_99".to_owned(),
    };
    let prove = |export: &[u8], wanted| prove(export, &Trust::default(), &wanted);
    assert_eq!(
        prove(&journal.export(), Wanted::Call(id("call_99"))),
        Err(missing)
    );
    let missing = Finding::NotInJournal {
        wanted: "record 20".to_owned(),
    };
    assert_eq!(prove(&journal.export(), Wanted::Seq(20)), Err(missing));
    let text = String::from_utf8(journal.export()).unwrap();
    let edited = text.replacen("\"cost_nanos\":100", "\"cost_nanos\":101", 1);
    assert_eq!(
        prove(edited.as_bytes(), Wanted::Seq(0)),
        Err(Finding::Edited { seq: 3 })
    );
}

#[test]
fn a_refused_call_can_be_proved_too() {
    let mut journal = Journal::empty("log_1", 1);
    journal.push(refused(1));
    let proof = prove(
        &*journal.export(),
        &Trust::default(),
        &Wanted::Call(id("call_1")),
    )
    .unwrap();
    assert_eq!(
        verify_proof(&proof, None, &[]).unwrap().records[0]
            .kind()
            .name(),
        "call_refused"
    );
}

#[test]
fn what_is_no_proof_is_refused() {
    let (_, mut proof) = proof_of(1);
    let long = " ".repeat(evidence::export::MAX_PROOF_BYTES + 1);
    for bad in ["", "{}", "[]", "{\"format\":1}", &long] {
        assert!(matches!(
            Proof::from_json(bad.as_bytes()),
            Err(Finding::BadProof { .. })
        ));
    }
    proof.format = 2;
    assert_eq!(
        verify_proof(&proof, None, &[]),
        Err(Finding::UnknownFormat { format: 2 })
    );
    proof.format = 1;
    proof.records[0].inclusion = vec![leaf_hash(b""); 65];
    assert!(Proof::from_json(&serde_json::to_vec(&proof).unwrap()).is_err());
}
