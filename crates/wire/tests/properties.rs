//! Whatever comes in: no panic, one meaning, and the same meaning when it is read again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wire::openai::chat::{ChatChunk, ChatRequest, ChatResponse};
use wire::openai::completions::{CompletionRequest, CompletionResponse};
use wire::openai::embeddings::{EmbeddingRequest, EmbeddingResponse};
use wire::openai::{MaxTokensField, Texts, UpstreamFields, error};
use wire::sse::{Decoder, Oversize};
use wire::steward::{Body, LimitSet, MintKey, PutIssuer};

const UPSTREAM: UpstreamFields = UpstreamFields {
    model: "m",
    max_output: Some((MaxTokensField::MaxTokens, 5)),
    cache_salt: None,
    prompt_cache_key: None,
    safety_identifier: None,
    include_usage: true,
};

/// Any JSON, with names that mean something here more often than not.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        prop::sample::select(vec![
            "user",
            "assistant",
            "tool",
            "text",
            "image_url",
            "function",
            "data:image/png;base64,AA",
            "auto",
            "json_schema",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "model",
            "messages",
            "role",
            "content",
            "type",
            "text",
            "image_url",
            "url",
            "tool_calls",
            "function",
            "name",
            "arguments",
            "id",
            "tools",
            "parameters",
            "stop",
            "choices",
            "delta",
            "message",
            "index",
            "logprobs",
            "usage",
            "prompt",
            "input",
            "data",
            "embedding",
            "error",
            "code",
            "scopes",
            "tenant",
            "keys",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|entries| Value::from(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A good chat request, with a marked string in every field of the caller's that must not travel.
fn good_request() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        any::<String>().prop_map(|text| json!({"type": "text", "text": text})),
        Just(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
    ];
    let content = prop_oneof![
        any::<String>().prop_map(Value::from),
        prop::collection::vec(part, 1..4).prop_map(Value::from),
    ];
    let message = prop_oneof![
        content.prop_map(|content| json!({"role": "user", "content": content})),
        any::<String>().prop_map(|text| json!({"role": "system", "content": text})),
        (any::<String>(), any::<String>()).prop_map(|(name, arguments)| json!({
            "role": "assistant", "content": null,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}],
        })),
    ];
    let schema = any_json().prop_map(|json| json!({"type": "object", "x": json}));
    (prop::collection::vec(message, 1..5), schema, 0.0..=2.0_f64, prop::option::of(1..=128_u32), any::<bool>()).prop_map(
        |(messages, schema, temperature, n, stream)| {
            json!({
                "model": "m", "messages": messages, "temperature": temperature, "n": n, "stream": stream,
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
                "user": "5ecret-user", "safety_identifier": "5ecret-id", "prompt_cache_key": "5ecret-key",
                "cache_salt": "5ecret-salt", "metadata": {"5ecret": "5ecret"}, "store": false,
                "prompt_cache_retention": "24h",
            })
        },
    )
}

fn parse_everything(bytes: &[u8]) {
    let extra = ["top_k".to_owned(), "x".to_owned()];
    for allowed in [&[][..], &extra] {
        let _ = ChatRequest::parse(bytes, allowed);
        let _ = CompletionRequest::parse(bytes, allowed);
        let _ = EmbeddingRequest::parse(bytes, allowed);
    }
    let _ = ChatResponse::parse(bytes);
    let _ = CompletionResponse::parse(bytes);
    let _ = EmbeddingResponse::parse(bytes);
    let _ = error::relayed(400, bytes, None);
    let _ = (
        MintKey::parse(bytes),
        LimitSet::parse(bytes),
        PutIssuer::parse(bytes),
    );
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = ChatChunk::parse(text);
    }
}

