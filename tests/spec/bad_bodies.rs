//! Bodies that are JSON and no request: a 400 that names the field and holds no value of it.

use serde_json::{Value, json};

use crate::harness::client::{Client, chat};
use crate::harness::gateway::Home;
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

/// Stands in bad values; no refusal may hold it.
const SECRET: &str = "5ecret";

/// A good chat request with these fields put over it.
fn with(fields: Value) -> Value {
    let mut body = chat("free", "hello");
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn check(client: &Client, path: &str, body: &Value, code: &str, param: Option<&str>) {
    let answer = client.post(path, body);
    let shown: String = body.to_string().chars().take(200).collect();
    let what = format!("{shown}: {} {}", answer.status, answer.text());
    answer.assert_openai_error(&what);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, code),
        "{what}"
    );
    assert_eq!(answer.json()["error"]["param"].as_str(), param, "{what}");
    assert_eq!(
        answer.json()["error"]["type"],
        json!("invalid_request_error"),
        "{what}"
    );
    assert!(!answer.text().contains(SECRET), "{what}");
}

#[test]
fn a_bad_field_is_named_and_its_value_is_not() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let app = tenant.app(&gateway);
    let message = |message: Value| with(json!({"messages": [message]}));
    let path = "/v1/chat/completions";
    for (body, code, param) in [
        (
            with(json!({"nonsense": SECRET})),
            "unknown_parameter",
            "nonsense",
        ),
        (
            message(json!({"role": "user", "content": SECRET, "tenant": 1})),
            "unknown_parameter",
            "messages[0].tenant",
        ),
        (
            json!({"model": "free"}),
            "missing_required_parameter",
            "messages",
        ),
        (
            json!({"messages": [{"role": "user", "content": "x"}]}),
            "missing_required_parameter",
            "model",
        ),
        (
            message(json!({"role": "user"})),
            "missing_required_parameter",
            "messages[0].content",
        ),
        (
            message(json!({"content": SECRET})),
            "missing_required_parameter",
            "messages[0].role",
        ),
        (with(json!({"model": 7})), "invalid_type", "model"),
        (with(json!({"model": [SECRET]})), "invalid_type", "model"),
        (
            with(json!({"messages": SECRET})),
            "invalid_type",
            "messages",
        ),
        (with(json!({"messages": {}})), "invalid_type", "messages"),
        (
            with(json!({"messages": [SECRET]})),
            "invalid_type",
            "messages[0]",
        ),
        (
            message(json!({"role": "user", "content": 7})),
            "invalid_type",
            "messages[0].content",
        ),
        (
            with(json!({"temperature": SECRET})),
            "invalid_type",
            "temperature",
        ),
        (with(json!({"stream": SECRET})), "invalid_type", "stream"),
        (with(json!({"n": 1.5})), "invalid_type", "n"),
        (
            with(json!({"max_tokens": "5"})),
            "invalid_type",
            "max_tokens",
        ),
        (with(json!({"tools": SECRET})), "invalid_type", "tools"),
        (with(json!({"n": -1})), "invalid_value", "n"),
        (
            with(json!({"max_tokens": 99_999_999_999_u64})),
            "invalid_value",
            "max_tokens",
        ),
        (
            message(json!({"role": SECRET, "content": "x"})),
            "invalid_value",
            "messages[0].role",
        ),
        (
            with(json!({"response_format": {"type": SECRET}})),
            "invalid_value",
            "response_format.type",
        ),
        (
            with(json!({"temperature": 2.1})),
            "decimal_above_max_value",
            "temperature",
        ),
        (
            with(json!({"top_p": -0.1})),
            "decimal_below_min_value",
            "top_p",
        ),
        (with(json!({"n": 0})), "integer_below_min_value", "n"),
        (with(json!({"n": 129})), "integer_above_max_value", "n"),
        (
            with(json!({"max_tokens": 0})),
            "integer_below_min_value",
            "max_tokens",
        ),
        (
            with(json!({"messages": []})),
            "array_below_min_length",
            "messages",
        ),
        (
            with(json!({"messages": vec![json!({"role": "user", "content": "x"}); 2049]})),
            "array_above_max_length",
            "messages",
        ),
        (
            with(json!({"stop": ["1", "2", "3", "4", "5"]})),
            "array_above_max_length",
            "stop",
        ),
        (
            with(
                json!({"tools": vec![json!({"type": "function", "function": {"name": "f"}}); 129]}),
            ),
            "array_above_max_length",
            "tools",
        ),
        (with(json!({"store": true})), "unsupported_value", "store"),
        (
            with(json!({"top_logprobs": 3})),
            "unsupported_combination",
            "top_logprobs",
        ),
        (
            with(json!({"logit_bias": {"1": 1}, "logprobs": true})),
            "unsupported_combination",
            "logit_bias",
        ),
        (
            with(json!({"max_tokens": 1, "max_completion_tokens": 1})),
            "unsupported_combination",
            "max_tokens",
        ),
        (
            with(json!({"stream_options": {"include_usage": true}})),
            "unsupported_combination",
            "stream_options",
        ),
    ] {
        check(&app, path, &body, code, Some(param));
    }
    for (path, body, code, param) in [
        (
            "/v1/completions",
            json!({"model": "free"}),
            "missing_required_parameter",
            "prompt",
        ),
        (
            "/v1/completions",
            json!({"model": "free", "prompt": {"a": SECRET}}),
            "invalid_type",
            "prompt",
        ),
        (
            "/v1/completions",
            json!({"model": "free", "prompt": "x", "messages": []}),
            "unknown_parameter",
            "messages",
        ),
        (
            "/v1/embeddings",
            json!({"model": "vectors"}),
            "missing_required_parameter",
            "input",
        ),
        (
            "/v1/embeddings",
            json!({"model": "vectors", "input": "x", "prompt": SECRET}),
            "unknown_parameter",
            "prompt",
        ),
        (
            "/v1/embeddings",
            json!({"model": "vectors", "input": []}),
            "array_below_min_length",
            "input",
        ),
    ] {
        check(&app, path, &body, code, Some(param));
    }
    for name in [
        "",
        "x y",
        "../../etc",
        "free\u{0}",
        "FREE",
        "free ",
        "fr\u{e9}e",
        &"m".repeat(10_000),
    ] {
        let answer = app.chat(name, "hello");
        assert!(
            matches!(answer.status, 400 | 404),
            "{name:?}: {}",
            answer.text()
        );
        answer.assert_openai_error(name);
    }
    assert_eq!(upstream.calls(), 0, "a bad request reached the upstream");
    assert_eq!(app.chat("free", "still here").status, 200);
}

