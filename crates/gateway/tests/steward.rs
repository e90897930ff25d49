//! The steward API: strict bodies, whole pages, sums that add up, journals that verify, secrets that are shown once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{chat_answer, json_answer},
};

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
    let before = (
        desk.get("/tenant/v1/keys").await.body,
        desk.get("/tenant/v1/limits").await.body,
    );
    let (keys, limits, sessions) = (
        "POST /tenant/v1/keys",
        "PUT /tenant/v1/limits",
        "POST /tenant/v1/sessions",
    );
    let deep = format!(
        "{{\"name\":\"x\",\"scopes\":{}{}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    let many = format!(
        "{{\"keys\":{{{}\"b\":{{}}}}}}",
        (0..1024)
            .map(|i| format!("\"k{i}\":{{}},"))
            .collect::<String>()
    );
    let large = |bytes: usize| {
        format!(
            "{{\"name\":\"{}\",\"scopes\":[\"infer\"]}}",
            "x".repeat(bytes)
        )
    };
    for (line, body, status, code, param) in [
        (keys, "", 400, "invalid_json", None),
        (keys, "{", 400, "invalid_json", None),
        (keys, "[]", 400, "invalid_type", None),
        (keys, "{}", 400, "missing_required_parameter", Some("name")),
        (
            keys,
            r#"{"name":"x","scopes":["infer"],"teh":1}"#,
            400,
            "unknown_parameter",
            Some("teh"),
        ),
        (
            keys,
            r#"{"name":"x","name":"y","scopes":["infer"]}"#,
            400,
            "duplicate_parameter",
            Some("name"),
        ),
        (
            keys,
            r#"{"name":7,"scopes":["infer"]}"#,
            400,
            "invalid_type",
            Some("name"),
        ),
        (
            keys,
            r#"{"name":"","scopes":["infer"]}"#,
            400,
            "invalid_value",
            Some("name"),
        ),
        (
            keys,
            r#"{"name":"a\u0000b","scopes":["infer"]}"#,
            400,
            "invalid_value",
            Some("name"),
        ),
        (
            keys,
            r#"{"name":"x","scopes":[]}"#,
            400,
            "array_below_min_length",
            Some("scopes"),
        ),
        (
            keys,
            r#"{"name":"x","scopes":["root"]}"#,
            400,
            "invalid_value",
            Some("scopes[0]"),
        ),
        (
            keys,
            r#"{"name":"x","scopes":["infer","infer"]}"#,
            400,
            "invalid_value",
            Some("scopes"),
        ),
        (
            keys,
            r#"{"name":"x","scopes":["infer"],"expires_in_seconds":0}"#,
            400,
            "integer_below_min_value",
            Some("expires_in_seconds"),
        ),
        (
            keys,
            r#"{"name":"x","scopes":["infer"],"expires_at":"2001"}"#,
            400,
            "invalid_value",
            Some("expires_at"),
        ),
        (keys, &deep, 400, "json_too_deep", None),
        (
            keys,
            &large(200),
            400,
            "string_above_max_length",
            Some("name"),
        ),
        (keys, &large(64 * 1024), 413, "request_too_large", None),
        (
            limits,
            r#"{"tenant":{"money_total":"-1"}}"#,
            400,
            "invalid_value",
            Some("tenant.money_total"),
        ),
        (
            limits,
            r#"{"tenant":{"money_total":1.5}}"#,
            400,
            "invalid_type",
            Some("tenant.money_total"),
        ),
        (
            limits,
            r#"{"tenant":{"concurrent_calls":0}}"#,
            400,
            "invalid_value",
            Some("tenant.concurrent_calls"),
        ),
        (
            limits,
            r#"{"tenant":{"money_total":"99999999999"}}"#,
            400,
            "invalid_value",
            Some("tenant.money_total"),
        ),
        (limits, &many, 400, "array_above_max_length", Some("keys")),
        (
            sessions,
            r#"{"subject":""}"#,
            400,
            "invalid_value",
            Some("subject"),
        ),
        (
            sessions,
            r#"{"subject":"x","expires_in_seconds":86401}"#,
            400,
            "integer_above_max_value",
            Some("expires_in_seconds"),
        ),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let reply = desk
            .send(method, path, "application/json", body.as_bytes())
            .await;
        let start: String = body.chars().take(80).collect();
        assert_eq!(
            reply.refusal(),
            (status, code.to_owned()),
            "{line} {start}: {}",
            reply.text()
        );
        assert_eq!(
            reply.json()["error"]["param"].as_str(),
            param,
            "{line} {start}"
        );
    }
    for (kind, body) in [
        ("text/plain", "{}"),
        ("application/x-www-form-urlencoded", "name=x"),
    ] {
        let reply = desk
            .send("POST", "/tenant/v1/keys", kind, body.as_bytes())
            .await;
        assert_eq!(reply.refusal().0, 415, "{}", reply.text());
    }
    assert_eq!(
        (
            desk.get("/tenant/v1/keys").await.body,
            desk.get("/tenant/v1/limits").await.body
        ),
        before
    );
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
        assert_eq!(
            reply.refusal(),
            (400, "invalid_query".to_owned()),
            "{path}: {}",
            reply.text()
        );
    }
    // what a query does not bound is bounded all the same
    assert_eq!(
        desk.get("/tenant/v1/keys?limit=4294967295").await.status,
        200
    );
    assert_eq!(
        desk.get("/tenant/v1/journal/records?from=18446744073709551615")
            .await
            .expect(200)["data"],
        json!([])
    );
    assert_eq!(
        desk.get("/tenant/v1/journal/proof?seq=18446744073709551615")
            .await
            .refusal()
            .0,
        404
    );
}

