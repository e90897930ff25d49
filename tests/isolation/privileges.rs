//! What a credential may do is what its scopes say, and nobody adds to them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::client::chat;
use crate::harness::tenants::mint;
use crate::operations::{For, Names, OPERATIONS, Operation};
use crate::world::{Kind, World, issuer_body, session};

/// What each scope opens, of everything on the data plane. Who a credential is and its own calls, everybody may know.
fn opened_by(scope: &str, operation: &Operation) -> bool {
    match operation.path {
        "/tenant/v1/self" | "/tenant/v1/calls/{id}" => true,
        "/tenant/v1/sessions" => scope == "mint_sessions",
        path if path.starts_with("/tenant/v1/journal/") => scope == "audit",
        path if path.starts_with("/tenant/") => scope == "steward",
        _ => scope == "infer",
    }
}

#[test]
fn a_scope_opens_its_own_operations_and_no_other() {
    let world = World::new();
    let operator = world.gateway.operator();
    let mut refused = BTreeSet::new();
    for scope in ["infer", "mint_sessions", "steward", "audit"] {
        let (_, key) = mint(
            &operator,
            &world.a.tenant.id,
            &json!({"name": scope, "scopes": [scope]}),
        );
        let client = world.gateway.caller(&key);
        for operation in OPERATIONS
            .iter()
            .filter(|operation| operation.is_for() == For::Tenant)
        {
            let own = operation.kind().map(|kind| match kind {
                Kind::Model => "free".to_owned(),
                kind => world.id(&world.a, kind),
            });
            let own = own.unwrap_or_default();
            let path = operation.path_with(&world.a.tenant.id, &own);
            let answer = client.call(operation.method, &path, operation.body_with(&own).as_ref());
            let what = format!(
                "{} with {scope}: {} {}",
                operation.name(),
                answer.status,
                answer.text()
            );
            if opened_by(scope, operation) {
                assert_ne!(answer.status, 403, "{what}");
            } else if !(scope != "infer" && operation.path.starts_with("/v1/models")) {
                assert_eq!(answer.status, 403, "{what}");
                answer.assert_openai_error(&what);
                refused.insert(operation.name());
            }
        }
    }
    assert!(refused.len() > 20, "{refused:?}");
}

#[test]
fn a_session_token_infers_and_does_nothing_else() {
    let world = World::new();
    let client = world.gateway.caller(&world.a.session_token);
    for operation in OPERATIONS
        .iter()
        .filter(|operation| operation.is_for() == For::Tenant)
    {
        if opened_by("infer", operation) {
            continue;
        }
        let own = operation
            .kind()
            .map(|kind| world.id(&world.a, kind))
            .unwrap_or_default();
        let path = operation.path_with(&world.a.tenant.id, &own);
        let answer = client.call(operation.method, &path, operation.body_with(&own).as_ref());
        assert_eq!(
            answer.status,
            403,
            "{}: {}",
            operation.name(),
            answer.text()
        );
    }
    assert_eq!(client.chat("free", "hello").status, 200);
}

#[test]
fn a_model_that_a_key_may_not_name_is_one_that_does_not_exist() {
    let world = World::new();
    let wanted =
        json!({"name": "narrow", "scopes": ["infer", "mint_sessions"], "models": ["free"]});
    let (_, key) = mint(&world.gateway.operator(), &world.a.tenant.id, &wanted);
    let narrow = world.gateway.caller(&key);
    let token = world
        .gateway
        .caller(&session(&narrow, &json!({"subject": "somebody"})));
    for client in [&narrow, &token] {
        assert_eq!(client.chat("free", "hello").status, 200);
        let with_model = |operation: &&Operation| matches!(operation.kind(), Some(Kind::Model));
        for operation in OPERATIONS.iter().filter(with_model) {
            for prefix in ["/v1", ""] {
                let ask = |model: &str| {
                    let path = operation.path_with("", model).replacen("/v1", prefix, 1);
                    client.call(operation.method, &path, operation.body_with(model).as_ref())
                };
                let (hidden, none) = (ask("fake"), ask("nope"));
                let what = format!("{} with {prefix:?}", operation.name());
                assert_eq!(
                    (hidden.status, hidden.code().as_str()),
                    (404, "model_not_found"),
                    "{what}: {}",
                    hidden.text()
                );
                assert_eq!(hidden.face(), none.face(), "{what}");
            }
        }
        let listed = client.get("/v1/models").ok();
        let ids: Vec<_> = listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| &model["id"])
            .collect();
        assert_eq!(ids, [&json!("free")]);
    }
}

