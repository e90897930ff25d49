//! A record has one encoding, and nothing else is read as one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use evidence::deployment::Head;
use evidence::export::{Proof, Trust, verify};
use evidence::tiles::Tile;
use evidence::{
    Actor, Admin, AdminAction, Basis, Blinded, CallIntent, CallRefused, CallSettled, Checkpoint,
    Commitment, Hits, Id, JournalSigner, MAX_HITS, MAX_ID_BYTES, MAX_RECORD_BYTES, Outcome, Record,
    RecordKind, VerifierKey,
};
use jiff::Timestamp;
use proptest::collection::btree_map;
use proptest::option::of;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn an_id() -> impl Strategy<Value = Id> {
    "[A-Za-z0-9_.:/-]{1,128}".prop_map(|text| Id::new(text).unwrap())
}

fn a_commitment() -> impl Strategy<Value = Commitment> {
    any::<[u8; 32]>().prop_map(Commitment::from_bytes)
}

fn blinded() -> impl Strategy<Value = Blinded> {
    any::<[u8; 16]>().prop_map(Blinded::from_bytes)
}

fn an_intent() -> impl Strategy<Value = RecordKind> {
    let who = (an_id(), an_id(), of(blinded()), of(blinded()));
    let what = (an_id(), an_id(), an_id(), an_id());
    (who, what, any::<[u64; 3]>(), a_commitment()).prop_map(|(who, what, numbers, commitment)| {
        let (call, credential, subject, session) = who;
        let (route, model, upstream, policy) = what;
        let [bound_input_tokens, bound_output_tokens, reserved_nanos] = numbers;
        RecordKind::CallIntent(CallIntent {
            call,
            credential,
            subject,
            session,
            route,
            model,
            upstream,
            policy,
            bound_input_tokens,
            bound_output_tokens,
            reserved_nanos,
            request_commitment: commitment,
        })
    })
}

fn a_settlement() -> impl Strategy<Value = RecordKind> {
    use Outcome::{
        Abandoned, ClientGone, Completed, CutAtReservation, RecoveredAfterCrash, UpstreamFailed,
    };
    let outcome = prop::sample::select(vec![
        Completed,
        ClientGone,
        UpstreamFailed,
        CutAtReservation,
        Abandoned,
        RecoveredAfterCrash,
    ]);
    let measured = prop::sample::select(vec![Basis::Measured, Basis::Observed, Basis::Bound]);
    let hits = btree_map(an_id(), any::<u32>(), 0..=MAX_HITS);
    let numbers = (any::<u16>(), any::<[u64; 4]>());
    (
        an_id(),
        outcome,
        numbers,
        measured,
        of(a_commitment()),
        hits,
    )
        .prop_map(
            |(call, outcome, (status, numbers), measured, answer_commitment, hits)| {
                let [input_tokens, cached_input_tokens, output_tokens, cost_nanos] = numbers;
                RecordKind::CallSettled(CallSettled {
                    call,
                    outcome,
                    status,
                    input_tokens,
                    cached_input_tokens,
                    output_tokens,
                    cost_nanos,
                    measured,
                    answer_commitment,
                    findings: Hits::new(hits).unwrap(),
                })
            },
        )
}

fn a_refusal() -> impl Strategy<Value = RecordKind> {
    let count = (1u32..).prop_map(|count| NonZeroU32::new(count).unwrap());
    (an_id(), of(an_id()), an_id(), of(an_id()), an_id(), count).prop_map(
        |(call, credential, route, model, reason, count)| {
            RecordKind::CallRefused(CallRefused {
                call,
                credential,
                route,
                model,
                reason,
                count,
            })
        },
    )
}

