//! A programmable upstream on a raw socket: it sees every byte that the gateway sends, and misbehaves on demand.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    /// Lower-case names; every value of a repeated one.
    pub headers: BTreeMap<String, Vec<String>>,
    pub raw: Vec<u8>,
    pub body: Value,
    /// Which connection it came on, counted from zero.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |values| &values[0])
    }

    /// The text of the last message, or the prompt.
    pub fn asked(&self) -> String {
        let last = self.body["messages"].as_array().and_then(|all| all.last());
        last.map_or(&self.body["prompt"], |last| &last["content"])
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// What happens after a request was read.
#[derive(Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// Goes on once a permit is there.
    Wait(Arc<Semaphore>),
    /// Sends this until the other side closes.
    Endless(Vec<u8>),
    /// Says nothing until the other side closes.
    Hang,
    /// Closes the connection in order.
    Close,
    /// Closes it with a reset.
    Reset,
}

pub struct Fake {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    answering: Arc<AtomicUsize>,
}

impl Fake {
    /// `script` says what happens with each request.
    pub async fn start(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Fake {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
            answering: Arc::default(),
        };
        let (seen, connections, open, answering, script) = (
            Arc::clone(&fake.seen),
            Arc::clone(&fake.connections),
            Arc::clone(&fake.open),
            Arc::clone(&fake.answering),
            Arc::new(script),
        );
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (seen, open, script) =
                    (Arc::clone(&seen), Arc::clone(&open), Arc::clone(&script));
                let answering = Arc::clone(&answering);
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    serve(socket, connection, &seen, &answering, &*script).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        fake
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether a connection is open on which an answer is still being sent.
    pub fn busy(&self) -> bool {
        self.answering.load(Ordering::SeqCst) > 0
    }

    /// Waits until no connection is open.
    pub async fn left_alone(&self) {
        until("the upstream's connection was never dropped", || {
            self.open.load(Ordering::SeqCst) == 0
        })
        .await;
    }

    /// Waits until this many requests came in.
    pub async fn asked(&self, times: usize) {
        until("the upstream was not asked that often", || {
            self.seen.lock().unwrap().len() >= times
        })
        .await;
    }
}

/// Waits for a condition, for five seconds at most.
pub async fn until(otherwise: &str, condition: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(5), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect(otherwise);
}

async fn serve(
    mut socket: TcpStream,
    connection: usize,
    seen: &Mutex<Vec<Seen>>,
    answering: &AtomicUsize,
    script: &(dyn Fn(&Seen) -> Vec<Step> + Send + Sync),
) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut socket, &mut buffer, connection).await {
        let steps = script(&request);
        seen.lock().unwrap().push(request);
        answering.fetch_add(1, Ordering::SeqCst);
        let on = act(&mut socket, steps).await;
        answering.fetch_sub(1, Ordering::SeqCst);
        if !on {
            return;
        }
    }
}

/// Whether the connection goes on.
async fn act(socket: &mut TcpStream, steps: Vec<Step>) -> bool {
    {
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    if socket.write_all(&bytes).await.is_err() {
                        return false;
                    }
                }
                Step::Wait(gate) => {
                    let mut byte = [0; 1];
                    tokio::select! {
                        permit = gate.acquire() => permit.unwrap().forget(),
                        _ = socket.peek(&mut byte) => return false,
                    }
                }
                Step::Endless(bytes) => while socket.write_all(&bytes).await.is_ok() {},
                Step::Hang => {
                    let mut byte = [0; 1];
                    let _ = socket.read(&mut byte).await;
                    return false;
                }
                Step::Close => return false,
                Step::Reset => {
                    socket.set_zero_linger().unwrap();
                    return false;
                }
            }
        }
    }
    true
}

async fn read(socket: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let mut piece = vec![0; 65_536];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let line = lines.next().unwrap().to_owned();
            let mut headers = BTreeMap::<String, Vec<String>>::new();
            for header in lines {
                let (name, value) = header.split_once(':').unwrap();
                headers
                    .entry(name.to_ascii_lowercase())
                    .or_default()
                    .push(value.trim().to_owned());
            }
            let length: usize = headers
                .get("content-length")
                .map_or(0, |length| length[0].parse().unwrap());
            let whole = end + 4 + length;
            if buffer.len() >= whole {
                let raw: Vec<u8> = buffer.drain(..whole).collect();
                let body = serde_json::from_slice(&raw[end + 4..]).unwrap_or(Value::Null);
                return Some(Seen {
                    line,
                    headers,
                    raw,
                    body,
                    connection,
                });
            }
        }
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => buffer.extend_from_slice(&piece[..read]),
        }
    }
}

/// A whole HTTP answer.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    vec![Step::Send(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )]
}

/// A JSON answer with status 200.
pub fn json_answer(body: &Value) -> Vec<Step> {
    answer(200, "content-type: application/json\r\n", &body.to_string())
}

/// The head of a stream of server-sent events, in chunks.
pub fn sse_head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())
}

/// Bytes as one HTTP chunk.
pub fn chunk(bytes: &[u8]) -> Step {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    Step::Send(framed)
}

/// One event as one HTTP chunk.
pub fn event(data: &Value) -> Step {
    chunk(format!("data: {data}\n\n").as_bytes())
}

/// `[DONE]` and the last chunk.
pub fn sse_end() -> Vec<Step> {
    vec![
        chunk(b"data: [DONE]\n\n"),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]
}

/// A chat answer that says `text`.
pub fn chat_answer(text: &str) -> Value {
    json!({
        "id": "chatcmpl-upstream", "object": "chat.completion", "created": 1_700_000_000, "model": "upstream-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    })
}

/// A piece of a streamed chat answer.
pub fn chat_chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]
    })
}

/// The last piece, with the counts.
pub fn usage_chunk() -> Value {
    json!({
        "id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "upstream-model",
        "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    })
}

/// A streamed chat answer of these texts, whole and in order.
pub fn chat_stream(texts: &[&str]) -> Vec<Step> {
    let mut steps = vec![
        sse_head(),
        event(&chat_chunk(
            json!({"role": "assistant", "content": ""}),
            None,
        )),
    ];
    steps.extend(
        texts
            .iter()
            .map(|text| event(&chat_chunk(json!({"content": text}), None))),
    );
    steps.push(event(&chat_chunk(json!({}), Some("stop"))));
    steps.push(event(&usage_chunk()));
    steps.extend(sse_end());
    steps
}
