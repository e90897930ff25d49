//! What a chat request may be, and what an upstream gets of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use wire::openai::chat::ChatRequest;
use wire::openai::{MaxTokensField, Texts, UpstreamFields};

const BARE: UpstreamFields = UpstreamFields {
    model: "upstream-model",
    max_output: None,
    cache_salt: None,
    prompt_cache_key: None,
    safety_identifier: None,
    include_usage: false,
};

/// A request with every documented field, every caller's string marked, as the caller sends it.
fn everything() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "developer", "content": "MARK", "name": "MARK"},
            {"role": "system", "content": [{"type": "text", "text": "MARK"}]},
            {"role": "user", "name": "MARK", "content": [
                {"type": "text", "text": "MARK"},
                {"type": "image_url", "image_url": {"url": "https://example.com/MARK", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"filename": "MARK", "file_data": "data:application/pdf;base64,AAAA"}},
            ]},
            {"role": "assistant", "name": "MARK", "content": [
                {"type": "text", "text": "MARK"}, {"type": "refusal", "refusal": "MARK"},
            ], "refusal": "MARK", "reasoning_content": "MARK", "annotations": []},
            {"role": "assistant", "content": null, "audio": null, "tool_calls": [
                {"id": "MARK", "type": "function", "function": {"name": "MARK", "arguments": "{\"MARK\":1}"}},
                {"id": "MARK", "type": "custom", "custom": {"name": "MARK", "input": "MARK"}},
            ]},
            {"role": "assistant", "function_call": {"name": "MARK", "arguments": "MARK"}},
            {"role": "tool", "tool_call_id": "MARK", "content": "MARK", "name": "MARK"},
            {"role": "function", "name": "MARK", "content": null},
        ],
        "audio": {"voice": "MARK", "format": "mp3"},
        "frequency_penalty": -2,
        "function_call": {"name": "MARK"},
        "functions": [{"name": "MARK", "description": "MARK", "parameters": {"MARK": ["MARK"]}}],
        "logit_bias": {"1": -100, "50256": 0.5},
        "max_completion_tokens": 7,
        "metadata": {"MARK": "MARK"},
        "modalities": ["text", "audio"],
        "n": 2,
        "parallel_tool_calls": false,
        "prediction": {"type": "content", "content": "MARK"},
        "presence_penalty": 2.0,
        "prompt_cache_key": "MARK",
        "prompt_cache_retention": "24h",
        "reasoning_effort": "xhigh",
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "MARK", "description": "MARK", "schema": {"title": "MARK"}, "strict": true,
        }},
        "safety_identifier": "MARK",
        "seed": -1,
        "service_tier": "flex",
        "stop": ["MARK", "MARK"],
        "store": false,
        "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "temperature": 2,
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"name": "MARK"}]}},
        "tools": [
            {"type": "function", "function": {"name": "MARK", "description": "MARK", "parameters": {"x": "MARK"}, "strict": true}},
            {"type": "custom", "custom": {"name": "MARK", "description": "MARK", "format": {"type": "text", "x": "MARK"}}},
        ],
        "top_p": 0,
        "user": "MARK",
        "verbosity": "low",
        "web_search_options": {"search_context_size": "high", "user_location": {"type": "approximate", "approximate": {
            "city": "MARK", "country": "MARK", "region": "MARK", "timezone": "MARK",
        }}},
        "cache_salt": "MARK",
    })
}

/// A small good request with `fields` put over it.
fn with(fields: &str) -> Vec<u8> {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let fields: Value = serde_json::from_str(fields).unwrap();
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    serde_json::to_vec(&request).unwrap()
}

fn message(message: &str) -> Vec<u8> {
    with(&format!("{{\"messages\":[{message}]}}"))
}

