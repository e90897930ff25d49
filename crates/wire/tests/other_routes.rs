//! Completions, embeddings, models, errors, declared extra fields.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use wire::openai::completions::{CompletionRequest, CompletionResponse};
use wire::openai::embeddings::{EmbeddingRequest, EmbeddingResponse};
use wire::openai::models::{Model, ModelList};
use wire::openai::{
    BadAnswer, BadExtra, MaxTokensField, Texts, UpstreamFields, check_extra_allowed, error,
};

const UPSTREAM: UpstreamFields = UpstreamFields {
    model: "theirs",
    max_output: Some((MaxTokensField::MaxTokens, 5)),
    cache_salt: Some("salt"),
    prompt_cache_key: None,
    safety_identifier: None,
    include_usage: true,
};

#[test]
fn completion_requests_are_written_with_documented_fields_and_without_identities() {
    let sent = json!({
        "model": "m", "prompt": ["MARK", "MARK"], "best_of": 3, "echo": true, "frequency_penalty": 0.5,
        "logit_bias": {"5": 1}, "max_tokens": 99, "n": 2, "presence_penalty": 0.5, "seed": 1, "stop": "MARK",
        "stream": false, "suffix": "MARK", "temperature": 0.5, "top_p": 0.5, "user": "MARK", "cache_salt": "MARK",
    });
    let mut request = CompletionRequest::parse(sent.to_string().as_bytes(), &[]).unwrap();
    let written: Value = serde_json::from_slice(&request.write(&UPSTREAM)).unwrap();
    let mut expected = sent;
    expected.as_object_mut().unwrap().remove("user");
    expected["model"] = json!("theirs");
    expected["max_tokens"] = json!(5);
    expected["cache_salt"] = json!("salt");
    assert_eq!(written, expected);
    request.each_text_mut(&mut |text| *text = text.replace("MARK", "gone"));
    assert!(
        !String::from_utf8(request.write(&UPSTREAM))
            .unwrap()
            .contains("MARK")
    );
    let facts = request.facts();
    assert_eq!(
        (facts.choices, facts.max_output),
        (6, Some(99)),
        "two prompts, three generated for each"
    );
}