#[tokio::test]
async fn pages_show_everything_once() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    for count in 0..7 {
        desk.post(
            "/tenant/v1/keys",
            json!({"name": format!("key {count}"), "scopes": ["infer"]}),
        )
        .await
        .expect(201);
    }
    let all = desk.get("/tenant/v1/keys").await.expect(200);
    let ids = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (ids(&all).len(), &all["has_more"]),
        (9, &json!(false)),
        "with those of the stand"
    );
    for limit in [1, 2, 3, 8, 9] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = desk
                .get(&format!("/tenant/v1/keys?limit={limit}{after}"))
                .await
                .expect(200);
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
    let records = desk
        .get("/tenant/v1/journal/records?limit=1000")
        .await
        .expect(200);
    let records = records["data"].as_array().unwrap();
    for limit in [1, 4] {
        let mut seen = Vec::new();
        loop {
            let path = format!(
                "/tenant/v1/journal/records?from={}&limit={limit}",
                seen.len()
            );
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
async fn what_is_shown_once_is_never_shown_again() {
    let stand = stand().await;
    let desk = whole(&stand).await;
    let minted = desk
        .post("/tenant/v1/keys", json!({"name": "n", "scopes": ["infer"]}))
        .await;
    let key = minted.expect(201)["key"].as_str().unwrap().to_owned();
    let session = desk
        .post("/tenant/v1/sessions", json!({"subject": "planted-subject"}))
        .await;
    let token = session.expect(201)["token"].as_str().unwrap().to_owned();
    for reply in [&minted, &session] {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let put = desk
        .call(
            "PUT",
            "/tenant/v1/credentials/main",
            Some(&json!({"secret": "sk-planted"})),
        )
        .await;
    assert_eq!(
        stand
            .desk(&token)
            .post("/v1/chat/completions", chat("planted-text"))
            .await
            .status,
        200
    );
    stand.house().settled().await;
    let document: Value = serde_json::from_str(&gateway::openapi()).unwrap();
    let mut answers = vec![put];
    for (path, item) in document["paths"].as_object().unwrap() {
        if path.starts_with("/tenant/") && item.get("get").is_some() {
            let id = minted.json()["id"].as_str().unwrap().to_owned();
            let query = if path.ends_with("/proof") {
                "?seq=0"
            } else {
                ""
            };
            answers.push(
                desk.get(&format!("{}{query}", path.replace("{id}", &id)))
                    .await,
            );
        }
    }
    assert!(answers.len() > 10);
    for reply in answers {
        for secret in [
            &*key,
            &*token,
            &desk.key,
            "sk-planted",
            "planted-subject",
            "planted-text",
        ] {
            assert!(
                !reply.text().contains(secret),
                "{secret} in {}",
                reply.text()
            );
        }
    }
    // nothing that the tenant chose in words stands in the journal
    let export = desk.get("/tenant/v1/journal/export").await.text();
    assert!(!export.contains("\"n\""), "{export}");
}

#[tokio::test]
async fn a_session_is_one_end_users_and_ends_with_the_key_that_minted_it() {
    let stand = stand().await;
    let steward = whole(&stand).await;
    let minted = steward
        .post(
            "/tenant/v1/keys",
            json!({"name": "m", "scopes": ["infer", "mint_sessions"]}),
        )
        .await;
    let minter = stand.desk(minted.expect(201)["key"].as_str().unwrap());
    let session = minter
        .post("/tenant/v1/sessions", json!({"subject": "one"}))
        .await
        .expect(201);
    let user = stand.desk(session["token"].as_str().unwrap());
    let myself = user.get("/tenant/v1/self").await.expect(200);
    assert_eq!(
        (&myself["kind"], &myself["is_subject"], &myself["scopes"]),
        (&json!("session"), &json!(true), &json!(["infer"]))
    );
    assert_eq!(myself["credential"], minted.json()["id"]);
    let call = user.post("/v1/chat/completions", chat("hello")).await;
    let path = format!("/tenant/v1/calls/{}", call.header("x-request-id").unwrap());
    assert_eq!(user.get(&path).await.status, 200);
    let foreign = minter.post("/v1/chat/completions", chat("hello")).await;
    let path = format!(
        "/tenant/v1/calls/{}",
        foreign.header("x-request-id").unwrap()
    );
    let unknown = user
        .get(&format!("/tenant/v1/calls/call_{}", "0".repeat(32)))
        .await;
    let seen = user.get(&path).await;
    assert_eq!((seen.status, &seen.body), (404, &unknown.body));
    let key = format!("/tenant/v1/keys/{}", minted.json()["id"].as_str().unwrap());
    steward.call("DELETE", &key, None).await.expect(200);
    for desk in [&user, &minter] {
        assert_eq!(
            desk.get("/tenant/v1/self").await.refusal(),
            (401, "invalid_api_key".to_owned())
        );
    }
    let codes: BTreeSet<_> = [
        steward.call("DELETE", &key, None).await.status,
        steward.get(&key).await.status,
    ]
    .into();
    assert_eq!(
        codes,
        BTreeSet::from([200]),
        "a revoked key stays on record, and revoking again changes nothing"
    );
}