fn an_admin() -> impl Strategy<Value = RecordKind> {
    let steward = an_id().prop_map(|credential| Actor::Steward { credential });
    let actor = prop_oneof![Just(Actor::Operator), Just(Actor::System), steward];
    (actor, prop::sample::select(ACTIONS.to_vec()), of(an_id())).prop_map(
        |(actor, action, object)| {
            RecordKind::Admin(Admin {
                actor,
                action,
                object,
            })
        },
    )
}

const ACTIONS: [AdminAction; 18] = [
    AdminAction::TenantCreated,
    AdminAction::TenantSuspended,
    AdminAction::TenantResumed,
    AdminAction::TenantErased,
    AdminAction::KeyMinted,
    AdminAction::KeyRevoked,
    AdminAction::KeyChanged,
    AdminAction::SessionTokenMinted,
    AdminAction::IssuerSet,
    AdminAction::IssuerRemoved,
    AdminAction::LimitsChanged,
    AdminAction::PolicyChanged,
    AdminAction::VaultSet,
    AdminAction::VaultRemoved,
    AdminAction::JournalExported,
    AdminAction::KeysRotated,
    AdminAction::SubjectErased,
    AdminAction::BreakGlassUsed,
];

fn a_record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![an_intent(), a_settlement(), a_refusal(), an_admin()];
    let millis = -300_000_000_000_000_i64..250_000_000_000_000;
    (any::<u64>(), millis, 0..1_000_000_i32, kind).prop_map(|(seq, millis, nanos, kind)| {
        let time = Timestamp::from_millisecond(millis).unwrap();
        let time = time + jiff::SignedDuration::from_nanos(nanos.into());
        Record::new(seq, time, kind)
    })
}

proptest! {
    #[test]
    fn every_record_reads_back_as_itself(record in a_record()) {
        let text = record.canonical();
        prop_assert!(text.len() <= MAX_RECORD_BYTES && text.is_ascii() && !text.contains(&b'\n'));
        let begins = text.starts_with(b"{\"seq\":");
        prop_assert!(begins);
        let read = Record::parse(&text).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.canonical(), text);
    }

    #[test]
    fn what_reads_as_a_record_is_its_only_spelling(
        record in a_record(),
        at in any::<prop::sample::Index>(),
        cut in 0..3_usize,
        put in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut text = record.canonical();
        let at = at.index(text.len());
        text.splice(at..(at + cut).min(text.len()), put);
        if let Ok(read) = Record::parse(&text) {
            prop_assert_eq!(read.canonical(), text);
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        let key = JournalSigner::from_seed([7; 32]).verifier_key(&Id::new("cofferdam/a").unwrap());
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = Record::parse(bytes);
            let _ = Head::parse(bytes);
            let _ = Checkpoint::parse_verify(bytes, &key);
            let _ = verify(bytes, &Trust::default());
            let _ = Proof::from_json(bytes);
        }
        let _ = text.parse::<VerifierKey>();
        let _ = text.parse::<Tile>();
    }

    #[test]
    fn no_tile_path_makes_a_parser_panic(path in "tile/(entries|[0-9]{1,3})/[x0-9/]{0,12}(\\.p/[0-9]{1,4})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }
}

#[test]
fn the_largest_record_fits() {
    let long = |n: usize| Id::new(format!("{n:0>width$}", width = MAX_ID_BYTES)).unwrap();
    let hits = (0..MAX_HITS).map(|n| (long(n), u32::MAX));
    let record = Record::new(
        u64::MAX,
        Timestamp::MIN,
        RecordKind::CallSettled(CallSettled {
            call: long(0),
            outcome: Outcome::RecoveredAfterCrash,
            status: u16::MAX,
            input_tokens: u64::MAX,
            cached_input_tokens: u64::MAX,
            output_tokens: u64::MAX,
            cost_nanos: u64::MAX,
            measured: Basis::Measured,
            answer_commitment: Some(Commitment::from_bytes([255; 32])),
            findings: Hits::new(hits).unwrap(),
        }),
    );
    let text = record.canonical();
    assert!(text.len() <= MAX_RECORD_BYTES, "{}", text.len());
    assert_eq!(Record::parse(&text).unwrap(), record);
    assert!(Hits::new((0..=MAX_HITS).map(|n| (long(n), 1))).is_err());
}

