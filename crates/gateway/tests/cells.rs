//! The built-in engine seen from outside, with a stand-in for the process: this very test program, started as a cell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::{
    io::{Read, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    time::Duration,
};

use gateway::config::{DataPlane, UpstreamKind};
use serde_json::{Value, json};
use stand::Stand;
use wire::cell::{
    Done, Facts, Failed, FailureKind, Finish, FromCell, Generate, Likelihood, PREFIX, Prompt,
    ToCell, Token, TokenLogprob, ToolCall, body_length, decode, encode,
};

/// What runs in the cell's process; an ordinary run of the tests has no socket there and passes by.
#[test]
fn cell_process() {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    if socket.peer_addr().is_err() || !std::env::args().any(|argument| argument == "cell_process") {
        return;
    }
    let (mut reading, mut writing) = (&socket, &socket);
    let mut say = |message: FromCell| writing.write_all(&encode(&message).unwrap()).unwrap();
    while let Some(message) = receive(&mut reading) {
        match message {
            ToCell::Load(_) => say(FromCell::Loaded(Facts {
                architecture: "test".to_owned(),
                context_length: 1000,
                supports_chat: true,
                supports_tools: true,
                vocabulary: 10,
                parameters: 10,
            })),
            ToCell::Generate(generate) if asked(&generate.prompt) == "die" => return,
            ToCell::Generate(generate) => answer(*generate, &mut say),
            ToCell::Cancel { id } => {
                say(FromCell::Done(Done {
                    id,
                    finish: Finish::Cancelled,
                    prompt_tokens: 4,
                    completion_tokens: 1,
                }));
            }
            ToCell::CountTokens(_) => {}
        }
    }
}

fn receive(reading: &mut impl Read) -> Option<ToCell> {
    let mut prefix = [0; PREFIX];
    reading.read_exact(&mut prefix).ok()?;
    let mut body = vec![0; body_length(prefix).unwrap()];
    reading.read_exact(&mut body).ok()?;
    Some(decode(&body).unwrap())
}

fn asked(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Chat { messages, .. } => messages.last().unwrap()["content"]
            .as_str()
            .unwrap()
            .to_owned(),
        Prompt::Raw(text) => text.clone(),
    }
}

/// Repeats what it was asked, or does what it was asked for.
fn answer(generate: Generate, say: &mut impl FnMut(FromCell)) {
    let id = generate.id;
    let asked = asked(&generate.prompt);
    let role = match &generate.prompt {
        Prompt::Chat { messages, .. } => messages[0]["role"].as_str().unwrap(),
        Prompt::Raw(_) => "",
    };
    let fail = |kind| {
        FromCell::Failed(Failed {
            id: Some(id),
            kind,
            message: "internal words".to_owned(),
        })
    };
    match asked.as_str() {
        "busy" => return say(fail(FailureKind::Busy)),
        "tools" => return say(fail(FailureKind::ToolsUnsupported)),
        "long" => return say(fail(FailureKind::ContextLengthExceeded)),
        _ => {}
    }
    say(FromCell::Started {
        id,
        prompt_tokens: 4,
    });
    let token = |text: &str, completion_tokens| Token {
        id,
        text: text.to_owned(),
        tool_calls: Vec::new(),
        logprobs: Vec::new(),
        completion_tokens,
    };
    let likely = |text: &str, logprob| Likelihood {
        bytes: text.as_bytes().to_vec(),
        logprob,
    };
    let mut first = token(&format!("{role}:"), 1);
    if generate.sampling.logprobs.is_some() {
        first.logprobs = vec![TokenLogprob {
            chosen: likely("é", -0.5),
            top: vec![likely("é", -0.5), likely("e", -1.0)],
        }];
    }
    say(FromCell::Token(first));
    match asked.as_str() {
        "hang" => return,
        "call" => {
            let mut call = token("", 2);
            call.tool_calls = vec![ToolCall {
                name: "weather".to_owned(),
                arguments: "{}".to_owned(),
            }];
            say(FromCell::Token(call));
            return say(FromCell::Done(Done {
                id,
                finish: Finish::ToolCalls,
                prompt_tokens: 4,
                completion_tokens: 2,
            }));
        }
        _ => say(FromCell::Token(token(&asked, 2))),
    }
    say(FromCell::Done(Done {
        id,
        finish: Finish::Stop,
        prompt_tokens: 4,
        completion_tokens: 2,
    }));
}

async fn stand() -> Stand {
    Stand::arranged(
        "",
        "",
        |config: &mut DataPlane| {
            for upstream in &mut config.upstreams {
                if let UpstreamKind::Cell(cell) = &mut upstream.kind {
                    cell.args = ["cell_process", "--exact", "--nocapture"]
                        .map(Into::into)
                        .to_vec();
                }
            }
        },
        |_| vec![],
    )
    .await
}