fn events(stream: &[u8], cuts: &[usize]) -> Result<Vec<(String, String)>, Oversize> {
    let mut decoder = Decoder::new(200);
    let mut seen = Vec::new();
    let mut rest = stream;
    for cut in cuts {
        let (now, later) = rest.split_at(cut % (rest.len() + 1));
        decoder.push(now, &mut |event| {
            seen.push((event.kind.into_owned(), event.data.into_owned()))
        })?;
        rest = later;
    }
    decoder.push(rest, &mut |event| {
        seen.push((event.kind.into_owned(), event.data.into_owned()))
    })?;
    Ok(seen)
}

proptest! {
    #[test]
    fn no_parser_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_everything(&bytes);
    }

    #[test]
    fn no_parser_panics_on_json(json in any_json()) {
        parse_everything(json.to_string().as_bytes());
    }

    #[test]
    fn no_parser_panics_on_damaged_requests(json in good_request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = json.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        parse_everything(&bytes);
    }

    #[test]
    fn writing_is_stable_and_nothing_of_the_callers_identity_is_in_it(json in good_request()) {
        let request = ChatRequest::parse(json.to_string().as_bytes(), &[]).unwrap();
        let written = request.write(&UPSTREAM);
        prop_assert!(!String::from_utf8_lossy(&written).contains("5ecret"));
        let again = ChatRequest::parse(&written, &[]).unwrap();
        let written_again = again.write(&UPSTREAM);
        prop_assert_eq!(&written, &written_again);
        prop_assert_eq!(&request.params.messages, &again.params.messages);
    }

    #[test]
    fn the_token_bound_covers_every_byte_that_is_visited(json in good_request()) {
        let request = ChatRequest::parse(json.to_string().as_bytes(), &[]).unwrap();
        let mut bytes = 0;
        request.params.each_text(&mut |text| bytes += text.len() as u64);
        prop_assert!(request.facts().input_token_bound >= bytes);
    }

    #[test]
    fn visiting_without_changing_changes_nothing(json in good_request()) {
        let request = ChatRequest::parse(json.to_string().as_bytes(), &[]).unwrap();
        let mut visited = request.clone();
        visited.each_text_mut(&mut |_| ());
        prop_assert_eq!(request.write(&UPSTREAM), visited.write(&UPSTREAM));
    }

    #[test]
    fn answers_are_written_alike_when_they_are_read_again(json in any_json(), content in any::<String>()) {
        let answer = json!({"id": "theirs", "choices": [{"message": {"content": content}, "delta": {"content": content}}], "x": json});
        let whole = ChatResponse::parse(answer.to_string().as_bytes()).unwrap().write();
        prop_assert_eq!(&whole, &ChatResponse::parse(&whole).unwrap().write());
        prop_assert!(!String::from_utf8_lossy(&whole).contains("theirs"));
        let piece = ChatChunk::parse(&answer.to_string()).unwrap().write();
        prop_assert_eq!(&piece, &ChatChunk::parse(std::str::from_utf8(&piece).unwrap()).unwrap().write());
    }

    #[test]
    fn a_stream_has_the_same_events_however_it_is_cut(
        pieces in prop::collection::vec(prop_oneof![
            Just(b"data: ".to_vec()), Just(b"data:".to_vec()), Just(b"event: x".to_vec()), Just(b":".to_vec()),
            Just(b"\n".to_vec()), Just(b"\n\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n\r\n".to_vec()),
            Just("é€😀".as_bytes().to_vec()), Just(b"\xef\xbb\xbf".to_vec()), Just(b"\xff".to_vec()), Just(b"id: 1".to_vec()),
            prop::collection::vec(any::<u8>(), 0..60),
        ], 0..30),
        cuts in prop::collection::vec(any::<usize>(), 0..30),
    ) {
        let stream = pieces.concat();
        let byte_by_byte = vec![1; stream.len()];
        let whole = events(&stream, &[]);
        prop_assert_eq!(&whole, &events(&stream, &cuts));
        prop_assert_eq!(&whole, &events(&stream, &byte_by_byte));
    }
}