#[test]
fn every_documented_field_reaches_the_upstream_except_those_about_caches_identities_and_keeping() {
    let sent = everything();
    let request = ChatRequest::parse(sent.to_string().as_bytes(), &[]).unwrap();
    let written: Value = serde_json::from_slice(&request.write(&BARE)).unwrap();
    let mut expected = sent;
    let fields = expected.as_object_mut().unwrap();
    for never in [
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "cache_salt",
        "metadata",
        "store",
        "max_completion_tokens",
    ] {
        fields.remove(never);
    }
    expected["model"] = json!("upstream-model");
    expected["stream_options"] = json!({"include_obfuscation": false});
    expected["messages"][3]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    expected["messages"][4]
        .as_object_mut()
        .unwrap()
        .remove("audio");
    expected["messages"][5]["content"] = Value::Null;
    for decimal in ["frequency_penalty", "temperature", "top_p"] {
        expected[decimal] = json!(expected[decimal].as_f64().unwrap());
    }
    assert_eq!(written, expected);
}

#[test]
fn no_string_of_the_caller_is_written_that_was_not_visited() {
    let mut request =
        ChatRequest::parse(everything().to_string().as_bytes(), &["top_k".to_owned()]).unwrap();
    let mut seen = 0;
    request.each_text(&mut |text| seen += usize::from(text.contains("MARK")));
    assert_eq!(seen, everything().to_string().matches("MARK").count());
    request.each_text_mut(&mut |text| *text = text.replace("MARK", "gone"));
    let written = String::from_utf8(request.write(&BARE)).unwrap();
    assert!(!written.contains("MARK"), "{written}");
    assert!(request.caller.identity() == Some("gone"));
}

#[test]
fn the_gateways_own_fields_stand_where_the_callers_were() {
    let upstream = UpstreamFields {
        max_output: Some((MaxTokensField::MaxTokens, 5)),
        cache_salt: Some("our-salt"),
        prompt_cache_key: Some("our-key"),
        safety_identifier: Some("our-id"),
        include_usage: true,
        ..BARE
    };
    let request = ChatRequest::parse(everything().to_string().as_bytes(), &[]).unwrap();
    let written: Value = serde_json::from_slice(&request.write(&upstream)).unwrap();
    for (field, value) in [
        ("max_tokens", json!(5)),
        ("max_completion_tokens", Value::Null),
        ("cache_salt", json!("our-salt")),
        ("prompt_cache_key", json!("our-key")),
        ("safety_identifier", json!("our-id")),
        (
            "stream_options",
            json!({"include_usage": true, "include_obfuscation": false}),
        ),
    ] {
        assert_eq!(written[field], value, "{field}");
    }
    let plain = ChatRequest::parse(&with("{}"), &[]).unwrap();
    let written: Value = serde_json::from_slice(&plain.write(&upstream)).unwrap();
    assert_eq!(written["stream_options"], Value::Null, "not streamed");
    let bound = UpstreamFields {
        max_output: Some((MaxTokensField::MaxCompletionTokens, 9)),
        ..BARE
    };
    let written: Value = serde_json::from_slice(&plain.write(&bound)).unwrap();
    assert_eq!(
        (&written["max_completion_tokens"], &written["max_tokens"]),
        (&json!(9), &Value::Null)
    );
}

trait Replace {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl Replace for Vec<u8> {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        [&self[..at], to, &self[at + from.len()..]].concat()
    }
}

