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
use super::upstream::{self, Answered, Reply};
use super::{bodies, headers, identity, routes};

/// The running fixture; stops when dropped.
pub struct Leaky {
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

struct State {
    echo: SocketAddr,
    switches: Switches,
    cache: Cache,
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
        let strict = head.request().is_some() && !head.is_ambiguous() && well_formed(&head);
        if !strict {
            let _ = write(
                &mut to,
                Answered::Whole(Reply::error(400, "this is not a request")),
            )
            .await;
            return;
        }
        let Ok(body) = reader.body(head.request_framing()).await else {
            return;
        };
        let answered = answer(&state, &head, &body).await;
        let answered = answered
            .unwrap_or_else(|_| Answered::Whole(Reply::error(502, "the upstream did not answer")));
        if write(&mut to, answered).await.is_err() {
            return;
        }
    }
}

/// RFC 9112, section 5: no space before a colon, no folded lines.
fn well_formed(head: &Head) -> bool {
    head.lines
        .iter()
        .all(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
}

async fn answer(state: &State, head: &Head, body: &[u8]) -> io::Result<Answered> {
    let refuse = |status, why| Ok(Answered::Whole(Reply::error(status, why)));
    let Some(tenant) = identity::admit(&state.switches.identity, head) else {
        return refuse(401, "unknown key");
    };
    let (method, path) = head.request().unwrap_or_default();
    if !routes::offered(&state.switches.routes, method, path) {
        return refuse(404, "no such route");
    }
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let sent = match method {
        "POST" => match bodies::rewrite(&state.switches.bodies, tenant, &asked) {
            Ok(sent) => sent.to_string(),
            Err(refused) => return Ok(Answered::Whole(refused)),
        },
        _ => String::new(),
    };
    let key = Cache::key(&state.switches.caching, tenant, path, &asked);
    if let Some(kept) = key.as_ref().and_then(|key| state.cache.get(key)) {
        return Ok(Answered::Whole(kept));
    }
    let lines = headers::lines(&state.switches.headers, tenant, head);
    let answered = upstream::send(state.echo, method, path, &lines, sent.as_bytes()).await?;
    if let (Some(key), Answered::Whole(reply)) = (key, &answered) {
        state.cache.put(key, reply);
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
