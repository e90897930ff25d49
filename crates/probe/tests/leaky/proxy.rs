//! The flow of a request through the stages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use probe::http1::{Head, Reader};
use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Switches;
use super::caching::Cache;
use super::identity::Door;
use super::memory::Memory;
use super::objects::Objects;
use super::request_ids::{self, Answers};
use super::tokens::Seal;
use super::traces::Traces;
use super::upstream::{self, Answered, Reply};
use super::{bodies, framing, headers, routes};

/// The running fixture; stops when dropped.
pub struct Leaky {
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

struct State {
    echo: SocketAddr,
    switches: Switches,
    cache: Cache,
    door: Door,
    memory: Memory,
    objects: Objects,
    answers: Answers,
    seal: Seal,
    traces: Traces,
}

impl Leaky {
    /// A gateway in front of that upstream, broken as the switches say.
    pub async fn start(echo: SocketAddr, switches: Switches) -> Leaky {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            echo,
            switches,
            cache: Cache::default(),
            door: Door::default(),
            memory: Memory::default(),
            objects: Objects::default(),
            answers: Answers::default(),
            seal: Seal::default(),
            traces: Traces::default(),
        });
        let accepting = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(connection(stream, Arc::clone(&state)));
                while open.try_join_next().is_some() {}
            }
        });
        Leaky { address, accepting }
    }
}

impl Drop for Leaky {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    stream.set_nodelay(true).unwrap();
    let (from, mut to) = stream.into_split();
    let mut reader = Reader::new(from);
    while let Ok(Some(head)) = reader.head().await {
        let lenient = framing::lenient(&state.switches.framing, &head);
        if !framing::is_strict(&head) && lenient.is_none() {
            let refused = Reply::error(400, "this is not a request");
            let _ = write(&mut to, Answered::Whole(refused)).await;
            return;
        }
        let (as_read, told) = lenient.unzip();
        let Ok(body) = reader.body(as_read.unwrap_or(head.request_framing())).await else {
            return;
        };
        let answered = answer(&state, &head, &body, told).await;
        let answered = answered
            .unwrap_or_else(|_| Answered::Whole(Reply::error(502, "the upstream did not answer")));
        if write(&mut to, answered).await.is_err() {
            return;
        }
    }
}

async fn answer(
    state: &State,
    head: &Head,
    body: &[u8],
    told: Option<(String, String)>,
) -> io::Result<Answered> {
    let whole = |reply| Ok(Answered::Whole(reply));
    let switches = &state.switches;
    let (method, path) = head.request().unwrap_or_default();
    if let Some(page) = state.traces.page(&switches.traces, path) {
        return whole(page);
    }
    let admitted = state
        .door
        .admit(&switches.identity, &switches.tokens, &state.seal, head)
        .await;
    let Some(tenant) = admitted else {
        return whole(Reply::error(401, "unknown key"));
    };
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    state.traces.note(tenant, &asked);
    let own = state
        .traces
        .usage(&switches.traces, tenant, path)
        .or_else(|| routes::administration(&switches.routes, method, path))
        .or_else(|| state.answers.get(&switches.request_ids, head));
    if let Some(reply) = own {
        return whole(reply);
    }
    let of_objects = (&switches.objects, &switches.tokens);
    let object = state
        .objects
        .answer(of_objects, &state.seal, tenant, (method, path), &asked);
    if let Some(reply) = object.await {
        return whole(reply);
    }
    if !routes::offered(&switches.routes, method, path) {
        return whole(Reply::error(404, "no such route"));
    }
    let tenant = bodies::tenant(&switches.bodies, tenant, &asked);
    let asked = state.memory.recall(&switches.memory, tenant, head, asked);
    let sent = match method {
        // what could not be read as this gateway's is none of its business
        _ if told.is_some() => String::from_utf8_lossy(body).into_owned(),
        "POST" => match bodies::rewrite(&switches.bodies, tenant, &asked) {
            Ok(sent) => sent.to_string(),
            Err(refused) => return whole(refused),
        },
        _ => String::new(),
    };
    let key = Cache::key(&switches.caching, tenant, path, &asked);
    if let Some(kept) = key.as_ref().and_then(|key| state.cache.get(key)) {
        return whole(kept);
    }
    let mut lines = headers::lines(&switches.headers, tenant, head);
    lines.extend(told);
    lines.extend(request_ids::line(&switches.request_ids, head));
    if let Some(brought) = bodies::credential(&switches.bodies, &asked) {
        lines.retain(|(name, _)| name != "authorization");
        lines.push(("authorization".to_owned(), brought));
    }
    let to = bodies::destination(&switches.bodies, &asked).unwrap_or(state.echo);
    let answered = upstream::send(to, method, path, &lines, sent.as_bytes()).await?;
    if let Answered::Whole(reply) = &answered {
        state.answers.put(head, reply);
        if let Some(key) = key {
            state.cache.put(key, reply);
        }
    }
    Ok(answered)
}

async fn write(to: &mut (impl AsyncWrite + Unpin), answered: Answered) -> io::Result<()> {
    match answered {
        Answered::Whole(reply) => {
            let head = format!(
                "HTTP/1.1 {} Leaky\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
                reply.status,
                reply.content_type,
                reply.body.len()
            );
            to.write_all(&[head.as_bytes(), &reply.body].concat()).await
        }
        Answered::Streamed {
            status,
            content_type,
            mut pieces,
        } => {
            let head = format!(
                "HTTP/1.1 {status} Leaky\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            to.write_all(head.as_bytes()).await?;
            while let Some(piece) = pieces.recv().await {
                to.write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                    .await?;
                to.write_all(&piece).await?;
                to.write_all(b"\r\n").await?;
            }
            to.write_all(b"0\r\n\r\n").await
        }
    }
}