/// The records shown in FORMAT.md, one of each kind.
fn documented() -> Vec<&'static str> {
    include_str!("../FORMAT.md")
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("{\"seq\":"))
        .collect()
}

#[test]
fn every_record_in_the_documentation_is_canonical() {
    let kinds: Vec<_> = documented()
        .iter()
        .map(|line| Record::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}")))
        .map(|record| record.kind().name())
        .collect();
    assert_eq!(
        kinds,
        [
            "admin",
            "admin",
            "call_refused",
            "call_intent",
            "call_settled"
        ]
    );
}

#[test]
fn every_action_is_documented() {
    for action in ACTIONS {
        let name = serde_json::to_string(&action).unwrap().replace('"', "`");
        assert!(include_str!("../FORMAT.md").contains(&name), "{name}");
    }
}

#[test]
fn every_other_spelling_of_a_record_is_refused() {
    let good = documented()[3];
    assert!(Record::parse(good.as_bytes()).is_ok());
    let cases = [
        ("space", good.replacen(':', ": ", 1)),
        ("newline", format!("{good}\n")),
        (
            "unknown field",
            good.replacen("\"call\"", "\"prompt\":\"hello\",\"call\"", 1),
        ),
        (
            "unknown field at the end",
            good.replace("\"}", "\",\"x\":1}"),
        ),
        (
            "doubled field",
            good.replacen("\"model\"", "\"model\":\"m\",\"model\"", 1),
        ),
        ("missing field", good.replacen("\"subject\":null,", "", 1)),
        ("escape", good.replacen("\"call\"", "\"c\\u0061ll\"", 1)),
        (
            "escaped value",
            good.replacen("call_intent", "call_\\u0069ntent", 1),
        ),
        (
            "float",
            good.replacen("\"reserved_nanos\":", "\"reserved_nanos\":1.", 1),
        ),
        ("exponent", good.replacen("\"seq\":2", "\"seq\":2e0", 1)),
        ("negative", good.replacen("\"seq\":", "\"seq\":-", 1)),
        ("leading zero", good.replacen("\"seq\":", "\"seq\":0", 1)),
        (
            "too great",
            good.replacen("\"seq\":", "\"seq\":99999999999999999999", 1),
        ),
        (
            "text for number",
            good.replacen("\"seq\":2", "\"seq\":\"2\"", 1),
        ),
        (
            "other order",
            good.replacen("{\"seq\":2,", "{", 1)
                .replacen('}', ",\"seq\":2}", 1),
        ),
        (
            "unknown kind",
            good.replacen("call_intent", "call_intended", 1),
        ),
        (
            "kind of another shape",
            good.replacen("call_intent", "admin", 1),
        ),
        ("other time", good.replacen(".000Z", "Z", 1)),
        ("upper case hex", good.replacen("5f01ac", "5F01AC", 1)),
        ("not an id", good.replacen("\"cell\"", "\"my cell\"", 1)),
        ("empty id", good.replacen("\"cell\"", "\"\"", 1)),
        ("array", format!("[{good}]")),
        ("nothing", String::new()),
        (
            "too long",
            format!("{good}{}", " ".repeat(MAX_RECORD_BYTES)),
        ),
        ("deep", "[".repeat(MAX_RECORD_BYTES)),
    ];
    for (case, text) in cases {
        assert_ne!(text, good, "{case}");
        assert!(Record::parse(text.as_bytes()).is_err(), "{case}");
    }
}

#[test]
fn a_refused_record_is_not_quoted() {
    let secret = documented()[3].replacen("call_intent", "sk-secret", 1);
    let error = Record::parse(secret.as_bytes()).unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("sk-secret"),
        "{error}"
    );
}
