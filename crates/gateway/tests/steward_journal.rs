//! The tenant's journal over the steward API: exports and proofs that verify without the gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::sync::Arc;

use axum::body::Body;
use evidence::{
    Hash, VerifierKey,
    export::{Trust, verify},
    leaf_hash,
    log::verify_inclusion,
};
use gateway::data_plane;
use http::{Request, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{chat_answer, json_answer},
};
use tower::ServiceExt as _;

async fn stand() -> Stand {
    Stand::start(|_| json_answer(&chat_answer("x"))).await
}

/// A journal with calls in it, and who may read it and nothing else.
async fn journal(stand: &Stand) -> Desk {
    for _ in 0..5 {
        assert_eq!(
            stand
                .post("/v1/chat/completions", &chat("hello"))
                .await
                .status,
            200
        );
    }
    stand.house().settled().await;
    stand.house().rounds(jiff::Timestamp::now()).await.unwrap();
    stand.desk(&stand.control().mint(stand, 0, &["audit"]).await.0)
}

async fn trust(auditor: &Desk) -> Trust {
    let checkpoint = auditor
        .get("/tenant/v1/journal/checkpoint")
        .await
        .expect(200);
    let vkey: VerifierKey = checkpoint["verifier_key"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    Trust {
        vkey: Some(vkey),
        ..Trust::default()
    }
}

#[tokio::test]
async fn an_export_verifies_and_a_cut_one_does_not() {
    let stand = stand().await;
    let auditor = journal(&stand).await;
    let trust = trust(&auditor).await;
    let export = auditor.get("/tenant/v1/journal/export").await;
    assert_eq!((export.status, export.whole), (200, true));
    assert_eq!(export.header("content-type"), Some("application/jsonl"));
    let report = verify(export.body.as_slice(), &trust).unwrap();
    assert_eq!(
        (
            report.kinds["call_settled"],
            report.open_calls,
            report.over_reservation
        ),
        (5, 0, 0),
        "{report:?}"
    );
    assert!(report.pinned && report.deployment.is_some(), "{report:?}");
    let lines: Vec<&[u8]> = export.body.split_inclusive(|&byte| byte == b'\n').collect();
    for cut in 1..lines.len() {
        assert!(
            verify(lines[..cut].concat().as_slice(), &trust).is_err(),
            "cut after {cut} lines"
        );
    }
    for end in (0..export.body.len()).step_by(97) {
        assert!(
            verify(&export.body[..end], &trust).is_err(),
            "cut after {end} bytes"
        );
    }
    // that it was exported stands in it
    let neighbour = stand.desk(&stand.control().mint(&stand, 1, &["audit"]).await.0);
    let foreign = neighbour.get("/tenant/v1/journal/export").await;
    assert!(
        verify(foreign.body.as_slice(), &trust).is_err(),
        "another tenant's journal under this tenant's key"
    );
    assert!(export.text().contains("journal_exported"));
}

#[tokio::test]
async fn every_record_is_proven_to_stand_in_the_journal() {
    let stand = stand().await;
    let auditor = journal(&stand).await;
    let size = auditor
        .get("/tenant/v1/journal/checkpoint")
        .await
        .expect(200)["size"]
        .as_u64()
        .unwrap();
    let hash = |text: &str| Hash(hex::decode(text).unwrap().try_into().unwrap());
    for seq in 0..size {
        let text = auditor
            .get(&format!("/tenant/v1/journal/proof?seq={seq}"))
            .await
            .text();
        let proof: Proof<'_> = serde_json::from_str(&text).unwrap();
        let path: Vec<Hash> = proof.path.iter().map(|text| hash(text)).collect();
        let leaf = leaf_hash(proof.record.record.get().as_bytes());
        assert_eq!(leaf, hash(proof.record.leaf), "{text}");
        let (root, size) = (hash(proof.checkpoint.root), proof.checkpoint.size);
        verify_inclusion(size, root, seq, leaf, &path).unwrap();
        assert!(verify_inclusion(size, root, seq, leaf_hash(b"another"), &path).is_err());
    }
    let beyond = auditor
        .get(&format!("/tenant/v1/journal/proof?seq={size}"))
        .await;
    assert_eq!(beyond.refusal(), (404, "not_found".to_owned()));
}

#[derive(Deserialize)]
struct Proof<'a> {
    #[serde(borrow)]
    record: Row<'a>,
    path: Vec<String>,
    #[serde(borrow)]
    checkpoint: Head<'a>,
}

#[derive(Deserialize)]
struct Row<'a> {
    leaf: &'a str,
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Deserialize)]
struct Head<'a> {
    size: u64,
    root: &'a str,
}

#[tokio::test]
async fn slow_readers_of_exports_use_up_their_own_tenants_room_alone() {
    let stand = stand().await;
    let control = stand.control();
    let router = data_plane::router(Arc::clone(&stand.gateway));
    let export = async |key: &str| {
        let request = Request::get("/tenant/v1/journal/export")
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    };
    let (own, _) = control.mint(&stand, 0, &["audit"]).await;
    let (neighbours, _) = control.mint(&stand, 1, &["audit"]).await;
    // answers that nobody reads
    let unread = [export(&own).await, export(&own).await];
    assert!(unread.iter().all(|answer| answer.status() == 200));
    let records = async || stand.home.records(0).await.len();
    let before = records().await;
    let refused = export(&own).await;
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "1")
    );
    assert_eq!(
        records().await,
        before,
        "what was not exported is not recorded as exported"
    );
    assert_eq!(export(&neighbours).await.status(), 200);
    let [first, second] = unread;
    let whole = first.into_body().collect().await.unwrap().to_bytes();
    verify(whole.as_ref(), &Trust::default()).unwrap();
    assert_eq!(export(&own).await.status(), 200, "one was read to its end");
    drop(second);
    assert_eq!(export(&own).await.status(), 200, "one was given up");
}
