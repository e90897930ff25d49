//! Answers of upstreams are read tolerantly and written with documented fields only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use wire::openai::BadAnswer;
use wire::openai::Texts;
use wire::openai::chat::{ChatChunk, ChatResponse};

fn rewritten(answer: &Value) -> Value {
    let mut parsed = ChatResponse::parse(answer.to_string().as_bytes()).unwrap();
    parsed.set_id("ours");
    parsed.set_model("m");
    serde_json::from_slice(&parsed.write()).unwrap()
}

fn chunk(piece: &Value) -> ChatChunk {
    ChatChunk::parse(&piece.to_string()).unwrap()
}

#[test]
fn an_upstreams_id_and_undocumented_fields_are_dropped_and_the_rest_is_kept() {
    let usage = json!({
        "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 2},
    });
    let message = json!({
        "role": "assistant", "content": "text", "refusal": null, "reasoning_content": "because",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 4, "url": "u", "title": "t"}}],
    });
    let token = json!({"token": "te", "logprob": -0.5, "bytes": [116, 101], "top_logprobs": [
        {"token": "ta", "logprob": -1.5, "bytes": null},
    ]});
    let clean = json!({
        "id": "ours", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [{
            "index": 0, "message": message, "logprobs": {"content": [token]}, "finish_reason": "stop",
        }],
        "usage": usage, "service_tier": "default", "system_fingerprint": "fp",
    });
    let mut dirty = clean.clone();
    dirty["id"] = json!("chatcmpl-theirs");
    dirty["object"] = json!("anything");
    dirty["model"] = json!("/models/internal-path");
    dirty["kv_transfer_params"] = json!({"remote_host": "10.0.0.1"});
    dirty["prompt_logprobs"] = json!([1]);
    dirty["usage"]["queue_time"] = json!(1.5);
    dirty["choices"][0]["token_ids"] = json!([1, 2]);
    dirty["choices"][0]["message"]["provider_specific_fields"] = json!({});
    dirty["choices"][0]["message"]["role"] = json!("model");
    dirty["choices"][0]["message"]["annotations"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "file_citation", "file_citation": {"file_id": "theirs"}}));
    assert_eq!(rewritten(&dirty), clean);
}

#[test]
fn nulls_and_absent_fields_of_other_engines_are_read() {
    let sparse = json!({"choices": [{"message": {
        "content": null, "tool_calls": [{"function": {"name": "f", "arguments": null}}, {"id": null, "type": null}],
        "reasoning": "newer name", "annotations": null, "audio": null,
    }}], "usage": null});
    assert_eq!(
        rewritten(&sparse),
        json!({
            "id": "ours", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "logprobs": null, "finish_reason": null, "message": {
                "role": "assistant", "content": null, "refusal": null, "reasoning_content": "newer name",
                "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": ""}},
                    {"id": "call_1", "type": "function"},
                ],
            }}],
        })
    );
    let both = json!({"choices": [{"message": {"content": "", "reasoning": "a", "reasoning_content": "a"}}]});
    assert_eq!(
        rewritten(&both)["choices"][0]["message"]["reasoning_content"],
        "a"
    );
}

#[test]
fn a_spoken_answer_carries_our_id_because_theirs_names_something_they_keep() {
    let spoken = json!({"choices": [{"message": {"content": null, "audio": {
        "id": "audio_theirs", "data": "AAAA", "expires_at": 9, "transcript": "said",
    }}}]});
    let audio = &rewritten(&spoken)["choices"][0]["message"]["audio"];
    assert_eq!(
        audio,
        &json!({"id": "ours", "data": "AAAA", "expires_at": 9, "transcript": "said"})
    );
}

