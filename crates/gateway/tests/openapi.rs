//! The checked-in document is the interface that is served: every path, every method, every answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::{collections::BTreeSet, sync::Arc};

use gateway::{control, data_plane};
use serde_json::{Value, json};
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{chat_answer, json_answer},
    interface::{Checked, METHODS, document, operations},
};

fn is_open(path: &str) -> bool {
    ["/healthz", "/readyz", "/metrics"].contains(&path)
}

fn is_control(path: &str) -> bool {
    path.starts_with("/admin/") || is_open(path)
}

#[test]
fn the_checked_in_document_is_the_one_that_the_code_makes() {
    assert_eq!(
        gateway::openapi(),
        gateway::openapi(),
        "the document differs from run to run"
    );
    assert!(
        include_str!("../../../spec/openapi.json") == gateway::openapi(),
        "spec/openapi.json differs; write it anew with `cargo run -p cofferdam -- openapi > spec/openapi.json`"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
    let document = document();
    let names: Vec<&str> = operations(&document)
        .iter()
        .map(|(.., op)| op["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>().len(),
        names.len(),
        "{names:?}"
    );
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| match value.as_str() {
                    Some(target) if name == "$ref" => {
                        found.insert(target);
                    }
                    _ => references(value, found),
                }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{found:?}");
    for target in &found {
        assert!(
            document.pointer(target.trim_start_matches('#')).is_some(),
            "{target} leads nowhere"
        );
    }
    // and every schema is led to
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            found.contains(&*format!("#/components/schemas/{name}")),
            "nothing needs {name}"
        );
    }
}

#[tokio::test]
async fn every_documented_operation_is_served_on_its_plane_and_no_other_method_is() {
    let stand = Stand::start(|_| json_answer(&chat_answer("x"))).await;
    let control = stand.control();
    let nobody = |address| Desk {
        address,
        key: "nobody".to_owned(),
    };
    let (data, admin) = (nobody(stand.address), nobody(control.operator.address));
    let document = document();
    let documented: BTreeSet<(&str, &str)> = operations(&document)
        .iter()
        .map(|(method, path, _)| (*method, *path))
        .collect();
    assert!(documented.len() > 50, "{documented:?}");
    for path in documented
        .iter()
        .map(|(_, path)| *path)
        .collect::<BTreeSet<_>>()
    {
        let (own, other) = if is_control(path) {
            (&admin, &data)
        } else {
            (&data, &admin)
        };
        for method in METHODS {
            let asked = path
                .replace("{tenant}", "ten_x")
                .replace("{id}", "x")
                .replace("{upstream}", "x");
            let method_name = method.to_uppercase();
            let answer = own.call(&method_name, &asked, None).await;
            let expected = match (documented.contains(&(method, path)), is_open(path)) {
                (true, true) => 200,
                // it is there, and asks for a credential first of all
                (true, false) => 401,
                (false, _) => 405,
            };
            assert_eq!(
                answer.status,
                expected,
                "{method} {path}: {}",
                answer.text()
            );
            if expected == 405 {
                answer.refusal();
            }
            let elsewhere = other.call(&method_name, &asked, None).await;
            assert_eq!(
                elsewhere.refusal(),
                (404, "unknown_url".to_owned()),
                "{method} {path} on the other plane"
            );
            if let Some(short) = asked.strip_prefix("/v1") {
                let answer = own.call(&method_name, short, None).await;
                assert_eq!(answer.status, expected, "{method} {short}");
            }
        }
    }
}

/// The paths that a router has, out of what it shows of itself.
fn paths(router: &axum::Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let own = shown.split("fallback_router").next().unwrap();
    let rest = own
        .split("paths: {")
        .nth(1)
        .expect("a router shows its paths");
    let quoted = rest.split('"').skip(1).step_by(2);
    quoted.map(|path| path.replace("{*", "{")).collect()
}

