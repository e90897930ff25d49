//! What stewards and operators may send, and what they get.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use wire::admin::{ChangeTenant, CreateTenant};
use wire::openai::BadRequest;
use wire::steward::{
    ApiKey, Body, ChangeKey, KeyState, LimitSet, Limits, List, ListQuery, MintKey, MintSession,
    MintedKey, PutCredential, PutIssuer, Scope, Secret,
};

fn refusal<T: Body>(body: Value) -> (String, String) {
    let bad: BadRequest = T::parse(body.to_string().as_bytes())
        .err()
        .unwrap_or_else(|| panic!("{body}"));
    assert!(!bad.message.contains("5ecret"), "{}", bad.message);
    (bad.code.to_owned(), bad.param.unwrap_or_default())
}

fn check<T: Body>(body: Value, code: &str, param: &str) {
    assert_eq!(
        refusal::<T>(body.clone()),
        (code.to_owned(), param.to_owned()),
        "{body}"
    );
}

#[test]
fn bodies_are_held_to_their_fields_and_bounds() {
    let key = |over: Value| {
        let mut key = json!({"name": "n", "scopes": ["infer"]});
        key.as_object_mut()
            .unwrap()
            .extend(over.as_object().unwrap().clone());
        key
    };
    check::<MintKey>(
        key(json!({"tenant": "5ecret"})),
        "unknown_parameter",
        "tenant",
    );
    check::<MintKey>(
        key(json!({"scopes": ["root"]})),
        "invalid_value",
        "scopes[0]",
    );
    check::<MintKey>(
        key(json!({"scopes": []})),
        "array_below_min_length",
        "scopes",
    );
    check::<MintKey>(
        key(json!({"scopes": ["infer", "infer"]})),
        "invalid_value",
        "scopes",
    );
    check::<MintKey>(key(json!({"name": ""})), "invalid_value", "name");
    check::<MintKey>(key(json!({"name": "5ecret\n"})), "invalid_value", "name");
    check::<MintKey>(
        key(json!({"name": "5ecret".repeat(30)})),
        "string_above_max_length",
        "name",
    );
    check::<MintKey>(
        key(json!({"expires_at": "5ecret"})),
        "invalid_value",
        "expires_at",
    );
    check::<MintKey>(
        key(json!({"expires_at": "2027-01-01T00:00:00Z", "expires_in_seconds": 5})),
        "unsupported_combination",
        "expires_at",
    );
    check::<MintKey>(
        key(json!({"limits": {"money_per_day": 5}})),
        "invalid_type",
        "limits.money_per_day",
    );
    check::<MintKey>(
        key(json!({"limits": {"requests_per_minute": 0}})),
        "invalid_value",
        "limits.requests_per_minute",
    );
    check::<MintKey>(
        key(json!({"limits": {"money_per_year": "5"}})),
        "unknown_parameter",
        "limits.money_per_year",
    );
    for money in [
        "",
        "-1",
        "1e5",
        "1.",
        ".5",
        "1.0000000001",
        "12345678901",
        "1,5",
        " 1",
        "NaN",
        "0x1",
    ] {
        check::<MintKey>(
            key(json!({"limits": {"money_total": money}})),
            "invalid_value",
            "limits.money_total",
        );
    }
    for money in ["0", "12.50", "9999999999.999999999"] {
        assert!(
            MintKey::parse(
                key(json!({"limits": {"money_total": money}}))
                    .to_string()
                    .as_bytes()
            )
            .is_ok(),
            "{money}"
        );
    }
    check::<MintSession>(json!({"subject": ""}), "invalid_value", "subject");
    check::<MintSession>(
        json!({"subject": "s", "expires_in_seconds": 86_401}),
        "integer_above_max_value",
        "expires_in_seconds",
    );
    check::<PutCredential>(
        json!({"secret": "5ecret\r\nX-Evil: 1"}),
        "invalid_value",
        "secret",
    );
    check::<PutIssuer>(
        json!({"issuer": "https://i"}),
        "missing_required_parameter",
        "audience",
    );
    check::<CreateTenant>(json!({"name": "\u{0}5ecret"}), "invalid_value", "name");
    check::<ChangeTenant>(json!({"state": "5ecret"}), "invalid_value", "state");
    check::<LimitSet>(
        json!({"models": {"m": {"money_total": "x"}}}),
        "invalid_value",
        "models.money_total",
    );
    let twice = LimitSet::parse(br#"{"keys":{"a":{},"a":{}}}"#).unwrap_err();
    assert_eq!(
        (twice.code, twice.param.as_deref()),
        ("duplicate_parameter", Some("keys.a"))
    );
    assert!(
        MintKey::parse(br#"["n",["infer"]]"#).is_err(),
        "an array is no object"
    );
}

#[test]
fn a_change_tells_absent_from_null() {
    let parse = |body: &str| ChangeKey::parse(body.as_bytes()).unwrap();
    assert_eq!(parse("{}"), ChangeKey::default());
    assert_eq!(
        parse(r#"{"models":null,"expires_at":null}"#).models,
        Some(None)
    );
    assert_eq!(
        parse(r#"{"models":null,"expires_at":null}"#).expires_at,
        Some(None)
    );
    assert_eq!(
        parse(r#"{"models":["m"]}"#).models,
        Some(Some(vec!["m".to_owned()]))
    );
    let body = r#"{"models":null}"#;
    assert_eq!(
        serde_json::to_string(&parse(body)).unwrap(),
        body,
        "and writes it so"
    );
}

#[test]
fn an_expiry_is_counted_from_now_or_given() {
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let expires = |fields: &str| {
        let body = format!(r#"{{"name":"n","scopes":["infer"]{fields}}}"#);
        MintKey::parse(body.as_bytes())
            .unwrap()
            .expires(now)
            .map(|at| at.to_string())
    };
    assert_eq!(expires(""), None);
    assert_eq!(
        expires(r#","expires_in_seconds":60"#).as_deref(),
        Some("2026-01-01T00:01:00Z")
    );
    assert_eq!(
        expires(r#","expires_at":"2027-01-01T01:00:00+01:00""#).as_deref(),
        Some("2027-01-01T00:00:00Z")
    );
}

#[test]
fn a_minted_key_is_shown_in_its_answer_and_not_in_debug() {
    let minted = MintedKey {
        key: Secret::new("cfdk_5ecret"),
        facts: ApiKey {
            id: "key_1".to_owned(),
            object: wire::steward::ApiKeyObject,
            name: "n".to_owned(),
            state: KeyState::Active,
            scopes: vec![Scope::MintSessions],
            models: None,
            limits: Limits::default(),
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires_at: None,
            revoked_at: None,
        },
    };
    let written = wire::steward::write(&minted);
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        json!({
            "key": "cfdk_5ecret", "id": "key_1", "object": "api_key", "name": "n", "state": "active",
            "scopes": ["mint_sessions"], "models": null, "limits": {}, "created_at": "2026-01-01T00:00:00Z",
            "expires_at": null, "revoked_at": null,
        })
    );
    assert_eq!(
        serde_json::from_slice::<MintedKey>(&written).unwrap(),
        minted,
        "the command line reads it back"
    );
    assert!(!format!("{minted:?}").contains("5ecret"));
}

#[test]
fn pages_say_whether_there_is_more() {
    let page = List::page(vec![1, 2, 3], 2);
    assert_eq!((page.data, page.has_more), (vec![1, 2], true));
    assert!(!List::page(vec![1, 2], 2).has_more);
    for (limit, expected) in [
        (None, 100),
        (Some(0), 1),
        (Some(7), 7),
        (Some(u32::MAX), 1000),
    ] {
        assert_eq!(ListQuery { after: None, limit }.limit(), expected);
    }
}