#[test]
fn what_is_not_an_answer_is_an_error() {
    let many = |n| json!({"choices": vec![json!({"message": {}}); n]}).to_string();
    assert!(ChatResponse::parse(many(128).as_bytes()).is_ok());
    let deep = format!(
        "{{\"x\":{}1{},\"choices\":[]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for (body, expected) in [
        ("".to_owned(), BadAnswer::Json),
        ("<html>502</html>".to_owned(), BadAnswer::Json),
        ("{\"choices\":[".to_owned(), BadAnswer::Json),
        (deep, BadAnswer::Json),
        ("[]".to_owned(), BadAnswer::Shape),
        (r#"[0,"m",[]]"#.to_owned(), BadAnswer::Shape),
        ("{}".to_owned(), BadAnswer::Shape),
        (
            r#"{"error":{"message":"out of memory at 10.0.0.1"}}"#.to_owned(),
            BadAnswer::Shape,
        ),
        (
            r#"{"choices":[{"message":{"content":7},"delta":{"content":7}}]}"#.to_owned(),
            BadAnswer::Shape,
        ),
        (many(129), BadAnswer::TooMany),
    ] {
        assert_eq!(ChatResponse::parse(body.as_bytes()).unwrap_err(), expected);
        assert_eq!(ChatChunk::parse(&body).unwrap_err(), expected);
    }
}

#[test]
fn pieces_of_a_stream_keep_their_padding_and_count_what_they_hold() {
    let piece = |delta: Value| json!({"id": "theirs", "choices": [{"index": 0, "delta": delta}], "obfuscation": "x9"});
    for (delta, tokens, bytes) in [
        (json!({"role": "assistant", "content": ""}), 0, 0),
        (json!({"content": "hé"}), 1, 3),
        (json!({"reasoning": "ab"}), 1, 2),
        (json!({"refusal": "no"}), 1, 2),
        (
            json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]}),
            1,
            1,
        ),
        (
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
            1,
            2,
        ),
        (json!({"function_call": {"arguments": "{"}}), 1, 1),
        (json!({"audio": {"data": "AAAA"}}), 1, 0),
        (json!({}), 0, 0),
        (Value::Null, 0, 0),
    ] {
        let chunk = chunk(&piece(delta.clone()));
        assert_eq!(
            (chunk.delta_tokens_at_least(), chunk.output_bytes()),
            (tokens, bytes),
            "{delta}"
        );
        let written: Value = serde_json::from_slice(&chunk.write()).unwrap();
        assert_eq!(
            (&written["obfuscation"], &written["id"]),
            (&json!("x9"), &json!(""))
        );
        assert_eq!(written["object"], "chat.completion.chunk");
    }
    let several = chunk(&json!({"choices": [
        {"index": 0, "delta": {"content": "abc"}, "logprobs": {"content": [{"token": "a"}, {"token": "b"}, {"token": "c"}]}},
        {"index": 1, "delta": {"content": "d"}},
    ]}));
    assert_eq!(several.delta_tokens_at_least(), 4);
}

#[test]
fn the_piece_with_the_token_counts_can_be_kept_from_who_did_not_ask() {
    let mut last = chunk(
        &json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}),
    );
    assert!(last.has_no_choices());
    assert_eq!(last.usage().unwrap().completion_tokens, Some(2));
    assert_eq!(last.take_usage().unwrap().total_tokens, 3);
    assert!(!String::from_utf8(last.write()).unwrap().contains("usage"));
}

#[test]
fn every_text_of_an_answer_is_visited() {
    let answer = json!({"choices": [{"message": {
        "content": "MARK", "refusal": "MARK", "reasoning_content": "MARK",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "MARK", "arguments": "MARK"}},
            {"id": "d", "type": "custom", "custom": {"name": "MARK", "input": "MARK"}},
        ],
        "function_call": {"name": "MARK", "arguments": "MARK"},
        "annotations": [{"url_citation": {"url": "MARK", "title": "MARK"}}],
        "audio": {"transcript": "MARK"},
    }, "logprobs": {"content": [{"token": "MARK", "top_logprobs": [{"token": "MARK"}]}], "refusal": [{"token": "MARK"}]}}]});
    let mut whole = ChatResponse::parse(answer.to_string().as_bytes()).unwrap();
    whole.each_text_mut(&mut |text| *text = text.replace("MARK", "gone"));
    assert!(!String::from_utf8(whole.write()).unwrap().contains("MARK"));
    let mut piece = answer;
    piece["choices"][0]["delta"] = piece["choices"][0]["message"].take();
    let mut piece = chunk(&piece);
    let mut seen = 0;
    piece.each_text(&mut |text| seen += usize::from(text == "MARK"));
    assert_eq!(seen, 15);
    piece.each_text_mut(&mut |text| *text = text.replace("MARK", "gone"));
    assert!(!String::from_utf8(piece.write()).unwrap().contains("MARK"));
}