fn asking(text: &str) -> Value {
    json!({"model": "local", "messages": [{"role": "developer", "content": [{"type": "text", "text": "be"}, {"type": "text", "text": " kind"}]}, {"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_cell_answers_chats_and_completions_plain_and_streamed() {
    let stand = stand().await;
    let reply = stand.post("/v1/chat/completions", &asking("hello")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(
        body["choices"][0]["message"]["content"], "system:hello",
        "a developer speaks as the system"
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&body["model"], body["id"].as_str()),
        (&json!("local"), reply.header("x-request-id"))
    );
    assert_eq!(
        body["usage"],
        json!({"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6})
    );

    let mut streamed = asking("hello");
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({"include_usage": true});
    let reply = stand.post("/v1/chat/completions", &streamed).await;
    let events = reply.events();
    assert_eq!(reply.streamed(), "system:hello");
    let first: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(
        first["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(last["usage"]["total_tokens"], 6);
    assert_eq!(events.last().unwrap(), "[DONE]");

    let mut completion = json!({"model": "local", "prompt": "once", "logprobs": 2});
    let reply = stand.post("/v1/completions", &completion).await;
    assert_eq!(
        reply.json()["choices"][0]["text"],
        ":once",
        "{}",
        reply.text()
    );
    assert_eq!(
        reply.json()["choices"][0]["logprobs"]["tokens"],
        json!(["é"])
    );
    completion["stream"] = json!(true);
    let reply = stand.post("/v1/completions", &completion).await;
    assert!(
        reply.text().contains("\"text\":\"once\"") && reply.text().ends_with("data: [DONE]\n\n"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn a_cells_tool_calls_and_log_probabilities_have_the_shape_of_the_api() {
    let stand = stand().await;
    let reply = stand.post("/v1/chat/completions", &asking("call")).await;
    let choice = &reply.json()["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]),
        (
            &json!("function"),
            &json!({"name": "weather", "arguments": "{}"})
        )
    );
    assert!(call["id"].as_str().unwrap().starts_with("call_"));
    let mut request = asking("x");
    request["logprobs"] = json!(true);
    request["top_logprobs"] = json!(2);
    let reply = stand.post("/v1/chat/completions", &request).await;
    let first = &reply.json()["choices"][0]["logprobs"]["content"][0];
    assert_eq!(
        (
            &first["token"],
            &first["bytes"],
            &first["top_logprobs"][1]["token"]
        ),
        (&json!("é"), &json!([195, 169]), &json!("e"))
    );
}

#[tokio::test]
async fn a_cells_failures_are_clear_errors_and_a_dead_cell_is_replaced() {
    let stand = stand().await;
    for stream in [false, true] {
        for (asked, status, code) in [
            ("busy", 503, "service_unavailable"),
            ("tools", 400, "tools_unsupported"),
            ("long", 400, "context_length_exceeded"),
            ("die", 502, "upstream_error"),
            ("after", 200, ""),
        ] {
            let mut body = asking(asked);
            body["stream"] = json!(stream);
            let reply = stand.post("/v1/chat/completions", &body).await;
            assert_eq!(reply.status, status, "{asked}: {}", reply.text());
            assert!(!reply.text().contains("internal words"));
            if status != 200 {
                assert_eq!(reply.code(), code);
            }
        }
    }
    for (field, value) in [
        ("n", json!(2)),
        ("response_format", json!({"type": "json_object"})),
        ("tool_choice", json!("required")),
        (
            "messages",
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}]}]),
        ),
    ] {
        let mut body = asking("x");
        body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
        body[field] = value;
        let reply = stand.post("/v1/chat/completions", &body).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["param"].as_str()),
            (400, Some(field)),
            "{}",
            reply.text()
        );
    }
    let reply = stand
        .post("/v1/embeddings", &json!({"model": "local", "input": "x"}))
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "model_not_for_route")
    );
}

#[tokio::test]
async fn a_reader_that_leaves_frees_the_cell() {
    let stand = stand().await;
    let mut hanging = asking("hang");
    hanging["stream"] = json!(true);
    let mut leaving = stand.open(&stand.a, "/v1/chat/completions", &hanging).await;
    leaving.until("system:").await;
    drop(leaving);
    let ends = stand.home.settlements(1).await;
    // seven bytes were seen, and four are a token
    assert_eq!(
        (&ends[0]["outcome"], &ends[0]["output_tokens"]),
        (&json!("client_gone"), &json!(2))
    );
    let next = tokio::time::timeout(
        Duration::from_secs(5),
        stand.post("/v1/chat/completions", &asking("next")),
    )
    .await
    .unwrap();
    assert_eq!(next.status, 200);
}

#[tokio::test]
async fn each_tenant_has_a_cell_of_its_own_and_no_more_run_than_may() {
    let stand = Stand::arranged(
        "",
        "",
        |config: &mut DataPlane| {
            for upstream in &mut config.upstreams {
                if let UpstreamKind::Cell(cell) = &mut upstream.kind {
                    cell.args = ["cell_process", "--exact", "--nocapture"]
                        .map(Into::into)
                        .to_vec();
                    cell.max_cells = 1;
                    cell.idle_stop = Duration::from_millis(100);
                }
            }
        },
        |_| vec![],
    )
    .await;
    assert_eq!(
        stand
            .post("/v1/chat/completions", &asking("x"))
            .await
            .status,
        200
    );
    let other = stand
        .open(&stand.b, "/v1/chat/completions", &asking("x"))
        .await
        .finish()
        .await;
    assert_eq!(
        (other.status, other.header("retry-after")),
        (503, Some("1")),
        "{}",
        other.text()
    );
    // the first one is stopped when nobody has used it for a while
    for _ in 0..100 {
        let other = stand
            .open(&stand.b, "/v1/chat/completions", &asking("x"))
            .await
            .finish()
            .await;
        if other.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("an idle cell was never stopped");
}