#[test]
fn nobody_writes_a_field_that_is_not_theirs() {
    let world = World::new();
    let before = world.holdings_of_b();
    let (a, b) = (&world.a, &world.b);
    let foreign: [(&str, Value); 12] = [
        ("organization", json!(b.tenant.id)),
        ("tenant_id", json!(b.tenant.id)),
        ("id", json!(b.key)),
        ("role", json!("operator")),
        ("state", json!("active")),
        ("hash", json!("00")),
        ("key", json!("cfdk_0_0_0")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("revoked_at", Value::Null),
        ("allowed_routes", json!(["*"])),
        ("api_base", json!("http://127.0.0.1:9")),
        ("credential", json!(b.tenant.app_key_id)),
    ];
    let steward = a.tenant.steward(&world.gateway);
    let application = a.tenant.app(&world.gateway);
    let operator = world.gateway.operator();
    let mut tried = 0;
    for operation in OPERATIONS {
        let own = match operation.kind() {
            Some(Kind::Model) => "free".to_owned(),
            Some(kind) => world.id(a, kind),
            None => String::new(),
        };
        let Some(body) = operation.body_with(&own) else {
            continue;
        };
        let client = match operation.is_for() {
            For::Operator => &operator,
            _ if operation.path.starts_with("/v1/") || operation.path.ends_with("/sessions") => {
                &application
            }
            _ => &steward,
        };
        for (field, value) in &foreign {
            // a tenant's state is the operator's to change
            if *field == "state" && operation.path == "/admin/v1/tenants/{tenant}" {
                continue;
            }
            let mut body = body.clone();
            body[*field] = value.clone();
            let path = match operation.names {
                Names::Body(..) => operation.path.replace("{tenant}", &a.tenant.id),
                _ => operation.path_with(&a.tenant.id, &own),
            };
            let answer = client.call(operation.method, &path, Some(&body));
            let what = format!(
                "{} with {field}: {} {}",
                operation.name(),
                answer.status,
                answer.text()
            );
            assert_eq!(answer.status, 400, "{what}");
            assert_eq!(answer.code(), "unknown_parameter", "{what}");
            assert_eq!(answer.json()["error"]["param"], json!(field), "{what}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    // nested, and what a session token must not say of itself
    for (client, method, path, body) in [
        (
            &steward,
            "PUT",
            "/tenant/v1/limits",
            json!({"tenant": {"tenant_id": b.tenant.id}}),
        ),
        (
            &steward,
            "POST",
            "/tenant/v1/keys",
            json!({"name": "x", "scopes": ["audit"], "limits": {"unlimited": true}}),
        ),
        (
            &application,
            "POST",
            "/tenant/v1/sessions",
            json!({"subject": "x", "scopes": ["steward"]}),
        ),
    ] {
        let answer = client.call(method, path, Some(&body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "unknown_parameter"),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!(world.holdings_of_b(), before);
}

#[test]
fn a_steward_hands_on_no_more_than_it_has() {
    let world = World::new();
    let (a, operator) = (&world.a, world.gateway.operator());
    let (_, narrow) = mint(
        &operator,
        &a.tenant.id,
        &json!({"name": "n", "scopes": ["steward"], "models": ["free"]}),
    );
    let narrow = world.gateway.caller(&narrow);
    let own = format!("/tenant/v1/keys/{}", a.key);
    for (method, path, body) in [
        (
            "POST",
            "/tenant/v1/keys",
            json!({"name": "x", "scopes": ["infer"]}),
        ),
        (
            "POST",
            "/tenant/v1/keys",
            json!({"name": "x", "scopes": ["steward", "audit"]}),
        ),
        (
            "POST",
            "/tenant/v1/keys",
            json!({"name": "x", "scopes": ["steward"]}),
        ),
        (
            "POST",
            "/tenant/v1/keys",
            json!({"name": "x", "scopes": ["steward"], "models": ["fake"]}),
        ),
        ("PATCH", &own, json!({"scopes": ["steward", "audit"]})),
        (
            "PATCH",
            &own,
            json!({"scopes": ["steward"], "models": null}),
        ),
    ] {
        let answer = narrow.call(method, path, Some(&body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "beyond_reach"),
            "{method} {body}: {}",
            answer.text()
        );
    }
    narrow
        .post(
            "/tenant/v1/keys",
            &json!({"name": "x", "scopes": ["steward"], "models": ["free"]}),
        )
        .ok();

    // a session token gets no model that its minting key lacks
    let wanted = json!({"name": "m", "scopes": ["infer", "mint_sessions"], "models": ["free"]});
    let (_, minter) = mint(&operator, &a.tenant.id, &wanted);
    let body = json!({"subject": "x", "models": ["fake"]});
    let answer = world
        .gateway
        .caller(&minter)
        .post("/tenant/v1/sessions", &body);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "beyond_reach"),
        "{}",
        answer.text()
    );

    // an issuer of a neighbour cannot be claimed: the proof is a token of it
    let pin = issuer_body(&world.b.marks[2]);
    let answer = a.tenant.steward(&world.gateway).call(
        "PUT",
        &format!("/tenant/v1/issuers/{}", a.issuer),
        Some(&pin),
    );
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn a_stewards_limits_only_tighten_the_operators() {
    let world = World::new();
    let a = &world.a.tenant;
    a.limit(
        &world.gateway,
        json!({"tenant": {"money_total": "0.000001", "concurrent_calls": 3}}),
    );
    let wide = json!({"tenant": {"money_total": "1000000", "concurrent_calls": 2}});
    let set = a
        .steward(&world.gateway)
        .call("PUT", "/tenant/v1/limits", Some(&wide))
        .ok();
    assert_eq!(set["effective"]["tenant"]["concurrent_calls"], json!(2));
    assert_eq!(
        set["operator"]["tenant"]["money_total"],
        set["effective"]["tenant"]["money_total"]
    );
    let refused = a
        .app(&world.gateway)
        .chat("fake", "hello, for more than the operator allows");
    assert!(
        matches!(
            refused.code().as_str(),
            "insufficient_quota" | "request_too_expensive"
        ),
        "{}",
        refused.text()
    );
    assert_eq!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .matches("0.000001")
            .count(),
        0
    );
    let seen = world.upstream.seen();
    assert!(
        seen.iter()
            .all(|seen| !seen.asked().contains("more than the operator allows"))
    );
}

#[test]
fn a_chat_body_steers_no_credential_address_or_template() {
    let world = World::new();
    let app = world.a.tenant.app(&world.gateway);
    let calls = world.upstream.calls();
    for field in [
        "api_base",
        "base_url",
        "api_key",
        "api_version",
        "vertex_credentials",
        "aws_secret_access_key",
        "extra_headers",
        "extra_body",
        "headers",
        "custom_llm_provider",
        "chat_template",
        "chat_template_kwargs",
        "mm_hashes",
        "mm_processor_kwargs",
        "rid",
        "request_id",
        "extra_key",
        "priority",
        "lora_adapter",
        "kv_transfer_params",
        "add_generation_prompt",
        "documents",
        "guided_json",
        "tenant_id",
        "organization",
    ] {
        let mut body = chat("free", "hello");
        body[field] = json!("http://127.0.0.1:9");
        let answer = app.post("/v1/chat/completions", &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "unknown_parameter"),
            "{field}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["error"]["param"], json!(field));
    }
    assert_eq!(
        world.upstream.calls(),
        calls,
        "a refused body reached the upstream"
    );
}