#[tokio::test]
async fn every_path_of_the_routers_is_documented() {
    let stand = Stand::start(|_| json_answer(&chat_answer("x"))).await;
    let document = document();
    let documented: BTreeSet<&str> = operations(&document)
        .into_iter()
        .map(|(_, path, _)| path)
        .collect();
    let mut routed = BTreeSet::new();
    let data = paths(&data_plane::router(Arc::clone(&stand.gateway)));
    let control = paths(&control::router(Arc::clone(&stand.gateway)));
    for path in data.into_iter().chain(control) {
        // every path of the OpenAI API is there without its version too
        let versioned = format!("/v1{path}");
        routed.insert(if documented.contains(&*versioned) {
            versioned
        } else {
            path
        });
    }
    assert_eq!(routed, documented.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn what_is_sent_and_answered_fits_the_schemas() {
    let stand = Stand::start(|seen| match seen.line.contains("embeddings") {
        false if seen.line.contains("chat") => json_answer(&chat_answer("x")),
        false => json_answer(&json!({
            "id": "c", "object": "text_completion", "created": 1, "model": "m",
            "choices": [{"text": "x", "index": 0, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        })),
        true => json_answer(&json!({
            "object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        })),
    })
    .await;
    let control = stand.control();
    let document = document();
    let mut checked = Checked {
        document: &document,
        operations: BTreeSet::new(),
    };
    let check = &mut checked;

    let operator = &control.operator;
    for path in ["/healthz", "/readyz", "/metrics"] {
        check.call(operator, "GET", path, path, None).await;
    }
    let tenants = "/admin/v1/tenants";
    check
        .call(
            operator,
            "POST",
            tenants,
            tenants,
            Some(json!({"name": "third"})),
        )
        .await;
    check
        .call(operator, "GET", tenants, "/admin/v1/tenants?limit=2", None)
        .await;
    let below = stand.below(0);
    check
        .call(operator, "GET", "/admin/v1/tenants/{tenant}", &below, None)
        .await;
    check
        .call(
            operator,
            "PATCH",
            "/admin/v1/tenants/{tenant}",
            &below,
            Some(json!({"state": "active"})),
        )
        .await;
    check
        .call(
            operator,
            "GET",
            "/admin/v1/models",
            "/admin/v1/models",
            None,
        )
        .await;

    let (all, _) = control
        .mint(&stand, 0, &["infer", "mint_sessions", "steward", "audit"])
        .await;
    let steward = &stand.desk(&all);
    check
        .call(
            steward,
            "POST",
            "/v1/chat/completions",
            "/v1/chat/completions",
            Some(chat("hello")),
        )
        .await;
    let prompt = json!({"model": "m", "prompt": "hello", "max_tokens": 5});
    check
        .call(
            steward,
            "POST",
            "/v1/completions",
            "/v1/completions",
            Some(prompt),
        )
        .await;
    let input = json!({"model": "emb", "input": ["hello"]});
    check
        .call(
            steward,
            "POST",
            "/v1/embeddings",
            "/v1/embeddings",
            Some(input),
        )
        .await;
    check
        .call(steward, "GET", "/v1/models", "/v1/models", None)
        .await;
    check
        .call(
            steward,
            "GET",
            "/v1/models/{id}",
            "/v1/models/org/other:1",
            None,
        )
        .await;
    check
        .call(steward, "GET", "/tenant/v1/self", "/tenant/v1/self", None)
        .await;
    let session = json!({"subject": "somebody", "session": "first", "expires_in_seconds": 60, "models": ["m"]});
    check
        .call(
            steward,
            "POST",
            "/tenant/v1/sessions",
            "/tenant/v1/sessions",
            Some(session),
        )
        .await;
    let called = stand
        .open(&all, "/v1/chat/completions", &chat("hello"))
        .await
        .finish()
        .await;
    let call = format!(
        "/tenant/v1/calls/{}",
        called.header("x-request-id").unwrap()
    );
    check
        .call(steward, "GET", "/tenant/v1/calls/{id}", &call, None)
        .await;
    let credential = "/tenant/v1/credentials/{upstream}";
    let at = "/tenant/v1/credentials/main";
    check
        .call(
            steward,
            "PUT",
            credential,
            at,
            Some(json!({"secret": "sk-own"})),
        )
        .await;
    check
        .call(
            steward,
            "GET",
            "/tenant/v1/credentials",
            "/tenant/v1/credentials",
            None,
        )
        .await;
    check.call(steward, "DELETE", credential, at, None).await;
    stand.house().settled().await;
    check
        .administration(steward, "/tenant/v1", "/tenant/v1")
        .await;
    check
        .administration(operator, "/admin/v1/tenants/{tenant}", &below)
        .await;
    check.issuers(&control, steward, &below).await;
    stand.house().rounds(jiff::Timestamp::now()).await.unwrap();
    let head = "/admin/v1/deployment/checkpoint";
    check.call(operator, "GET", head, head, None).await;

    // pinning as a steward takes a token of a running issuer
    let left: Vec<_> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
        .filter(|operation| !checked.operations.contains(operation))
        .collect();
    assert_eq!(
        left,
        [("put".to_owned(), "/tenant/v1/issuers/{id}".to_owned())]
    );
}
