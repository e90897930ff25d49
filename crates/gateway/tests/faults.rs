//! What a caller gets when its upstream does not behave: one clear error, and a call that is settled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stand::{
    Stand, chat, chat_streamed,
    fake::{
        Step, answer, chat_answer, chat_chunk, chat_stream, chunk, event, json_answer, sse_end,
        sse_head,
    },
};
use tokio::sync::Semaphore;

const QUICK: &str = "first_byte_timeout_ms = 200\nidle_timeout_ms = 200\ntotal_timeout_ms = 600\nmax_response_bytes = 65536";
const JSON: &str = "content-type: application/json\r\n";

/// A plain call against a fixed answer: status, code, and how it was settled.
async fn check(steps: Vec<Step>, status: u16, code: &str, ended: &str) {
    let stand = Stand::with(QUICK, "", move |_| steps.clone()).await;
    let reply = stand.post("/v1/chat/completions", &chat("hi")).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (status, code),
        "{}",
        reply.text()
    );
    assert!(reply.header("x-request-id").unwrap().starts_with("call_"));
    assert_eq!(
        stand.home.settled(1).await,
        [(ended.to_owned(), u64::from(status))],
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn every_way_a_plain_answer_can_fail_is_one_clear_error_and_settled() {
    let refusal =
        |text: &str| json!({"error": {"message": text, "type": "x", "code": null}}).to_string();
    let secret =
        refusal("Incorrect API key provided: sk-operator-key. org-123 used 29500 of 30000.");
    for (upstream, status, code) in [
        (400, 400, "upstream_rejected"),
        (401, 502, "upstream_credential_refused"),
        (403, 502, "upstream_credential_refused"),
        (404, 502, "upstream_error"),
        (422, 400, "upstream_rejected"),
        (429, 429, "upstream_rate_limited"),
        (500, 502, "upstream_error"),
        (503, 503, "service_unavailable"),
        (504, 504, "upstream_timeout"),
    ] {
        let stand = Stand::with(QUICK, "", {
            let secret = secret.clone();
            move |_| answer(upstream, JSON, &secret)
        })
        .await;
        let reply = stand.post("/v1/chat/completions", &chat("hi")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{upstream}: {}",
            reply.text()
        );
        for leak in ["sk-operator", "org-123", "29500"] {
            assert!(!reply.text().contains(leak), "{}", reply.text());
        }
        let end = &stand.home.settlements(1).await[0];
        assert_eq!(
            (&end["outcome"], &end["status"]),
            (&json!("upstream_failed"), &json!(status))
        );
        assert_eq!(
            (&end["input_tokens"], &end["output_tokens"]),
            (&json!(0), &json!(0)),
            "a refusal costs nothing"
        );
        assert_eq!(
            stand.fake.seen().len(),
            1,
            "{upstream} without Retry-After is not tried again"
        );
    }
    let failed = "upstream_failed";
    let whole = chat_answer("x").to_string();
    check(
        answer(200, JSON, "{\"choices\":"),
        502,
        "upstream_error",
        failed,
    )
    .await;
    check(answer(200, JSON, "[]"), 502, "upstream_error", failed).await;
    check(
        answer(200, "content-type: text/html\r\n", "<html>"),
        502,
        "upstream_error",
        failed,
    )
    .await;
    check(
        answer(
            200,
            "content-type: application/json\r\ncontent-encoding: gzip\r\n",
            &whole,
        ),
        502,
        "upstream_error",
        failed,
    )
    .await;
    check(
        vec![Step::Send(b"\x00\x01garbage\r\n\r\n".to_vec()), Step::Close],
        502,
        "upstream_error",
        failed,
    )
    .await;
    check(vec![Step::Close], 502, "upstream_error", failed).await;
    check(vec![Step::Reset], 502, "upstream_error", failed).await;
    check(vec![Step::Hang], 504, "upstream_timeout", failed).await;
    let cut = format!("HTTP/1.1 200 OK\r\n{JSON}content-length: 9999\r\n\r\n{{\"choices\"");
    check(
        vec![Step::Send(cut.clone().into_bytes()), Step::Close],
        502,
        "upstream_error",
        failed,
    )
    .await;
    check(
        vec![Step::Send(cut.into_bytes()), Step::Hang],
        504,
        "upstream_timeout",
        failed,
    )
    .await;
    let endless = format!("HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    check(
        vec![
            Step::Send(endless.into_bytes()),
            Step::Endless(b"4\r\n    \r\n".to_vec()),
        ],
        502,
        "upstream_error",
        failed,
    )
    .await;
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n", "a".repeat(1 << 20));
    check(
        vec![Step::Send(long_head.into_bytes()), Step::Hang],
        502,
        "upstream_error",
        failed,
    )
    .await;
}

#[tokio::test]
async fn every_way_a_stream_can_fail_ends_it_with_an_error_event_and_without_done() {
    let first = || {
        vec![
            sse_head(),
            event(&chat_chunk(json!({"content": "part"}), None)),
        ]
    };
    let after = |mut steps: Vec<Step>, more: Vec<Step>| {
        steps.extend(more);
        steps
    };
    let error = json!({"error": {"message": "internal sk-operator-key", "type": "server_error"}});
    let endless =
        chunk(format!("data: {}\n\n", chat_chunk(json!({"content": ""}), None)).as_bytes());
    let Step::Send(endless) = endless else {
        unreachable!()
    };
    for (name, steps) in [
        ("closed", after(first(), vec![Step::Close])),
        ("reset", after(first(), vec![Step::Reset])),
        (
            "ended without [DONE]",
            after(first(), vec![Step::Send(b"0\r\n\r\n".to_vec())]),
        ),
        ("fell silent", after(first(), vec![Step::Hang])),
        (
            "garbage",
            after(first(), vec![chunk(b"data: {nonsense\n\n"), Step::Hang]),
        ),
        (
            "an error event",
            after(first(), vec![event(&error), Step::Hang]),
        ),
        (
            "endless line",
            after(first(), vec![chunk(&vec![b'x'; 2 << 20]), Step::Hang]),
        ),
        (
            "endless events",
            after(first(), vec![Step::Endless(endless)]),
        ),
    ] {
        let stand = Stand::with(QUICK, "", move |_| steps.clone()).await;
        let reply = stand
            .post("/v1/chat/completions", &chat_streamed("hi"))
            .await;
        assert_eq!(reply.status, 200, "{name}");
        assert!(
            reply.streamed().starts_with("part"),
            "{name}: {}",
            reply.text()
        );
        let last: Value = serde_json::from_str(reply.events().last().unwrap()).unwrap();
        assert!(
            last["error"]["code"]
                .as_str()
                .unwrap()
                .starts_with("upstream_"),
            "{name}: {last}"
        );
        assert!(
            !reply.text().contains("[DONE]") && !reply.text().contains("sk-operator"),
            "{name}"
        );
        assert!(!reply.whole, "{name}: half an answer must not look whole");
        if name != "ended without [DONE]" {
            // that one ended as HTTP wants it, so its connection may be used again
            stand.fake.left_alone().await;
        }
        assert_eq!(
            stand.home.settled(1).await[0].0,
            "upstream_failed",
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_never_starts_is_an_error_with_a_status() {
    for (steps, status) in [
        (vec![Step::Hang], 504),
        (answer(500, JSON, "{}"), 502),
        (json_answer(&chat_answer("not a stream")), 502),
        (vec![Step::Close], 502),
    ] {
        let stand = Stand::with(QUICK, "", move |_| steps.clone()).await;
        let reply = stand
            .post("/v1/chat/completions", &chat_streamed("hi"))
            .await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.json()["error"]["code"].is_string());
    }
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_upstream_at_once_and_pays_for_what_was_made() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let stand = Stand::start(move |seen| {
        if seen.body["stream"] == true {
            return vec![
                sse_head(),
                event(&chat_chunk(json!({"content": "part"}), None)),
                Step::Wait(Arc::clone(&wait)),
            ];
        }
        vec![Step::Wait(Arc::clone(&wait))]
    })
    .await;
    let mut streaming = stand
        .open(&stand.a, "/v1/chat/completions", &chat_streamed("hi"))
        .await;
    streaming.until("part").await;
    let began = Instant::now();
    drop(streaming);
    stand.fake.left_alone().await;
    let plain = stand
        .open(&stand.a, "/v1/chat/completions", &chat("hi"))
        .await;
    stand.fake.asked(2).await;
    drop(plain);
    stand.fake.left_alone().await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let ends = stand.home.settlements(2).await;
    for (end, output) in ends.iter().zip([1, 100]) {
        // one token was seen; of the plain call nothing, so it is billed at its bound
        assert_eq!(
            (&end["outcome"], &end["status"], &end["output_tokens"]),
            (&json!("client_gone"), &json!(499), &json!(output))
        );
    }
}

#[tokio::test]
async fn a_stream_past_its_reservation_is_cut_with_the_reason_length() {
    let stand = Stand::start(|_| {
        let Step::Send(piece) = event(&chat_chunk(json!({"content": "more "}), None)) else {
            unreachable!()
        };
        vec![sse_head(), Step::Endless(piece)]
    })
    .await;
    let mut request = chat_streamed("hi");
    request["max_tokens"] = json!(5);
    let reply = stand.post("/v1/chat/completions", &request).await;
    assert!(reply.whole);
    let events = reply.events();
    assert_eq!(events.last().unwrap(), "[DONE]");
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert!(
        reply.streamed().matches("more").count() <= 6,
        "{}",
        reply.streamed()
    );
    stand.fake.left_alone().await;
    assert_eq!(
        stand.home.settled(1).await,
        [("cut_at_reservation".to_owned(), 200)]
    );
}

#[tokio::test]
async fn a_busy_upstream_is_asked_again_when_it_says_soon_and_never_when_it_may_have_worked() {
    for (first, asked, status) in [
        (answer(503, "retry-after: 0\r\n", ""), 2, 200),
        (answer(429, "retry-after: 1\r\n", ""), 2, 200),
        (answer(429, "retry-after: 60\r\n", ""), 1, 429),
        (answer(503, "", ""), 1, 503),
        (answer(500, "retry-after: 0\r\n", ""), 1, 502),
        (vec![Step::Close], 1, 502),
    ] {
        let times = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&times);
        let stand = Stand::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => first.clone(),
            _ => json_answer(&chat_answer("x")),
        })
        .await;
        let reply = stand.post("/v1/chat/completions", &chat("hi")).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(times.load(Ordering::SeqCst), asked);
        if status == 429 {
            assert_eq!(reply.header("retry-after"), Some("60"));
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_given_a_pause_and_costs_nothing() {
    let stand = Stand::with(
        "connect_timeout_ms = 200\nurl = \"http://127.0.0.1:9\"",
        "",
        |_| vec![],
    )
    .await;
    let mut codes = Vec::new();
    for _ in 0..8 {
        let reply = stand.post("/v1/chat/completions", &chat("hi")).await;
        codes.push((
            reply.status,
            reply.code(),
            reply.header("retry-after").is_some(),
        ));
    }
    assert_eq!(codes[0], (502, "upstream_error".to_owned(), false));
    assert_eq!(codes[7], (503, "service_unavailable".to_owned(), true));
    let ends = stand.home.settlements(8).await;
    assert!(
        ends.iter()
            .all(|end| end["input_tokens"] == 0 && end["output_tokens"] == 0),
        "{ends:?}"
    );
}

#[tokio::test]
async fn what_one_tenant_does_to_an_upstream_closes_it_to_no_other() {
    let stand = Stand::start(|seen| match seen.asked().as_str() {
        "poison" => answer(500, JSON, "{}"),
        _ => json_answer(&chat_answer("x")),
    })
    .await;
    for _ in 0..6 {
        stand.post("/v1/chat/completions", &chat("poison")).await;
    }
    let own = stand.post("/v1/chat/completions", &chat("hi")).await;
    assert_eq!(
        (own.status, own.code().as_str()),
        (503, "service_unavailable")
    );
    let others = stand
        .open(&stand.b, "/v1/chat/completions", &chat("hi"))
        .await
        .finish()
        .await;
    assert_eq!(others.status, 200);
}

#[tokio::test]
async fn a_slow_reader_slows_its_upstream_and_fills_no_memory() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let stand = Stand::start(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let big = "x".repeat(100_000);
        let mut steps = vec![sse_head()];
        // 100 MB, which fit no socket buffers
        steps.extend((0..1000).map(|_| {
            event(&json!({"choices": [{"index": 0, "delta": {"content": ""}}], "obfuscation": big}))
        }));
        steps.extend(sse_end());
        steps
    })
    .await;
    let mut reader = stand
        .open(&stand.a, "/v1/chat/completions", &chat_streamed("hi"))
        .await;
    reader.until("obfuscation").await;
    // nobody reads now; the upstream cannot have got rid of everything
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        stand.fake.busy(),
        "the gateway swallowed 100 MB for a client that reads nothing"
    );
    drop(reader);
    stand.fake.left_alone().await;
}

#[tokio::test]
async fn a_stream_is_whole_when_the_upstream_is_well() {
    let stand = Stand::with(QUICK, "", |_| chat_stream(&["a", "b"])).await;
    let reply = stand
        .post("/v1/chat/completions", &chat_streamed("hi"))
        .await;
    assert!(reply.whole && reply.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(stand.home.settled(1).await, [("completed".to_owned(), 200)]);
}
