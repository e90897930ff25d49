//! What a chat request may be, how refusals read, and what an upstream gets.
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

fn refused(body: &[u8]) -> (String, String, String) {
    let bad = ChatRequest::parse(body, &[]).expect_err(&String::from_utf8_lossy(body));
    (
        bad.code.to_owned(),
        bad.param.unwrap_or_default(),
        bad.message,
    )
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

#[test]
fn each_refusal_names_its_field_and_holds_no_value() {
    let secret = "5ecret";
    let cases: &[(Vec<u8>, &str, &str)] = &[
        // unknown, repeated, missing
        (with(r#"{"chat_template":"5ecret"}"#), "unknown_parameter", "chat_template"),
        (with(r#"{"chat_template_kwargs":{}}"#), "unknown_parameter", "chat_template_kwargs"),
        (with(r#"{"mm_hashes":["5ecret"]}"#), "unknown_parameter", "mm_hashes"),
        (with(r#"{"api_base":"5ecret"}"#), "unknown_parameter", "api_base"),
        (with(r#"{"extra_headers":{}}"#), "unknown_parameter", "extra_headers"),
        (with(r#"{"rid":"5ecret"}"#), "unknown_parameter", "rid"),
        (message(r#"{"role":"user","content":"5ecret","foo":1}"#), "unknown_parameter", "messages[0].foo"),
        (message(r#"{"role":"user","content":"5ecret","tool_call_id":"5ecret"}"#), "unknown_parameter", "messages[0].tool_call_id"),
        (message(r#"{"role":"user","content":[{"type":"text","text":"5ecret","cache_control":{}}]}"#), "unknown_parameter", "messages[0].content[0].cache_control"),
        (message(r#"{"role":"user","content":[{"type":"text","text":"a","refusal":"5ecret"}]}"#), "unknown_parameter", "messages[0].content[0].refusal"),
        (message(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,","uuid":"5ecret"}}]}"#), "unknown_parameter", "messages[0].content[0].image_url.uuid"),
        (message(r#"{"role":"user"}"#), "missing_required_parameter", "messages[0].content"),
        (message(r#"{"role":"user","content":null}"#), "missing_required_parameter", "messages[0].content"),
        (message(r#"{"role":"assistant"}"#), "missing_required_parameter", "messages[0].content"),
        (message(r#"{"role":"assistant","tool_calls":[]}"#), "missing_required_parameter", "messages[0].content"),
        (message(r#"{"role":"tool","content":"5ecret"}"#), "missing_required_parameter", "messages[0].tool_call_id"),
        (message(r#"{"content":"5ecret"}"#), "missing_required_parameter", "messages[0].role"),
        (message(r#"{"role":"user","content":[{"type":"text"}]}"#), "missing_required_parameter", "messages[0].content[0].text"),
        (message(r#"{"role":"user","content":[{"text":"5ecret"}]}"#), "missing_required_parameter", "messages[0].content[0].type"),
        (br#"{"messages":[{"role":"user","content":"5ecret"}]}"#.to_vec(), "missing_required_parameter", "model"),
        (br#"{"model":"m"}"#.to_vec(), "missing_required_parameter", "messages"),
        (br#"{"model":"m","model":"5ecret","messages":[]}"#.to_vec(), "duplicate_parameter", "model"),
        (message(r#"{"role":"user","content":"a","name":"b"}"#).repeat(2), "invalid_json", ""),
        (with(r#"{"stream":null}"#).iter().copied().chain(*b" x").collect(), "invalid_json", ""),
        // types
        (with(r#"{"temperature":"5ecret"}"#), "invalid_type", "temperature"),
        (with(r#"{"temperature":", expected 5ecret"}"#), "invalid_type", "temperature"),
        (with(r#"{"n":-1}"#), "invalid_value", "n"),
        (with(r#"{"n":1.5}"#), "invalid_type", "n"),
        (with(r#"{"max_tokens":99999999999}"#), "invalid_value", "max_tokens"),
        (with(r#"{"seed":1e300}"#), "invalid_type", "seed"),
        (with(r#"{"model":7}"#), "invalid_type", "model"),
        (with(r#"{"messages":"5ecret"}"#), "invalid_type", "messages"),
        (with(r#"{"messages":["5ecret"]}"#), "invalid_type", "messages[0]"),
        (with(r#"{"messages":[[]]}"#), "invalid_type", "messages[0]"),
        (message(r#"{"role":"5ecret","content":"a"}"#), "invalid_value", "messages[0].role"),
        (message(r#"{"role":"user","content":{"type":"text"}}"#), "invalid_type", "messages[0].content"),
        (message(r#"{"role":"user","content":7}"#), "invalid_type", "messages[0].content"),
        (message(r#"{"role":"user","content":["5ecret"]}"#), "invalid_type", "messages[0].content[0]"),
        (message(r#"{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"a","arguments":{}}}]}"#), "invalid_type", "messages[0].tool_calls[0].function.arguments"),
        (with(r#"{"stop":[1]}"#), "invalid_type", "stop[0]"),
        (with(r#"{"stop":{"a":1}}"#), "invalid_type", "stop"),
        (with(r#"{"metadata":{"a":1}}"#), "invalid_type", "metadata.a"),
        (with(r#"{"tools":[{"type":"function","function":{"name":"f","parameters":"5ecret"}}]}"#), "invalid_type", "tools[0].function.parameters"),
        (with(r#"{"response_format":{"type":"5ecret"}}"#), "invalid_value", "response_format.type"),
        (with(r#"{"response_format":{"type":"json_schema"}}"#), "missing_required_parameter", "response_format.json_schema"),
        (with(r#"{"response_format":{"type":"text","json_schema":{"name":"a"}}}"#), "unknown_parameter", "response_format.json_schema"),
        (with(r#"{"tool_choice":{"type":"function"}}"#), "missing_required_parameter", "tool_choice.function"),
        (with(r#"{"reasoning_effort":"5ecret"}"#), "invalid_value", "reasoning_effort"),
        // bounds
        (with(r#"{"temperature":2.1}"#), "decimal_above_max_value", "temperature"),
        (with(r#"{"temperature":-0.1}"#), "decimal_below_min_value", "temperature"),
        (with(r#"{"top_p":1.1}"#), "decimal_above_max_value", "top_p"),
        (with(r#"{"presence_penalty":-2.5}"#), "decimal_below_min_value", "presence_penalty"),
        (with(r#"{"frequency_penalty":2.5}"#), "decimal_above_max_value", "frequency_penalty"),
        (with(r#"{"n":0}"#), "integer_below_min_value", "n"),
        (with(r#"{"n":129}"#), "integer_above_max_value", "n"),
        (with(r#"{"max_tokens":0}"#), "integer_below_min_value", "max_tokens"),
        (with(r#"{"logprobs":true,"top_logprobs":21}"#), "integer_above_max_value", "top_logprobs"),
        (with(r#"{"logit_bias":{"1":101}}"#), "decimal_above_max_value", "logit_bias"),
        (with(r#"{"logit_bias":{"5ecret":1}}"#), "invalid_value", "logit_bias"),
        (with(r#"{"stop":["a","b","c","d","e"]}"#), "array_above_max_length", "stop"),
        (with(r#"{"messages":[]}"#), "array_below_min_length", "messages"),
        (message(r#"{"role":"user","content":[]}"#), "array_below_min_length", "messages[0].content"),
        (with(r#"{"model":""}"#), "invalid_value", "model"),
        (with(r#"{"prompt_cache_retention":"5ecret"}"#), "unsupported_value", "prompt_cache_retention"),
        (message(r#"{"role":"user","content":"a","name":"<|im_start|>5ecret"}"#), "invalid_value", "messages[0].name"),
        (with(r#"{"functions":[{"name":"5ecret name"}]}"#), "invalid_value", "functions[0].name"),
        (with(r#"{"tools":[{"type":"function","function":{"name":""}}]}"#), "invalid_value", "tools[0].function.name"),
        // what this gateway does not do
        (with(r#"{"store":true}"#), "unsupported_value", "store"),
        (with(r#"{"service_tier":"priority"}"#), "unsupported_value", "service_tier"),
        (with(r#"{"tool_choice":"5ecret"}"#), "unsupported_value", "tool_choice"),
        (with(r#"{"audio":{"format":"wav","voice":{"id":"5ecret"}}}"#), "unsupported_value", "audio.voice"),
        (message(r#"{"role":"assistant","audio":{"id":"5ecret"}}"#), "unsupported_value", "messages[0].audio"),
        (message(r#"{"role":"user","content":[{"type":"file","file":{"file_id":"5ecret"}}]}"#), "unsupported_value", "messages[0].content[0].file.file_id"),
        (message(r#"{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/plain,5ecret"}}]}"#), "invalid_value", "messages[0].content[0].file.file_data"),
        (message(r#"{"role":"system","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}"#), "unsupported_value", "messages[0].content[0]"),
        (message(r#"{"role":"user","content":[{"type":"refusal","refusal":"5ecret"}]}"#), "unsupported_value", "messages[0].content[0]"),
        (message(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/5ecret"}}]}"#), "invalid_image_url", "messages[0].content[0].image_url.url"),
        (message(r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav","data":"5ecret?"}}]}"#), "invalid_value", "messages[0].content[0].input_audio.data"),
        // combinations
        (with(r#"{"logit_bias":{"1":1},"logprobs":true}"#), "unsupported_combination", "logit_bias"),
        (with(r#"{"top_logprobs":3}"#), "unsupported_combination", "top_logprobs"),
        (with(r#"{"stream_options":{}}"#), "unsupported_combination", "stream_options"),
        (with(r#"{"max_tokens":1,"max_completion_tokens":1}"#), "unsupported_combination", "max_tokens"),
        // opaque JSON
        (with(r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"a":{"b":1}}}}]}"#)
            .replace(b"\"b\":1", b"\"b\":1,\"b\":2"), "invalid_value", "tools[0].function.parameters"),
    ];
    for (body, code, param) in cases {
        let (got_code, got_param, message) = refused(body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!(
            (got_code.as_str(), got_param.as_str()),
            (*code, *param),
            "{shown}: {message}"
        );
        assert!(!message.contains(secret), "{message}");
        assert!(
            !message.contains("struct ")
                && !message.contains("u32")
                && !message.contains("column 0"),
            "{message}"
        );
    }
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
fn refusals_read_as_openais() {
    for (body, expected) in [
        (
            with(r#"{"top_k":5}"#),
            "Unrecognized request argument supplied: top_k",
        ),
        (
            with(r#"{"temperature":"hot"}"#),
            "Invalid type for 'temperature': expected a number, but got a string instead.",
        ),
        (
            with(r#"{"temperature":3}"#),
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2.",
        ),
        (
            message(r#"{"role":"user","content":7}"#),
            "Invalid type for 'messages[0].content': expected a string or an array, but got an integer instead.",
        ),
        (
            message(r#"{"role":"usr","content":"a"}"#),
            "Invalid value for 'messages[0].role': expected one of 'developer', 'system', 'user', 'assistant', 'tool', \
             'function'.",
        ),
        (
            message(r#"{"role":"user"}"#),
            "Missing required parameter: 'messages[0].content'.",
        ),
        (
            b"[]".to_vec(),
            "Invalid type for the body: expected an object, but got an array instead.",
        ),
    ] {
        assert_eq!(refused(&body).2, expected);
    }
}

#[test]
fn broken_and_hostile_json_is_an_error_about_the_body() {
    let deep = |n: usize| with("{}").replace(b"\"hi\"", &[vec![b'['; n], vec![b']'; n]].concat());
    for (body, code) in [
        (Vec::new(), "invalid_json"),
        (b"{".to_vec(), "invalid_json"),
        (b"null".to_vec(), "invalid_type"),
        (b"\xff\xfe".to_vec(), "invalid_json"),
        (with("{}").replace(b"hi", b"\xff"), "invalid_json"),
        (with("{}").replace(b"hi", b"\\ud800"), "invalid_json"),
        (with("{}").replace(b"hi", b"a\nb"), "invalid_json"),
        (with("{}").replace(b"\"hi\"", b"NaN"), "invalid_json"),
        (
            with(r#"{"temperature":7}"#).replace(b":7", b":1e999"),
            "invalid_value",
        ),
        (
            with(r#"{"seed":7}"#).replace(b":7", &[b":".as_slice(), &[b'9'; 5000]].concat()),
            "invalid_value",
        ),
        (deep(65), "json_too_deep"),
        (deep(1_000_000), "json_too_deep"),
        (deep(40), "invalid_type"),
    ] {
        let (got, _, message) = refused(&body);
        assert_eq!(got, code, "{message}");
    }
    let bom = [b"\xef\xbb\xbf".as_slice(), &with("{}")].concat();
    assert!(
        ChatRequest::parse(&bom, &[]).is_ok(),
        "a byte order mark is ignored"
    );
}

#[test]
fn lists_are_bounded() {
    let messages = |n| {
        with(&format!(
            r#"{{"messages":{}}}"#,
            json!(vec![json!({"role": "user", "content": "a"}); n])
        ))
    };
    let tools = |n| {
        with(
            &json!({"tools": vec![json!({"type": "function", "function": {"name": "f"}}); n]})
                .to_string(),
        )
    };
    let parts = |n| {
        message(
            &json!({"role": "user", "content": vec![json!({"type": "text", "text": "a"}); n]})
                .to_string(),
        )
    };
    let bias = |n: usize| {
        let tokens: serde_json::Map<_, _> = (0..n).map(|at| (at.to_string(), json!(1))).collect();
        with(&json!({ "logit_bias": tokens }).to_string())
    };
    for (good, bad, param) in [
        (messages(2048), messages(100_000), "messages"),
        (tools(128), tools(129), "tools"),
        (parts(1024), parts(1025), "messages[0].content"),
        (bias(4096), bias(4097), "logit_bias"),
        (
            with(&json!({"metadata": {"k": "v".repeat(512)}}).to_string()),
            with(&json!({"metadata": {"k": "v".repeat(513)}}).to_string()),
            "metadata",
        ),
        (
            with(&json!({"user": "ü".repeat(512)}).to_string()),
            with(&json!({"user": "ü".repeat(513)}).to_string()),
            "user",
        ),
    ] {
        assert!(ChatRequest::parse(&good, &[]).is_ok(), "{param}");
        assert_eq!(refused(&bad).1, param);
    }
}

#[test]
fn a_hostile_field_name_is_shown_short_and_printable() {
    let name = format!("a\u{202e}\u{0}{}", "b".repeat(10_000));
    let (code, param, message) = refused(&with(&json!({ name: 1 }).to_string()));
    assert_eq!(code, "unknown_parameter");
    assert_eq!(param, format!("a{}", "b".repeat(63)));
    assert!(message.len() < 400 && message.is_ascii());
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
