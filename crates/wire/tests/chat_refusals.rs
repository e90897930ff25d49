//! How chat requests that are not one are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use wire::openai::chat::ChatRequest;

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
