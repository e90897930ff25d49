//! What a caller gets and what an upstream sees, when both behave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use serde_json::{Value, json};
use stand::{
    Stand, chat, chat_streamed,
    client::Open,
    fake::{
        answer, chat_answer, chat_chunk, chat_stream, chunk, event, json_answer, sse_end, sse_head,
        usage_chunk,
    },
};

#[tokio::test]
async fn a_plain_chat_is_answered_under_our_id_and_the_callers_name_of_the_model() {
    let stand = Stand::start(|_| json_answer(&chat_answer("hello"))).await;
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let reply = stand.post(path, &chat("hi")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let body = reply.json();
        assert_eq!(body["choices"][0]["message"]["content"], "hello");
        assert_eq!(body["model"], "m");
        assert_eq!(body["usage"]["total_tokens"], 10);
        let id = body["id"].as_str().unwrap();
        assert!(id.starts_with("call_") && id.len() == 37, "{id}");
        assert_eq!(reply.header("x-request-id"), Some(id));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn an_upstream_sees_exactly_what_we_write_and_nothing_of_the_clients_head() {
    let stand = Stand::with("derived = \"openai\"", "", |_| {
        json_answer(&chat_answer("x"))
    })
    .await;
    let hostile = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\nx-tenant-id: victim\r\nX-Tenant-ID: victim\r\n\
         x_tenant_id: victim\r\nconnection: keep-alive, x-tenant-id, authorization\r\nkeep-alive: timeout=5\r\nte: trailers\r\n\
         x-request-id: mine\r\nopenai-organization: org\r\nopenai-project: p\r\ncookie: a=b\r\nx-forwarded-for: 1.2.3.4\r\n\
         forwarded: for=1.2.3.4\r\nproxy-authorization: Basic x\r\nx-api-key: k\r\napi-key: k\r\ntraceparent: 00-x\r\n\
         user-agent: curl\r\naccept: */*\r\naccept-encoding: gzip\r\n",
        stand.a
    );
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "user": "alice", "safety_identifier": "bob",
        "prompt_cache_key": "mine", "cache_salt": "mine", "store": false, "max_tokens": 7
    });
    let path = "POST /v1/chat/completions?tenant=victim";
    let reply = Open::send(stand.address, path, &hostile, body.to_string().as_bytes())
        .await
        .finish()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = stand.fake.seen().remove(0);
    assert_eq!(seen.line, "POST /v1/chat/completions HTTP/1.1");
    let id = reply.header("x-request-id").unwrap().to_owned();
    let length = seen.header("content-length").to_owned();
    let expected = [
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer sk-operator-key"),
        ("content-length", &length),
        ("content-type", "application/json"),
        ("host", &stand.fake.address.to_string()),
        (
            "user-agent",
            concat!("cofferdam/", env!("CARGO_PKG_VERSION")),
        ),
        ("x-request-id", &id),
    ];
    let got: Vec<(&str, &str)> = seen
        .headers
        .iter()
        .map(|(name, values)| (name.as_str(), values[0].as_str()))
        .collect();
    assert_eq!(got, expected);
    assert!(seen.headers.values().all(|values| values.len() == 1));
    let fields: Vec<&String> = seen.body.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "max_completion_tokens",
            "messages",
            "model",
            "prompt_cache_key",
            "safety_identifier"
        ]
    );
    assert_eq!(seen.body["model"], "upstream-model");
    assert_eq!(seen.body["max_completion_tokens"], 7);
    let raw = String::from_utf8_lossy(&seen.raw).into_owned();
    for foreign in [
        "victim", "alice", "bob", "mine", "org", "curl", "1.2.3.4", &stand.a,
    ] {
        assert!(!raw.contains(foreign), "{foreign} in {raw}");
    }
}

#[tokio::test]
async fn a_derived_salt_goes_to_engines_that_know_it_and_to_no_others() {
    for (derived, present, absent) in [
        (
            "vllm",
            vec!["cache_salt", "max_tokens"],
            vec!["prompt_cache_key", "safety_identifier"],
        ),
        (
            "none",
            vec!["max_tokens"],
            vec!["cache_salt", "prompt_cache_key", "safety_identifier"],
        ),
    ] {
        let stand = Stand::with(&format!("derived = \"{derived}\""), "", |_| {
            json_answer(&chat_answer("x"))
        })
        .await;
        assert_eq!(
            stand.post("/v1/chat/completions", &chat("hi")).await.status,
            200
        );
        let body = stand.fake.seen().remove(0).body;
        assert!(
            present.iter().all(|field| body.get(field).is_some()),
            "{derived}: {body}"
        );
        assert!(
            absent.iter().all(|field| body.get(field).is_none()),
            "{derived}: {body}"
        );
    }
}

#[tokio::test]
async fn a_stream_is_passed_on_and_counts_are_shown_only_to_who_asked() {
    let stand = Stand::start(|_| chat_stream(&["Hel", "lo"])).await;
    let reply = stand
        .post("/v1/chat/completions", &chat_streamed("hi"))
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.streamed(), "Hello");
    let events = reply.events();
    assert_eq!(events.last().unwrap(), "[DONE]");
    assert!(!reply.text().contains("prompt_tokens"), "{}", reply.text());
    for data in &events[..events.len() - 1] {
        let piece: Value = serde_json::from_str(data).unwrap();
        assert_eq!(piece["id"].as_str(), reply.header("x-request-id"));
        assert_eq!(piece["model"], "m");
    }
    assert_eq!(
        stand.fake.seen()[0].body["stream_options"]["include_usage"],
        true
    );

    let mut asking = chat_streamed("hi");
    asking["stream_options"] = json!({"include_usage": true});
    let reply = stand.post("/v1/chat/completions", &asking).await;
    let events = reply.events();
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(last["usage"]["total_tokens"], 10);
    assert_eq!(last["choices"], json!([]));
}

#[tokio::test]
async fn how_an_upstream_cuts_its_bytes_changes_nothing() {
    let mut whole = Vec::new();
    for (delta, finish) in [
        (json!({"role": "assistant", "content": "Grüße 🦀"}), None),
        (json!({"content": " an\nalle"}), None),
        (json!({}), Some("stop")),
    ] {
        whole.extend_from_slice(format!("data: {}\r\n\r\n", chat_chunk(delta, finish)).as_bytes());
    }
    whole.extend_from_slice(
        format!(": a comment\nevent: message\ndata: {}\n\n", usage_chunk()).as_bytes(),
    );
    let mut seen = Vec::new();
    for size in [1, 2, 3, 7, 64, 4096] {
        let bytes = whole.clone();
        let stand = Stand::start(move |_| {
            let mut steps = vec![sse_head()];
            steps.extend(bytes.chunks(size).map(chunk));
            steps.extend(sse_end());
            steps
        })
        .await;
        let reply = stand
            .post("/v1/chat/completions", &chat_streamed("hi"))
            .await;
        assert!(reply.whole);
        assert_eq!(reply.streamed(), "Grüße 🦀 an\nalle");
        let id = reply.header("x-request-id").unwrap().to_owned();
        seen.push(reply.text().replace(&id, "ID"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn tools_go_out_and_tool_calls_come_back_plain_and_streamed() {
    let stand = Stand::start(|seen| {
        if seen.body["stream"] == true {
            let call = |part: Value| chat_chunk(json!({"tool_calls": [part]}), None);
            let mut steps = vec![
                sse_head(),
                event(&call(json!({"index": 0, "id": "call_u", "type": "function", "function": {"name": "weather", "arguments": ""}}))),
                event(&call(json!({"index": 0, "function": {"arguments": "{\"city\":"}}))),
                event(&call(json!({"index": 0, "function": {"arguments": "\"Ulm\"}"}}))),
                event(&chat_chunk(json!({}), Some("tool_calls"))),
            ];
            steps.extend(sse_end());
            return steps;
        }
        let mut body = chat_answer("");
        body["choices"][0]["message"] = json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_u", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Ulm\"}"}}]});
        body["choices"][0]["finish_reason"] = json!("tool_calls");
        json_answer(&body)
    })
    .await;
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]);
    let mut request = chat("weather?");
    request["tools"] = tools.clone();
    request["tool_choice"] = json!("auto");
    let reply = stand.post("/v1/chat/completions", &request).await;
    assert_eq!(
        reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
        "{\"city\":\"Ulm\"}"
    );
    assert_eq!(stand.fake.seen()[0].body["tools"], tools);

    request["stream"] = json!(true);
    let reply = stand.post("/v1/chat/completions", &request).await;
    let arguments: String = reply
        .events()
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| {
            event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(arguments, "{\"city\":\"Ulm\"}");
    assert!(reply.text().contains("\"finish_reason\":\"tool_calls\""));
}

#[tokio::test]
async fn completions_are_answered_plain_and_streamed() {
    let piece = |text: &str, finish: Value| json!({"id": "cmpl-u", "object": "text_completion", "created": 1, "model": "u", "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish}]});
    let stand = Stand::start(move |seen| {
        if seen.body["stream"] == true {
            let mut steps = vec![
                sse_head(),
                event(&piece("on", Value::Null)),
                event(&piece("ce", json!("stop"))),
            ];
            steps.extend(sse_end());
            return steps;
        }
        let mut body = piece("once", json!("stop"));
        body["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
        json_answer(&body)
    })
    .await;
    for path in ["/v1/completions", "/completions"] {
        let reply = stand
            .post(path, &json!({"model": "m", "prompt": "say"}))
            .await;
        assert_eq!(
            reply.json()["choices"][0]["text"],
            "once",
            "{}",
            reply.text()
        );
        assert_eq!(reply.json()["model"], "m");
        let reply = stand
            .post(
                path,
                &json!({"model": "m", "prompt": "say", "stream": true}),
            )
            .await;
        assert!(
            reply.text().contains("\"text\":\"on\"") && reply.text().ends_with("data: [DONE]\n\n"),
            "{}",
            reply.text()
        );
    }
    assert!(
        stand
            .fake
            .seen()
            .iter()
            .all(|seen| seen.line == "POST /v1/completions HTTP/1.1")
    );
}

#[tokio::test]
async fn embeddings_are_answered_and_carry_no_output_bound() {
    let stand = Stand::start(|_| {
        json_answer(&json!({"object": "list", "model": "u", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.25]}],
            "usage": {"prompt_tokens": 2, "total_tokens": 2}}))
    })
    .await;
    for path in ["/v1/embeddings", "/embeddings"] {
        let reply = stand
            .post(path, &json!({"model": "emb", "input": "text"}))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["data"][0]["embedding"], json!([0.5, -1.25]));
        assert_eq!(reply.json()["model"], "emb");
    }
    let seen = stand.fake.seen().remove(0);
    assert_eq!(seen.line, "POST /v1/embeddings HTTP/1.1");
    assert!(seen.body.get("max_tokens").is_none());
}

#[tokio::test]
async fn connections_are_reused_within_a_tenant_and_never_across_tenants() {
    let stand = Stand::start(|_| json_answer(&chat_answer("x"))).await;
    for key in [&stand.a, &stand.a, &stand.b, &stand.a, &stand.b] {
        let reply = stand
            .open(key, "/v1/chat/completions", &chat(key))
            .await
            .finish()
            .await;
        assert_eq!(reply.status, 200);
    }
    let used: Vec<usize> = stand
        .fake
        .seen()
        .iter()
        .map(|seen| seen.connection)
        .collect();
    assert_eq!(used, [0, 0, 1, 0, 1]);
}

#[tokio::test]
async fn an_extra_field_goes_only_to_the_upstream_that_takes_it() {
    let stand = Stand::start(|_| json_answer(&chat_answer("x"))).await;
    let mut request = chat("hi");
    request["other_field"] = json!({"a": 1});
    let reply = stand.post("/v1/chat/completions", &request).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "unknown_parameter"),
        "{}",
        reply.text()
    );
    request["model"] = json!("org/other:1");
    let reply = stand.post("/v1/chat/completions", &request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = stand.fake.seen().remove(0);
    assert_eq!(seen.line, "POST /other/v1/chat/completions HTTP/1.1");
    assert_eq!(seen.body["other_field"], json!({"a": 1}));
    assert!(
        !seen.headers.contains_key("authorization"),
        "an upstream without a key gets none"
    );
}

#[tokio::test]
async fn unknown_status_and_odd_answers_of_an_upstream_do_not_reach_the_caller() {
    let stand = Stand::start(|_| answer(302, "location: http://169.254.169.254/\r\n", "")).await;
    let reply = stand.post("/v1/chat/completions", &chat("hi")).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (502, "upstream_error")
    );
    assert_eq!(stand.fake.seen().len(), 1, "no redirect is followed");
}