#[test]
fn prompts_and_inputs_come_in_four_forms_and_no_other() {
    for (input, count) in [
        (r#""text""#, 1),
        (r#"["a","b"]"#, 2),
        ("[1,2,3]", 1),
        ("[[1],[2,3]]", 2),
    ] {
        let prompt = format!(r#"{{"model":"m","prompt":{input}}}"#);
        let request = CompletionRequest::parse(prompt.as_bytes(), &[]).unwrap();
        assert_eq!(request.facts().choices, count, "{input}");
        let written: Value = serde_json::from_slice(&request.write(&UPSTREAM)).unwrap();
        assert_eq!(
            written["prompt"],
            serde_json::from_str::<Value>(input).unwrap()
        );
        let embedded = format!(r#"{{"model":"m","input":{input}}}"#);
        assert!(EmbeddingRequest::parse(embedded.as_bytes(), &[]).is_ok());
    }
    for input in [
        "7",
        "null",
        "{}",
        "[]",
        "[[]]",
        "[1,\"a\"]",
        "[\"a\",1]",
        "[[1],2]",
        "[-1]",
        "[1.5]",
        "[4294967296]",
        "[[\"a\"]]",
        "[{}]",
        "[null]",
        "[[[1]]]",
    ] {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        let bad = EmbeddingRequest::parse(body.as_bytes(), &[]).expect_err(input);
        assert!(bad.param.unwrap().starts_with("input"), "{input}");
    }
    let many = |n| json!({"model": "m", "input": vec!["a"; n]}).to_string();
    assert!(EmbeddingRequest::parse(many(2048).as_bytes(), &[]).is_ok());
    assert!(EmbeddingRequest::parse(many(100_000).as_bytes(), &[]).is_err());
}

#[test]
fn completion_bounds_and_combinations_are_kept() {
    for (fields, param) in [
        (r#""n":129"#, "n"),
        (r#""best_of":21"#, "best_of"),
        (r#""n":3,"best_of":2"#, "best_of"),
        (r#""stream":true,"best_of":2"#, "best_of"),
        (r#""logprobs":6"#, "logprobs"),
        (r#""logprobs":0,"logit_bias":{"1":1}"#, "logit_bias"),
        (r#""temperature":3"#, "temperature"),
        (r#""stop":["1","2","3","4","5"]"#, "stop"),
        (
            r#""stream_options":{"include_usage":true}"#,
            "stream_options",
        ),
        (r#""use_beam_search":true"#, "use_beam_search"),
        (r#""prompt_embeds":"""#, "prompt_embeds"),
    ] {
        let body = format!(r#"{{"model":"m","prompt":"a",{fields}}}"#);
        let bad = CompletionRequest::parse(body.as_bytes(), &[]).expect_err(fields);
        assert_eq!(bad.param.as_deref(), Some(param), "{fields}");
    }
    let plain = CompletionRequest::parse(br#"{"model":"m","prompt":"a"}"#, &[]).unwrap();
    assert_eq!(plain.facts().max_output, Some(16), "the documented default");
    let streamed =
        CompletionRequest::parse(br#"{"model":"m","prompt":"a","stream":true}"#, &[]).unwrap();
    let written: Value = serde_json::from_slice(&streamed.write(&UPSTREAM)).unwrap();
    assert_eq!(written["stream_options"], json!({"include_usage": true}));
}

#[test]
fn completion_answers_are_rewritten() {
    let theirs = json!({
        "id": "cmpl-theirs", "object": "x", "created": 3, "model": "theirs", "kv_transfer_params": {},
        "choices": [{"index": 0, "text": "MARK", "stop_reason": 7, "finish_reason": "length", "logprobs": {
            "text_offset": [0], "token_logprobs": [null], "tokens": ["MARK"], "top_logprobs": [null, {"MARK": -1.0}],
        }}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    let mut answer = CompletionResponse::parse(theirs.to_string().as_bytes()).unwrap();
    assert_eq!(
        (answer.output_bytes(), answer.delta_tokens_at_least()),
        (4, 1)
    );
    answer.set_id("ours");
    answer.set_model("m");
    answer.each_text_mut(&mut |text| *text = text.replace("MARK", "gone"));
    let written: Value = serde_json::from_slice(&answer.write()).unwrap();
    assert_eq!(
        written,
        json!({
            "id": "ours", "object": "text_completion", "created": 3, "model": "m",
            "choices": [{"index": 0, "text": "gone", "finish_reason": "length", "logprobs": {
                "text_offset": [0], "token_logprobs": [null], "tokens": ["gone"], "top_logprobs": [null, {"gone": -1.0}],
            }}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        })
    );
    assert_eq!(
        CompletionResponse::parse(b"{}").unwrap_err(),
        BadAnswer::Shape
    );
}

#[test]
fn embeddings_pass_as_they_were_written() {
    let body =
        br#"{"model":"m","input":"MARK","dimensions":3,"encoding_format":"float","user":"MARK"}"#;
    let request = EmbeddingRequest::parse(body, &[]).unwrap();
    let written: Value = serde_json::from_slice(&request.write(&UPSTREAM)).unwrap();
    let expected = json!({"model": "theirs", "input": "MARK", "dimensions": 3, "encoding_format": "float", "cache_salt": "salt"});
    assert_eq!(written, expected);
    assert_eq!(request.facts().max_output, Some(0));
    assert_eq!(request.facts().caller_identity, Some("MARK"));

    let theirs = r#"{"id":"embd-theirs","object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-7]},
        {"index":1,"embedding":"AACAPw=="}],"model":"theirs","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let mut answer = EmbeddingResponse::parse(theirs.as_bytes()).unwrap();
    answer.set_model("m");
    assert_eq!(
        String::from_utf8(answer.write()).unwrap(),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-7]},{"object":"embedding","index":1,"embedding":"AACAPw=="}],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}}"#
    );
    for vector in [
        r#""a b""#,
        r#"{"a":1}"#,
        r#"["a"]"#,
        "7",
        r#""\u0041""#,
        "[null]",
    ] {
        let answer = format!(r#"{{"data":[{{"embedding":{vector}}}]}}"#);
        assert_eq!(
            EmbeddingResponse::parse(answer.as_bytes()).unwrap_err(),
            BadAnswer::Shape,
            "{vector}"
        );
    }
}

#[test]
fn models_read_as_openais() {
    let list = ModelList::new(vec![Model::new("m", 7)]);
    let model = r#"{"id":"m","object":"model","created":7,"owned_by":"cofferdam"}"#;
    assert_eq!(
        String::from_utf8(list.write()).unwrap(),
        format!(r#"{{"object":"list","data":[{model}]}}"#)
    );
}

#[test]
fn extra_fields_that_steer_more_than_sampling_can_never_be_declared() {
    for name in [
        "top_k",
        "min_p",
        "repetition_penalty",
        "length_penalty",
        "stop_token_ids",
        "allowed_token_ids",
        "bad_words",
        "ignore_eos",
        "min_tokens",
        "skip_special_tokens",
        "include_stop_str_in_output",
        "truncate_prompt_tokens",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "structured_outputs",
        "grammar",
        "typical_p",
        "mirostat",
        "thinking",
        "enable_thinking",
        "reasoning",
        "safe_prompt",
        "regex",
        "ebnf",
    ] {
        assert_eq!(check_extra_allowed(&[name.to_owned()]), Ok(()), "{name}");
    }
    for name in [
        "api_key",
        "openai_api_key",
        "apikey",
        "vertex_credentials",
        "aws_secret_access_key",
        "authorization",
        "base_url",
        "api_base",
        "endpoint",
        "image_url",
        "proxy",
        "extra_headers",
        "extra_body",
        "chat_template",
        "chat_template_kwargs",
        "continue_final_message",
        "add_generation_prompt",
        "cache_salt",
        "cache_salt_id",
        "extra_key",
        "mm_hashes",
        "mm_processor_kwargs",
        "media_io_kwargs",
        "multi_modal_uuids",
        "rid",
        "request_id",
        "session_id",
        "user_id",
        "tenant",
        "kv_transfer_params",
        "lora_path",
        "lora_request",
        "logits_processors",
        "custom_logit_processor",
        "prompt_embeds",
        "input_embeds",
        "return_hidden_states",
        "priority",
        "data_parallel_rank",
        "bootstrap_host",
        "bootstrap_port",
        "vllm_xargs",
        "nvext",
        "num_beams",
        "n_predict",
        "num_predict",
        "cache_prompt",
        "return_cached_tokens_details",
        "prefix",
        "file_ids",
        "webhook",
    ] {
        assert_eq!(
            check_extra_allowed(&[name.to_owned()]),
            Err(BadExtra::Forbidden(name.to_owned())),
            "{name}"
        );
    }
    for name in [
        "messages",
        "model",
        "n",
        "best_of",
        "max_tokens",
        "stream",
        "tools",
        "logprobs",
        "max_new_tokens",
        "id_slot",
    ] {
        assert_eq!(
            check_extra_allowed(&[name.to_owned()]),
            Err(BadExtra::Known(name.to_owned())),
            "{name}"
        );
    }
    for name in ["", "Top_K", "top-k", "tόp", "a b", &"a".repeat(65)] {
        assert_eq!(
            check_extra_allowed(&[name.to_owned()]),
            Err(BadExtra::Name),
            "{name}"
        );
    }
    assert!(
        check_extra_allowed(&["top_k".to_owned(), "user".to_owned()]).is_err(),
        "each name is checked"
    );
}

#[test]
fn an_upstreams_error_is_told_in_our_words_only() {
    let body = |code: &str, message: &str| {
        json!({"error": {"message": message, "type": "x", "code": code}}).to_string()
    };
    for (status, text, expected) in [
        (
            400,
            body("context_length_exceeded", "5ecret"),
            (400, "context_length_exceeded"),
        ),
        (
            400,
            body("", "This model's maximum context length is 5ecret"),
            (400, "context_length_exceeded"),
        ),
        (
            400,
            body(
                "exceed_context_size_error",
                "exceeds the available context size",
            ),
            (400, "context_length_exceeded"),
        ),
        (
            400,
            body("content_filter", "5ecret"),
            (400, "content_filter"),
        ),
        (
            400,
            r#"{"error":{"code":400,"message":null}}"#.to_owned(),
            (400, "upstream_rejected"),
        ),
        (
            422,
            r#"{"detail":[{"input":"5ecret"}]}"#.to_owned(),
            (400, "upstream_rejected"),
        ),
        (
            401,
            body("invalid_api_key", "Incorrect API key provided: sk-5ecret"),
            (502, "upstream_error"),
        ),
        (
            404,
            body("model_not_found", "5ecret"),
            (502, "upstream_error"),
        ),
        (
            429,
            body("rate_limit_exceeded", "org-5ecret"),
            (429, "upstream_rate_limited"),
        ),
        (500, "<html>5ecret".to_owned(), (502, "upstream_error")),
        (503, String::new(), (503, "service_unavailable")),
        (504, String::new(), (504, "upstream_timeout")),
        (302, String::new(), (502, "upstream_error")),
    ] {
        let told = error::relayed(status, text.as_bytes(), Some(3));
        assert_eq!(
            (told.status, told.body.error.code.as_deref().unwrap()),
            expected,
            "{text}"
        );
        assert!(!told.body.error.message.contains("5ecret"));
    }
    assert_eq!(error::relayed(429, b"", Some(3)).retry_after, Some(3));
}

#[test]
fn errors_have_the_shape_sdks_expect() {
    let quota = error::insufficient_quota("the budget is spent");
    assert_eq!(
        (quota.status, quota.body.error.kind.as_str()),
        (429, "insufficient_quota")
    );
    assert_eq!(
        String::from_utf8(error::model_not_found().body.write()).unwrap(),
        r#"{"error":{"message":"The requested model does not exist or you do not have access to it.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#
    );
    for (made, status) in [
        (error::invalid_api_key(), 401),
        (error::missing_api_key(), 401),
        (error::forbidden("no"), 403),
        (error::tenant_suspended(), 403),
        (error::not_found(), 404),
        (error::no_such_route(), 404),
        (error::method_not_allowed(), 405),
        (error::request_timeout(), 408),
        (error::conflict("twice"), 409),
        (error::too_large(10), 413),
        (error::not_json(), 415),
        (error::rate_limit_exceeded("slow down", Some(1)), 429),
        (error::internal(), 500),
        (error::upstream_failed(), 502),
        (error::unavailable("full", None), 503),
        (error::upstream_timeout(), 504),
    ] {
        assert_eq!(made.status, status);
        assert!(made.body.error.code.is_some() && !made.body.error.message.is_empty());
    }
}
