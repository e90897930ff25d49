//! Metrics and health say how the gateway does, and nothing of whom it serves (attack 22).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::collections::BTreeSet;

use serde_json::json;
use stand::{
    Stand, chat,
    desk::Desk,
    fake::{Step, answer, chat_answer, json_answer},
};

/// The labels there are, each with the words it may have; what is not listed is a number.
const LABELS: [(&str, &[&str]); 7] = [
    (
        "route",
        &["/v1/chat/completions", "/v1/completions", "/v1/embeddings"],
    ),
    (
        "outcome",
        &[
            "completed",
            "client_gone",
            "cut_at_reservation",
            "not_sent",
            "upstream_refused",
            "upstream_failed",
            "abandoned",
        ],
    ),
    (
        "status",
        &[
            "2xx", "4xx", "5xx", "200", "201", "204", "400", "401", "403", "404", "502",
        ],
    ),
    ("direction", &["input", "output"]),
    ("upstream", &["main", "other"]),
    (
        "code",
        &["invalid_api_key", "model_not_found", "model_not_priced"],
    ),
    ("le", &[]),
];

/// Name and labels of every time series.
fn series(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (name, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let labels = labels
            .trim_end_matches('}')
            .split(',')
            .filter_map(|label| label.split_once('='));
        let labels =
            labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
        (name.to_owned(), labels.collect())
    });
    parsed.collect()
}