#[test]
fn a_bad_body_of_administration_is_named_and_changes_nothing() {
    let home = Home::new("http://127.0.0.1:9", "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let (steward, operator) = (tenant.steward(&gateway), gateway.operator());
    let before = steward.get("/tenant/v1/keys").ok();
    let of_tenant = |path: &str| format!("/admin/v1/tenants/{}/{path}", tenant.id);
    for (client, method, path, body, code, param) in [
        (
            &steward,
            "POST",
            "/tenant/v1/keys".to_owned(),
            json!({}),
            "missing_required_parameter",
            "name",
        ),
        (
            &steward,
            "POST",
            "/tenant/v1/keys".to_owned(),
            json!({"name": "x", "scopes": []}),
            "array_below_min_length",
            "scopes",
        ),
        (
            &steward,
            "POST",
            "/tenant/v1/keys".to_owned(),
            json!({"name": "x", "scopes": [SECRET]}),
            "invalid_value",
            "scopes[0]",
        ),
        (
            &steward,
            "POST",
            "/tenant/v1/keys".to_owned(),
            json!({"name": "x", "scopes": ["audit", "audit"]}),
            "invalid_value",
            "scopes",
        ),
        (
            &steward,
            "POST",
            "/tenant/v1/keys".to_owned(),
            json!({"name": "a\u{7}b", "scopes": ["audit"]}),
            "invalid_value",
            "name",
        ),
        (
            &steward,
            "PUT",
            "/tenant/v1/limits".to_owned(),
            json!({"tenant": {"money_total": "-1"}}),
            "invalid_value",
            "tenant.money_total",
        ),
        (
            &steward,
            "PUT",
            "/tenant/v1/limits".to_owned(),
            json!({"tenant": {"money_total": "1e9"}}),
            "invalid_value",
            "tenant.money_total",
        ),
        (
            &steward,
            "PUT",
            "/tenant/v1/limits".to_owned(),
            json!({"tenant": {"money_total": 1}}),
            "invalid_type",
            "tenant.money_total",
        ),
        (
            &steward,
            "PUT",
            "/tenant/v1/credentials/fake".to_owned(),
            json!({"secret": "two words"}),
            "invalid_value",
            "secret",
        ),
        (
            &operator,
            "POST",
            "/admin/v1/tenants".to_owned(),
            json!({"name": ""}),
            "invalid_value",
            "name",
        ),
        (
            &operator,
            "POST",
            of_tenant("keys"),
            json!({"name": "x"}),
            "missing_required_parameter",
            "scopes",
        ),
        (
            &operator,
            "PUT",
            of_tenant("limits"),
            json!({"keys": []}),
            "invalid_type",
            "keys",
        ),
    ] {
        let answer = client.call(method, &path, Some(&body));
        let what = format!(
            "{method} {path} {body}: {} {}",
            answer.status,
            answer.text()
        );
        answer.assert_openai_error(&what);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{what}"
        );
        assert_eq!(answer.json()["error"]["param"], json!(param), "{what}");
        assert!(!answer.text().contains(SECRET), "{what}");
    }
    for path in [
        "keys?limit=x",
        "keys?unknown=1",
        "usage?from=yesterday",
        "usage?by=weekday",
        "journal/records?from=-1",
        "journal/proof",
    ] {
        let answer = steward.get(&format!("/tenant/v1/{path}"));
        answer.assert_openai_error(path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    assert_eq!(steward.get("/tenant/v1/keys").ok(), before);
}
