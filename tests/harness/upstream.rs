//! An OpenAI-compatible upstream that counts: what it was asked, with which headers, what it answered.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::{Value, json};

/// Runs until dropped, on a thread of its own.
pub struct Upstream {
    pub url: String,
    shared: Shared,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// The tokens it will report, in and out.
    pub reports: u64,
}

impl Seen {
    /// The gateway's id of the call.
    pub fn id(&self) -> String {
        self.header("x-request-id").unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The text of the last message.
    pub fn asked(&self) -> String {
        last_text(&self.body)
    }
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Stands at the end of every answer.
    saying: Arc<str>,
}

impl Upstream {
    pub fn start() -> Upstream {
        Upstream::saying("")
    }

    /// One whose every answer ends with this text.
    pub fn saying(text: &str) -> Upstream {
        let shared = Shared {
            seen: Arc::default(),
            saying: text.into(),
        };
        let state = shared.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel::<SocketAddr>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let app = axum::Router::new()
                    .route("/v1/chat/completions", post(chat))
                    .route("/v1/completions", post(completion))
                    .route("/v1/embeddings", post(embedding))
                    .route(
                        "/v1/models",
                        get(|| async { axum::Json(json!({"object": "list", "data": []})) }),
                    )
                    .with_state(state);
                let serve = async move { axum::serve(listener, app).await };
                tokio::select! { _ = serve => {}, _ = stopped => {} }
            });
        });
        Upstream {
            url: format!("http://{}", told.recv().unwrap()),
            shared,
            _stop: stop,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn calls(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }
}

fn note(shared: &Shared, headers: &HeaderMap, body: &Value, reports: u64) {
    let headers = headers
        .iter()
        .map(|(n, v)| {
            (
                n.as_str().to_owned(),
                String::from_utf8_lossy(v.as_bytes()).into_owned(),
            )
        })
        .collect();
    shared.seen.lock().unwrap().push(Seen {
        headers,
        body: body.clone(),
        reports,
    });
}

fn last_text(body: &Value) -> String {
    let last = body["messages"]
        .as_array()
        .and_then(|m| m.last())
        .cloned()
        .unwrap_or_default();
    last["content"].as_str().unwrap_or_default().to_owned()
}

/// A number that the asking text steers by, such as `tokens=20`.
fn steer(text: &str, name: &str) -> Option<u64> {
    let rest = text.split(&format!("{name}=")).nth(1)?;
    rest.chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .ok()
}

/// Answers `echo <text>` in as many tokens as it is allowed, at most `tokens=N` (5 unless the text says so).
async fn chat(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "not JSON").into_response();
    };
    let text = last_text(&body);
    let allowed = body["max_completion_tokens"]
        .as_u64()
        .or(body["max_tokens"].as_u64())
        .unwrap_or(u64::MAX);
    let tokens = steer(&text, "tokens").unwrap_or(5).min(allowed);
    let prompt = (text.len() as u64).div_ceil(4) + 1;
    note(&shared, &headers, &body, prompt + tokens);
    if let Some(status) = steer(&text, "status") {
        let status = StatusCode::from_u16(status as u16).unwrap();
        return (
            status,
            axum::Json(json!({"error": {"message": "as asked", "type": "server_error"}})),
        )
            .into_response();
    }
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens});
    let delay = Duration::from_millis(steer(&text, "delay_ms").unwrap_or(0));
    let last_role = body["messages"]
        .as_array()
        .and_then(|m| m.last())
        .map(|m| m["role"].clone());
    let calls_tool = body["tools"].is_array() && last_role != Some(json!("tool"));
    let reply = format!("echo {text}{}", shared.saying);
    if body["stream"] == json!(true) {
        return streamed(reply, calls_tool, tokens, delay, usage);
    }
    tokio::time::sleep(delay).await;
    let (message, finish) = if calls_tool {
        (
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
            "function": {"name": "weather", "arguments": ARGUMENTS}}]}),
            "tool_calls",
        )
    } else {
        (json!({"role": "assistant", "content": reply}), "stop")
    };
    axum::Json(json!({"id": "chatcmpl-up", "object": "chat.completion", "created": 1_700_000_000, "model": "fake",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}))
    .into_response()
}

const ARGUMENTS: &str = "{\"city\":\"Oslo\"}";

fn streamed(
    reply: String,
    calls_tool: bool,
    tokens: u64,
    delay: Duration,
    usage: Value,
) -> Response {
    let chunk = |delta: Value, finish: Option<&str>, usage: Option<&Value>| {
        let choices = if usage.is_some() {
            json!([])
        } else {
            json!([{"index": 0, "delta": delta, "finish_reason": finish}])
        };
        let body = json!({"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "fake", "choices": choices, "usage": usage});
        format!("data: {body}\n\n")
    };
    let mut frames = vec![chunk(
        json!({"role": "assistant", "content": ""}),
        None,
        None,
    )];
    if calls_tool {
        let call = |name: Option<&str>, arguments: &str| {
            json!({"tool_calls": [{"index": 0, "id": name.map(|_| "call_1"),
            "type": "function", "function": {"name": name, "arguments": arguments}}]})
        };
        let (head, tail) = ARGUMENTS.split_at(6);
        frames.push(chunk(call(Some("weather"), head), None, None));
        frames.push(chunk(call(None, tail), None, None));
    } else {
        let letters: Vec<char> = reply.chars().collect();
        let pieces = tokens.max(1) as usize;
        for piece in letters.chunks(letters.len().div_ceil(pieces).max(1)) {
            frames.push(chunk(
                json!({"content": piece.iter().collect::<String>()}),
                None,
                None,
            ));
        }
        for _ in frames.len() as u64 - 1..tokens {
            frames.push(chunk(json!({"content": "."}), None, None));
        }
    }
    frames.push(chunk(
        json!({}),
        Some(if calls_tool { "tool_calls" } else { "stop" }),
        None,
    ));
    frames.push(chunk(json!({}), None, Some(&usage)));
    frames.push("data: [DONE]\n\n".to_owned());
    let frames = stream::unfold(frames.into_iter(), move |mut frames| async move {
        let frame = frames.next()?;
        tokio::time::sleep(delay).await;
        Some((Ok::<_, Infallible>(Bytes::from(frame)), frames))
    });
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(frames),
    )
        .into_response()
}

async fn completion(
    State(shared): State<Shared>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    note(&shared, &headers, &body, 3);
    axum::Json(json!({"id": "cmpl-up", "object": "text_completion", "created": 1_700_000_000, "model": "fake",
        "choices": [{"index": 0, "text": "echo", "finish_reason": "stop", "logprobs": null}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}}))
    .into_response()
}

async fn embedding(
    State(shared): State<Shared>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    note(&shared, &headers, &body, 2);
    axum::Json(json!({"object": "list", "model": "fake", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2}}))
    .into_response()
}