fn value(text: &str, line: &str) -> f64 {
    let found = text
        .lines()
        .find_map(|shown| shown.strip_prefix(line)?.strip_prefix(' '));
    found
        .unwrap_or_else(|| panic!("{line} is not in\n{text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn nothing_that_a_tenant_or_a_caller_chose_is_in_a_metric_or_a_health_check() {
    let stand = Stand::start(|seen| match seen.asked().as_str() {
        "marker-fails" => answer(500, "content-type: text/plain\r\n", "marker-upstream-error"),
        "marker-breaks" => vec![Step::Reset],
        _ => json_answer(&chat_answer("marker-answer")),
    })
    .await;
    let control = stand.control();
    let operator = &control.operator;
    operator
        .post("/admin/v1/tenants", json!({"name": "marker-tenant"}))
        .await
        .expect(201);
    let (steward, _) = control
        .mint(&stand, 0, &["infer", "mint_sessions", "steward"])
        .await;
    let steward = stand.desk(&steward);
    let mut markers: Vec<String> = vec![
        "marker-".into(),
        steward.key.clone(),
        stand.a.clone(),
        operator.key.clone(),
    ];
    markers.extend(stand.home.tenants.iter().map(ToString::to_string));

    let minted = steward
        .post(
            "/tenant/v1/keys",
            json!({"name": "marker-key", "scopes": ["infer"]}),
        )
        .await
        .expect(201);
    markers.extend(["key", "id"].map(|field| minted[field].as_str().unwrap().to_owned()));
    let session = json!({"subject": "marker-subject", "session": "marker-session"});
    let token = steward
        .post("/tenant/v1/sessions", session)
        .await
        .expect(201)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    markers.push(token.clone());
    let limits = json!({"models": {"marker-model": {"requests_per_minute": 1}}});
    steward
        .call("PUT", "/tenant/v1/limits", Some(&limits))
        .await
        .expect(200);
    steward
        .call(
            "PUT",
            "/tenant/v1/credentials/main",
            Some(&json!({"secret": "marker-secret"})),
        )
        .await
        .expect(200);

    let ask = async |key: &str, model: &str, text: &str| {
        let mut body = chat(text);
        body["model"] = json!(model);
        body["user"] = json!("marker-user");
        stand.desk(key).post("/v1/chat/completions", body).await
    };
    let scrape = async || operator.get("/metrics").await.text();
    for text in ["marker-question", "marker-fails", "marker-breaks"] {
        for key in [&steward.key, &token] {
            let reply = ask(key, "m", text).await;
            markers.extend(reply.header("x-request-id").map(str::to_owned));
        }
    }
    ask(&steward.key, "marker-model", "x").await;
    ask(&steward.key, "unpriced", "x").await;
    ask("marker-no-key", "m", "x").await;
    stand.desk(&stand.a).get("/tenant/v1/keys").await;
    stand
        .desk(&stand.a)
        .get("/marker-path?marker-query=1")
        .await;
    stand.house().settled().await;

    let before = series(&scrape().await).len();
    for count in 0..100 {
        ask(&steward.key, &format!("marker-model-{count}"), "x").await;
        ask(&format!("marker-key-{count}"), "m", "x").await;
        stand
            .desk(&stand.a)
            .get(&format!("/marker-path-{count}"))
            .await;
    }
    let text = scrape().await;
    assert_eq!(
        series(&text).len(),
        before,
        "what callers choose makes new time series:\n{text}"
    );
    let shown = [
        text.clone(),
        operator.get("/readyz").await.text(),
        operator.get("/healthz").await.text(),
    ];
    for marker in &markers {
        for shown in &shown {
            assert!(!shown.contains(marker.as_str()), "{marker} in\n{shown}");
        }
    }
    let mut used = BTreeSet::new();
    for (name, labels) in series(&text) {
        assert!(name.starts_with("cofferdam_"), "{name}");
        for (label, word) in labels {
            let (_, words) = LABELS
                .iter()
                .find(|(known, _)| *known == label)
                .unwrap_or_else(|| panic!("{label}={word}"));
            let numeric = words.is_empty() && (word == "+Inf" || word.parse::<f64>().is_ok());
            assert!(
                numeric || words.contains(&word.as_str()),
                "{name}: {label}={word}"
            );
            used.insert(label);
        }
    }
    assert_eq!(used.len(), LABELS.len(), "{used:?}");
}

#[tokio::test]
async fn what_happened_is_what_is_counted() {
    let stand = Stand::start(|seen| match seen.asked().as_str() {
        "fails" => answer(500, "", ""),
        _ => json_answer(&chat_answer("x")),
    })
    .await;
    let control = stand.control();
    let ask = async |key: &str, text: &str| {
        stand
            .desk(key)
            .post("/v1/chat/completions", chat(text))
            .await
            .status
    };
    for _ in 0..3 {
        assert_eq!(ask(&stand.a, "hello").await, 200);
    }
    assert_eq!(ask(&stand.b, "fails").await, 502);
    assert_eq!(ask("nobody", "hello").await, 401);
    let mut unpriced = chat("hello");
    unpriced["model"] = json!("unpriced");
    assert_eq!(
        stand.post("/v1/chat/completions", &unpriced).await.status,
        400
    );
    stand.house().settled().await;
    let reply = Desk {
        key: String::new(),
        ..control.operator.clone()
    }
    .get("/metrics")
    .await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = reply.text();
    let chats = "route=\"/v1/chat/completions\"";
    let chatted = format!("{chats},upstream=\"main\"");
    for (line, expected) in [
        (
            format!("cofferdam_calls_total{{{chatted},outcome=\"completed\",status=\"2xx\"}}"),
            3.0,
        ),
        (
            format!(
                "cofferdam_calls_total{{{chatted},outcome=\"upstream_refused\",status=\"5xx\"}}"
            ),
            1.0,
        ),
        (
            format!("cofferdam_call_duration_seconds_count{{{chats}}}"),
            4.0,
        ),
        (
            "cofferdam_refusals_total{code=\"invalid_api_key\"}".to_owned(),
            1.0,
        ),
        (
            "cofferdam_refusals_total{code=\"model_not_priced\"}".to_owned(),
            1.0,
        ),
        // also what is refused before there is a call
        ("cofferdam_responses_total{status=\"200\"}".to_owned(), 3.0),
        ("cofferdam_responses_total{status=\"400\"}".to_owned(), 1.0),
        ("cofferdam_responses_total{status=\"401\"}".to_owned(), 1.0),
        ("cofferdam_permits_in_flight".to_owned(), 0.0),
        ("cofferdam_settlements_waiting".to_owned(), 0.0),
        ("cofferdam_open_compartments".to_owned(), 2.0),
    ] {
        assert_eq!(value(&text, &line), expected, "{line}\n{text}");
    }
    assert!(value(&text, "cofferdam_tokens_total{direction=\"input\"}") >= 21.0);
    assert!(text.ends_with("# EOF\n"));
}
