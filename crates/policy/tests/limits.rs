//! The promises of limits: strict to read, only ever tightened.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use policy::{LimitSet, Limits, MAX_NAME_BYTES, MAX_NAMED, Nanos, Window};
use proptest::prelude::*;

fn set(json: &str) -> LimitSet {
    serde_json::from_str(json).unwrap()
}

fn refused(json: &str, why: &str) {
    let error = serde_json::from_str::<LimitSet>(json)
        .unwrap_err()
        .to_string();
    assert!(error.contains(why), "{json}: {error}");
}

#[test]
fn limits_in_json_are_strict_and_money_is_a_decimal_string() {
    let json = r#"{"tenant":{"requests_per_minute":60,"money_per_day":"2.5"},"each_key":{},"each_subject":{"concurrent_calls":2},"keys":{"key_1":{"tokens_per_minute":100000}}}"#;
    assert_eq!(serde_json::to_string(&set(json)).unwrap(), json);
    assert_eq!(set("{}"), LimitSet::default());

    refused(r#"{"tenant":{"money_per_day":2.5}}"#, "decimal string");
    refused(
        r#"{"tenant":{"money_per_day":"-1"}}"#,
        "plain decimal number",
    );
    refused(
        r#"{"tenant":{"money_per_day":"1e3"}}"#,
        "plain decimal number",
    );
    refused(r#"{"tenant":{"requests_per_minute":0}}"#, "nonzero");
    refused(
        r#"{"tenant":{"requests_per_minute":4294967296}}"#,
        "invalid value",
    );
    refused(r#"{"tenant":{"concurrent_calls":-1}}"#, "invalid value");
    refused(r#"{"tenant":{"requests_per_hour":1}}"#, "unknown field");
    refused(r#"{"tennant":{}}"#, "unknown field");
    refused(r#"{"tenant":{},"tenant":{}}"#, "duplicate field");
    refused(r#"{"keys":{"a":{},"a":{}}}"#, "named twice");
    refused(r#"{"keys":{"":{}}}"#, "1 to 256 bytes");
    refused(
        &format!(
            r#"{{"models":{{"{}":{{}}}}}}"#,
            "m".repeat(MAX_NAME_BYTES + 1)
        ),
        "1 to 256 bytes",
    );
    let many: Vec<String> = (0..=MAX_NAMED).map(|n| format!(r#""{n}":{{}}"#)).collect();
    refused(
        &format!(r#"{{"keys":{{{}}}}}"#, many.join(",")),
        "more than 1000 names",
    );
    assert_eq!(
        set(&format!(r#"{{"keys":{{{}}}}}"#, many[1..].join(",")))
            .keys
            .len(),
        MAX_NAMED
    );
}

#[test]
fn a_named_key_takes_what_it_does_not_say_from_each_key() {
    let set = set(
        r#"{"each_key":{"requests_per_minute":10,"money_per_day":"1"},"keys":{"big":{"requests_per_minute":500}}}"#,
    );
    let big = set.key("big");
    assert_eq!(big.requests_per_minute.map(u32::from), Some(500));
    assert_eq!(big.money_per_day.unwrap().to_string(), "1");
    assert_eq!(set.key("other"), set.each_key);
}

#[test]
fn a_call_stands_under_every_scope_it_belongs_to() {
    let set = set(r#"{"tenant":{"money_total":"9"},"models":{"m":{"concurrent_calls":1}}}"#);
    let shown = |key, subject, model| {
        let scopes = set.effective(key, subject, model);
        scopes
            .iter()
            .map(|(scope, limits)| {
                format!("{scope}{}", if *limits == Limits::NONE { "" } else { "!" })
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown(Some("k"), Some("s"), "m"),
        ["tenant!", "key:k", "subject:s", "model:m!"]
    );
    assert_eq!(shown(None, None, "x"), ["tenant!", "model:x"]);
}

fn limits() -> impl Strategy<Value = Limits> {
    let count = || prop::option::of((1..9u32).prop_map(|n| n.try_into().unwrap()));
    let money = || prop::option::of((0..9u64).prop_map(|n| Nanos::new(n).unwrap()));
    (count(), count(), count(), money(), money(), money()).prop_map(
        |(r, t, c, day, month, total)| Limits {
            requests_per_minute: r,
            tokens_per_minute: t,
            concurrent_calls: c,
            money_per_day: day,
            money_per_month: month,
            money_total: total,
        },
    )
}

fn sets() -> impl Strategy<Value = LimitSet> {
    let named =
        || prop::collection::btree_map((0..3u8).prop_map(|n| n.to_string()), limits(), 0..3);
    (limits(), limits(), limits(), named(), named()).prop_map(
        |(tenant, each_key, each_subject, keys, models)| LimitSet {
            tenant,
            each_key,
            each_subject,
            keys,
            models,
        },
    )
}

/// Whether `a` allows nothing that `b` refuses.
fn as_tight(a: &Limits, b: &Limits) -> bool {
    fn each<T: Ord>(a: Option<T>, b: Option<T>) -> bool {
        b.is_none_or(|b| a.is_some_and(|a| a <= b))
    }
    let [day, month, total] = Window::all_at(jiff::Timestamp::UNIX_EPOCH);
    each(a.requests_per_minute, b.requests_per_minute)
        && each(a.tokens_per_minute, b.tokens_per_minute)
        && each(a.concurrent_calls, b.concurrent_calls)
        && [day, month, total]
            .iter()
            .all(|window| each(a.money(*window), b.money(*window)))
}

proptest! {
    #[test]
    fn a_steward_can_never_loosen_what_an_operator_set(
        operator in sets(), steward in sets(), key in 0..4u8, model in 0..4u8,
    ) {
        let both = operator.tightened_by(&steward);
        let (key, model) = (key.to_string(), model.to_string());
        let of = |set: &LimitSet| set.effective(Some(&key), Some("s"), &model);
        for (((scope, both), (_, one)), (_, other)) in of(&both).iter().zip(of(&operator)).zip(of(&steward)) {
            prop_assert!(as_tight(both, &one) && as_tight(both, &other), "{}", scope);
            prop_assert_eq!(*both, one.tightened_by(&other), "and no tighter than the two: {}", scope);
        }
        prop_assert_eq!(&operator.tightened_by(&operator.clone()).effective(Some(&key), None, &model),
            &operator.effective(Some(&key), None, &model));
    }

    #[test]
    fn every_limit_set_reads_back_as_it_was_written(set in sets()) {
        let json = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(serde_json::from_str::<LimitSet>(&json).unwrap(), set);
    }
}