#[test]
fn declared_extra_fields_pass_as_they_are_and_others_do_not() {
    let allowed = ["top_k".to_owned(), "guided_json".to_owned()];
    let body = with(r#"{"top_k":5,"guided_json":{"b":1.50,"a":["MARK"]},"seed":1}"#);
    let body = body.replace(b"1.5", b"1.50");
    let mut request = ChatRequest::parse(&body, &allowed).unwrap();
    let written = String::from_utf8(request.write(&BARE)).unwrap();
    assert!(
        written.contains(r#""top_k":5"#)
            && written.contains(r#""guided_json":{"a":["MARK"],"b":1.50}"#),
        "{written}"
    );
    assert!(written.contains(r#""seed":1"#), "{written}");
    request.each_text_mut(&mut |text| *text = text.replace("MARK", "gone"));
    assert!(
        !String::from_utf8(request.write(&BARE))
            .unwrap()
            .contains("MARK")
    );

    let parse = |body: &[u8]| ChatRequest::parse(body, &allowed).unwrap_err();
    assert_eq!(
        parse(&with(r#"{"top_k":5,"min_p":1}"#)).param.as_deref(),
        Some("min_p")
    );
    assert_eq!(
        parse(&message(r#"{"role":"user","content":7}"#))
            .param
            .as_deref(),
        Some("messages[0].content")
    );
    let twice = br#"{"top_k":1,"top_k":2,"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(parse(twice).code, "duplicate_parameter");
    let ambiguous = with(r#"{"guided_json":{"a":1}}"#).replace(b"\"a\":1", b"\"a\":1,\"a\":2");
    assert_eq!(parse(&ambiguous).param.as_deref(), Some("guided_json"));
    assert_eq!(parse(b"{}").param.as_deref(), Some("messages"));
    assert_eq!(parse(b"[1]").code, "invalid_type");
    let in_message = message(r#"{"role":"user","content":"a","top_k":1}"#);
    assert_eq!(
        parse(&in_message).param.as_deref(),
        Some("messages[0].top_k")
    );
}

#[test]
fn facts_bound_what_a_call_can_cost() {
    let facts = |body: &[u8]| {
        let request = ChatRequest::parse(body, &[]).unwrap();
        let facts = request.facts();
        (
            facts.choices,
            facts.max_output,
            facts.stream,
            facts.input_token_bound,
        )
    };
    let (choices, max_output, stream, small) = facts(&with("{}"));
    assert_eq!((choices, max_output, stream), (1, None, false));
    assert_eq!(
        facts(&with(r#"{"n":3,"max_tokens":7,"stream":true}"#)),
        (3, Some(7), true, small)
    );
    assert_eq!(facts(&with(r#"{"max_completion_tokens":9}"#)).1, Some(9));
    let grows = |fields: &str, by: u64| {
        let bound = facts(&with(fields)).3;
        assert!(
            bound >= small + by,
            "{fields}: {bound} is less than {small} + {by}"
        );
    };
    let text = "x".repeat(1000);
    grows(
        &json!({"messages": [{"role": "user", "content": text}]}).to_string(),
        998,
    );
    grows(&json!({"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": [{"type": "text", "text": text}]}]}).to_string(), 1000);
    grows(&json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": text}}]}]}).to_string(), 1000);
    grows(&json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}).to_string(), 49_000);
    grows(
        &json!({"tools": [{"type": "function", "function": {"name": "f", "description": text}}]})
            .to_string(),
        1000,
    );
    grows(&json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": "<".repeat(1000)}}}]}).to_string(), 8000);
    grows(&json!({"response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"x": text}}}}).to_string(), 1000);
    grows(
        &json!({"prediction": {"type": "content", "content": text}}).to_string(),
        1000,
    );
    let identity = |fields: &str| {
        let request = ChatRequest::parse(&with(fields), &[]).unwrap();
        request.facts().caller_identity.map(str::to_owned)
    };
    assert_eq!(identity(r#"{"user":"u"}"#).as_deref(), Some("u"));
    assert_eq!(
        identity(r#"{"user":"u","safety_identifier":"s"}"#).as_deref(),
        Some("s")
    );
}

#[test]
fn features_that_cost_something_else_than_text_are_named() {
    let feature = |body: &[u8]| {
        ChatRequest::parse(body, &[])
            .unwrap()
            .feature_without_price()
    };
    assert_eq!(feature(&with("{}")), None);
    assert_eq!(feature(&with(r#"{"modalities":["text"]}"#)), None);
    assert_eq!(
        feature(&with(r#"{"modalities":["text","audio"]}"#)),
        Some("modalities")
    );
    assert_eq!(
        feature(&with(r#"{"web_search_options":{}}"#)),
        Some("web_search_options")
    );
    let heard = message(
        r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}]}"#,
    );
    assert_eq!(feature(&heard), Some("input_audio"));
}

#[test]
fn debug_shows_nothing_of_a_request() {
    let request = ChatRequest::parse(everything().to_string().as_bytes(), &[]).unwrap();
    let shown = format!(
        "{request:?} {:?} {:?} {:?}",
        request.params.messages, request.caller, request.extra
    );
    assert!(!shown.contains("MARK"), "{shown}");
}
