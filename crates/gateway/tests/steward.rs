//! The steward API: strict bodies, whole pages, sums that add up, journals that verify, secrets that are shown once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::{collections::BTreeSet, sync::Arc};

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
use serde_json::{Value, json, value::RawValue};
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{chat_answer, json_answer},
};
use tower::ServiceExt as _;

const ALL: [&str; 4] = ["infer", "mint_sessions", "steward", "audit"];

async fn stand() -> Stand {
    Stand::start(|_| json_answer(&chat_answer("x"))).await
}

/// Somebody of tenant A who may do everything.
async fn whole(stand: &Stand) -> Desk {
    stand.desk(&stand.control().mint(stand, 0, &ALL).await.0)
}

#[tokio::test]
async fn a_body_that_is_not_exactly_right_is_refused_and_changes_nothing() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let before = (desk.get("/tenant/v1/keys").await.body, desk.get("/tenant/v1/limits").await.body);
    let (keys, limits, sessions) = ("POST /tenant/v1/keys", "PUT /tenant/v1/limits", "POST /tenant/v1/sessions");
    let deep = format!("{{\"name\":\"x\",\"scopes\":{}{}}}", "[".repeat(100), "]".repeat(100));
    let many = format!("{{\"keys\":{{{}\"b\":{{}}}}}}", (0..1024).map(|i| format!("\"k{i}\":{{}},")).collect::<String>());
    let large = |bytes: usize| format!("{{\"name\":\"{}\",\"scopes\":[\"infer\"]}}", "x".repeat(bytes));
    for (line, body, status, code, param) in [
        (keys, "", 400, "invalid_json", None),
        (keys, "{", 400, "invalid_json", None),
        (keys, "[]", 400, "invalid_type", None),
        (keys, "{}", 400, "missing_required_parameter", Some("name")),
        (keys, r#"{"name":"x","scopes":["infer"],"teh":1}"#, 400, "unknown_parameter", Some("teh")),
        (keys, r#"{"name":"x","name":"y","scopes":["infer"]}"#, 400, "duplicate_parameter", Some("name")),
        (keys, r#"{"name":7,"scopes":["infer"]}"#, 400, "invalid_type", Some("name")),
        (keys, r#"{"name":"","scopes":["infer"]}"#, 400, "invalid_value", Some("name")),
        (keys, r#"{"name":"a\u0000b","scopes":["infer"]}"#, 400, "invalid_value", Some("name")),
        (keys, r#"{"name":"x","scopes":[]}"#, 400, "array_below_min_length", Some("scopes")),
        (keys, r#"{"name":"x","scopes":["root"]}"#, 400, "invalid_value", Some("scopes[0]")),
        (keys, r#"{"name":"x","scopes":["infer","infer"]}"#, 400, "invalid_value", Some("scopes")),
        (keys, r#"{"name":"x","scopes":["infer"],"expires_in_seconds":0}"#, 400, "integer_below_min_value", Some("expires_in_seconds")),
        (keys, r#"{"name":"x","scopes":["infer"],"expires_at":"2001"}"#, 400, "invalid_value", Some("expires_at")),
        (keys, &deep, 400, "json_too_deep", None),
        (keys, &large(200), 400, "string_above_max_length", Some("name")),
        (keys, &large(64 * 1024), 413, "request_too_large", None),
        (limits, r#"{"tenant":{"money_total":"-1"}}"#, 400, "invalid_value", Some("tenant.money_total")),
        (limits, r#"{"tenant":{"money_total":1.5}}"#, 400, "invalid_type", Some("tenant.money_total")),
        (limits, r#"{"tenant":{"concurrent_calls":0}}"#, 400, "invalid_value", Some("tenant.concurrent_calls")),
        (limits, r#"{"tenant":{"money_total":"99999999999"}}"#, 400, "invalid_value", Some("tenant.money_total")),
        (limits, &many, 400, "array_above_max_length", Some("keys")),
        (sessions, r#"{"subject":""}"#, 400, "invalid_value", Some("subject")),
        (sessions, r#"{"subject":"x","expires_in_seconds":86401}"#, 400, "integer_above_max_value", Some("expires_in_seconds")),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let reply = desk.send(method, path, "application/json", body.as_bytes()).await;
        let start: String = body.chars().take(80).collect();
        assert_eq!(reply.refusal(), (status, code.to_owned()), "{line} {start}: {}", reply.text());
        assert_eq!(reply.json()["error"]["param"].as_str(), param, "{line} {start}");
    }
    for (kind, body) in [("text/plain", "{}"), ("application/x-www-form-urlencoded", "name=x")] {
        let reply = desk.send("POST", "/tenant/v1/keys", kind, body.as_bytes()).await;
        assert_eq!(reply.refusal().0, 415, "{}", reply.text());
    }
    assert_eq!((desk.get("/tenant/v1/keys").await.body, desk.get("/tenant/v1/limits").await.body), before);
}

#[tokio::test]
async fn a_query_that_is_not_known_is_refused() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let long = format!("/tenant/v1/keys?after={}", "0".repeat(5000));
    for path in [
        "/tenant/v1/keys?tenant=ten_0",
        "/tenant/v1/keys?limit=-1",
        "/tenant/v1/keys?limit=many",
        "/tenant/v1/keys?limit=1&limit=2",
        &long,
        "/tenant/v1/usage?from=yesterday",
        "/tenant/v1/usage?by=tenant",
        "/tenant/v1/journal/records?from=-1",
        "/tenant/v1/journal/records?from=18446744073709551616",
        "/tenant/v1/journal/proof",
        "/tenant/v1/journal/proof?seq=x",
    ] {
        let reply = desk.get(path).await;
        assert_eq!(reply.refusal(), (400, "invalid_query".to_owned()), "{path}: {}", reply.text());
    }
    // what a query does not bound is bounded all the same
    assert_eq!(desk.get("/tenant/v1/keys?limit=4294967295").await.status, 200);
    assert_eq!(desk.get("/tenant/v1/journal/records?from=18446744073709551615").await.expect(200)["data"], json!([]));
    assert_eq!(desk.get("/tenant/v1/journal/proof?seq=18446744073709551615").await.refusal().0, 404);
}

#[tokio::test]
async fn pages_show_everything_once() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    for count in 0..7 {
        desk.post("/tenant/v1/keys", json!({"name": format!("key {count}"), "scopes": ["infer"]})).await.expect(201);
    }
    let all = desk.get("/tenant/v1/keys").await.expect(200);
    let ids = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&all).len(), &all["has_more"]), (9, &json!(false)), "with those of the stand");
    for limit in [1, 2, 3, 8, 9] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = desk.get(&format!("/tenant/v1/keys?limit={limit}{after}")).await.expect(200);
            let here = ids(&page);
            assert!(here.len() <= limit);
            after = format!("&after={}", here.last().unwrap());
            seen.extend(here);
            if page["has_more"] == json!(false) {
                break;
            }
        }
        assert_eq!(seen, ids(&all), "in pages of {limit}");
    }
    let records = desk.get("/tenant/v1/journal/records?limit=1000").await.expect(200);
    let records = records["data"].as_array().unwrap();
    for limit in [1, 4] {
        let mut seen = Vec::new();
        loop {
            let path = format!("/tenant/v1/journal/records?from={}&limit={limit}", seen.len());
            let page = desk.get(&path).await.expect(200);
            seen.extend(page["data"].as_array().unwrap().clone());
            if page["has_more"] == json!(false) {
                break;
            }
        }
        assert_eq!(&seen, records, "in pages of {limit}");
    }
}

#[tokio::test]
async fn usage_adds_up_to_what_the_calls_cost_however_it_is_summed() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let other = stand.desk(&stand.a);
    let mut cost = 0;
    for (desk, model) in [(&desk, "priced"), (&desk, "m"), (&other, "priced"), (&other, "priced")] {
        let mut body = chat("hello");
        body["model"] = json!(model);
        let reply = desk.post("/v1/chat/completions", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        stand.house().settled().await;
        let call = desk.get(&format!("/tenant/v1/calls/{}", reply.header("x-request-id").unwrap())).await.expect(200);
        assert_eq!((&call["state"], &call["outcome"]), (&json!("settled"), &json!("completed")));
        cost += nanos(&call["cost"]);
    }
    // gpt-4o-mini: 7 tokens in at 0.15 and 3 out at 0.60 for a million, three times
    assert_eq!(cost, 3 * (7 * 150 + 3 * 600));
    for (by, rows) in [("day", 1), ("key", 2), ("model", 2), ("each", 3)] {
        let usage = desk.get(&format!("/tenant/v1/usage?by={by}")).await.expect(200);
        let data = usage["data"].as_array().unwrap();
        assert_eq!(data.len(), rows, "{by}: {usage}");
        let sum = |field: &str| data.iter().map(|row| row[field].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("calls"), sum("input_tokens"), sum("output_tokens")), (4, 28, 12), "{by}");
        assert_eq!(data.iter().map(|row| nanos(&row["cost"])).sum::<u64>(), cost, "{by}");
        assert_eq!((nanos(&usage["total"]["cost"]), &usage["total"]["calls"]), (cost, &json!(4)), "{by}");
    }
    let of_one = desk.get("/tenant/v1/usage?by=model&model=m").await.expect(200);
    assert_eq!((&of_one["total"]["calls"], nanos(&of_one["total"]["cost"])), (&json!(1), 0));
    let never = desk.get("/tenant/v1/usage?from=2001-01-01&to=2001-12-31").await.expect(200);
    assert_eq!(never["total"]["calls"], json!(0));
    let neighbours = stand.desk(&stand.control().mint(&stand, 1, &["steward"]).await.0);
    assert_eq!(neighbours.get("/tenant/v1/usage").await.expect(200)["total"]["calls"], json!(0));
}

/// An amount of money in billionths.
fn nanos(amount: &Value) -> u64 {
    let amount = amount.as_str().unwrap();
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{part:0<9}").parse().unwrap()
}

#[tokio::test]
async fn a_keys_own_limits_hold_for_it_alone() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let wish = json!({"name": "slow", "scopes": ["infer"], "limits": {"requests_per_minute": 1}});
    let minted = desk.post("/tenant/v1/keys", wish).await.expect(201);
    let slow = stand.desk(minted["key"].as_str().unwrap());
    let ask = async |desk: &Desk| desk.post("/v1/chat/completions", chat("hello")).await;
    assert_eq!(ask(&slow).await.status, 200);
    let refused = ask(&slow).await;
    assert_eq!(refused.refusal(), (429, "rate_limit_exceeded".to_owned()));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(ask(&desk).await.status, 200, "other keys go on");
    let path = format!("/tenant/v1/keys/{}", minted["id"].as_str().unwrap());
    let changed = desk.call("PATCH", &path, Some(&json!({"limits": null}))).await.expect(200);
    assert_eq!(changed["limits"], json!({}));
    assert_eq!(ask(&slow).await.status, 200, "a limit that is taken away holds no longer");
}

#[tokio::test]
async fn what_is_shown_once_is_never_shown_again() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let minted = desk.post("/tenant/v1/keys", json!({"name": "n", "scopes": ["infer"]})).await;
    let key = minted.expect(201)["key"].as_str().unwrap().to_owned();
    let session = desk.post("/tenant/v1/sessions", json!({"subject": "planted-subject"})).await;
    let token = session.expect(201)["token"].as_str().unwrap().to_owned();
    for reply in [&minted, &session] {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let put = desk.call("PUT", "/tenant/v1/credentials/main", Some(&json!({"secret": "sk-planted"}))).await;
    assert_eq!(stand.desk(&token).post("/v1/chat/completions", chat("planted-text")).await.status, 200);
    stand.house().settled().await;
    let document: Value = serde_json::from_str(&gateway::openapi()).unwrap();
    let mut answers = vec![put];
    for (path, item) in document["paths"].as_object().unwrap() {
        if path.starts_with("/tenant/") && item.get("get").is_some() {
            let id = minted.json()["id"].as_str().unwrap().to_owned();
            let query = if path.ends_with("/proof") { "?seq=0" } else { "" };
            answers.push(desk.get(&format!("{}{query}", path.replace("{id}", &id))).await);
        }
    }
    assert!(answers.len() > 10);
    for reply in answers {
        for secret in [&*key, &*token, &desk.key, "sk-planted", "planted-subject", "planted-text"] {
            assert!(!reply.text().contains(secret), "{secret} in {}", reply.text());
        }
    }
    // nothing that the tenant chose in words stands in the journal
    let export = desk.get("/tenant/v1/journal/export").await.text();
    assert!(!export.contains("\"n\""), "{export}");
}

/// A journal with calls in it, and who may read it and nothing else.
async fn journal(stand: &Stand) -> Desk {
    for _ in 0..5 {
        assert_eq!(stand.post("/v1/chat/completions", &chat("hello")).await.status, 200);
    }
    stand.house().settled().await;
    stand.house().rounds(jiff::Timestamp::now()).await.unwrap();
    stand.desk(&stand.control().mint(stand, 0, &["audit"]).await.0)
}

async fn trust(auditor: &Desk) -> Trust {
    let checkpoint = auditor.get("/tenant/v1/journal/checkpoint").await.expect(200);
    let vkey: VerifierKey = checkpoint["verifier_key"].as_str().unwrap().parse().unwrap();
    Trust { vkey: Some(vkey), ..Trust::default() }
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
    assert_eq!((report.kinds["call_settled"], report.open_calls, report.over_reservation), (5, 0, 0), "{report:?}");
    assert!(report.pinned && report.deployment.is_some(), "{report:?}");
    let lines: Vec<&[u8]> = export.body.split_inclusive(|&byte| byte == b'\n').collect();
    for cut in 1..lines.len() {
        assert!(verify(lines[..cut].concat().as_slice(), &trust).is_err(), "cut after {cut} lines");
    }
    for end in (0..export.body.len()).step_by(97) {
        assert!(verify(&export.body[..end], &trust).is_err(), "cut after {end} bytes");
    }
    // that it was exported stands in it
    let neighbour = stand.desk(&stand.control().mint(&stand, 1, &["audit"]).await.0);
    let foreign = neighbour.get("/tenant/v1/journal/export").await;
    assert!(verify(foreign.body.as_slice(), &trust).is_err(), "another tenant's journal under this tenant's key");
    assert!(export.text().contains("journal_exported"));
}

#[tokio::test]
async fn every_record_is_proven_to_stand_in_the_journal() {
    let stand = stand().await;
    let auditor = journal(&stand).await;
    let size = auditor.get("/tenant/v1/journal/checkpoint").await.expect(200)["size"].as_u64().unwrap();
    let hash = |text: &str| Hash(hex::decode(text).unwrap().try_into().unwrap());
    for seq in 0..size {
        let text = auditor.get(&format!("/tenant/v1/journal/proof?seq={seq}")).await.text();
        let proof: Proof<'_> = serde_json::from_str(&text).unwrap();
        let path: Vec<Hash> = proof.path.iter().map(|text| hash(text)).collect();
        let leaf = leaf_hash(proof.record.record.get().as_bytes());
        assert_eq!(leaf, hash(proof.record.leaf), "{text}");
        let (root, size) = (hash(proof.checkpoint.root), proof.checkpoint.size);
        verify_inclusion(size, root, seq, leaf, &path).unwrap();
        assert!(verify_inclusion(size, root, seq, leaf_hash(b"another"), &path).is_err());
    }
    let beyond = auditor.get(&format!("/tenant/v1/journal/proof?seq={size}")).await;
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
        let request = Request::get("/tenant/v1/journal/export").header(header::AUTHORIZATION, format!("Bearer {key}"));
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let (own, _) = control.mint(&stand, 0, &["audit"]).await;
    let (neighbours, _) = control.mint(&stand, 1, &["audit"]).await;
    // answers that nobody reads
    let unread = [export(&own).await, export(&own).await];
    assert!(unread.iter().all(|answer| answer.status() == 200));
    let records = async || stand.home.records(0).await.len();
    let before = records().await;
    let refused = export(&own).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(records().await, before, "what was not exported is not recorded as exported");
    assert_eq!(export(&neighbours).await.status(), 200);
    let [first, second] = unread;
    let whole = first.into_body().collect().await.unwrap().to_bytes();
    verify(whole.as_ref(), &Trust::default()).unwrap();
    assert_eq!(export(&own).await.status(), 200, "one was read to its end");
    drop(second);
    assert_eq!(export(&own).await.status(), 200, "one was given up");
}

#[tokio::test]
async fn a_session_is_one_end_users_and_ends_with_the_key_that_minted_it() {
    let stand = stand().await;
    let steward = whole(&stand).await;
    let minted = steward.post("/tenant/v1/keys", json!({"name": "m", "scopes": ["infer", "mint_sessions"]})).await;
    let minter = stand.desk(minted.expect(201)["key"].as_str().unwrap());
    let session = minter.post("/tenant/v1/sessions", json!({"subject": "one"})).await.expect(201);
    let user = stand.desk(session["token"].as_str().unwrap());
    let myself = user.get("/tenant/v1/self").await.expect(200);
    assert_eq!((&myself["kind"], &myself["is_subject"], &myself["scopes"]), (&json!("session"), &json!(true), &json!(["infer"])));
    assert_eq!(myself["credential"], minted.json()["id"]);
    let call = user.post("/v1/chat/completions", chat("hello")).await;
    let path = format!("/tenant/v1/calls/{}", call.header("x-request-id").unwrap());
    assert_eq!(user.get(&path).await.status, 200);
    let foreign = minter.post("/v1/chat/completions", chat("hello")).await;
    let path = format!("/tenant/v1/calls/{}", foreign.header("x-request-id").unwrap());
    let unknown = user.get(&format!("/tenant/v1/calls/call_{}", "0".repeat(32))).await;
    let seen = user.get(&path).await;
    assert_eq!((seen.status, &seen.body), (404, &unknown.body));
    let key = format!("/tenant/v1/keys/{}", minted.json()["id"].as_str().unwrap());
    steward.call("DELETE", &key, None).await.expect(200);
    for desk in [&user, &minter] {
        assert_eq!(desk.get("/tenant/v1/self").await.refusal(), (401, "invalid_api_key".to_owned()));
    }
    let codes: BTreeSet<_> = [steward.call("DELETE", &key, None).await.status, steward.get(&key).await.status].into();
    assert_eq!(codes, BTreeSet::from([200]), "a revoked key stays on record, and revoking again changes nothing");
}
