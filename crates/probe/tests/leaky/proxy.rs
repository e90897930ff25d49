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
use super::identity::{Door, Tenant};
use super::memory::Memory;
use super::meter::Meter;
use super::neighbours::Neighbours;
use super::objects::Objects;
use super::pool::Pool;
use super::pseudonyms::Pseudonyms;
use super::request_ids::{self, Answers};
use super::tokens::Seal;
use super::traces::Traces;
use super::upstream::{self, Answered, Reply};
use super::{bodies, framing, headers, models, routes, salts, streams};

/// The running fixture; stops when dropped.
pub struct Leaky {
    pub address: SocketAddr,
    /// Of the control plane.
    pub admin: SocketAddr,
    accepting: [JoinHandle<()>; 2],
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
    meter: Meter,
    neighbours: Neighbours,
    pool: Arc<Pool>,
    pseudonyms: Pseudonyms,
}

/// Which of the two listeners a connection came in at.
#[derive(Clone, Copy)]
enum Plane {
    Data,
    Control,
}

impl Leaky {
    /// A gateway in front of that upstream, broken as the switches say.
    pub async fn start(echo: SocketAddr, switches: Switches) -> Leaky {
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
            meter: Meter::default(),
            neighbours: Neighbours::default(),
            pool: Arc::default(),
            pseudonyms: Pseudonyms::default(),
        });
        let (address, data) = listen(Plane::Data, Arc::clone(&state)).await;
        let (admin, control) = listen(Plane::Control, state).await;
        Leaky {
            address,
            admin,
            accepting: [data, control],
        }
    }
}

impl Drop for Leaky {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(plane: Plane, state: Arc<State>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.spawn(connection(stream, plane, Arc::clone(&state)));
            while open.try_join_next().is_some() {}
        }
    });
    (address, accepting)
}

async fn connection(stream: TcpStream, plane: Plane, state: Arc<State>) {
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
        let done = match plane {
            Plane::Data => serve(&state, &head, &body, told, &mut to).await,
            Plane::Control => {
                let reply = state.meter.administer(&head, &body);
                write(&mut to, Answered::Whole(reply)).await
            }
        };
        if done.is_err() {
            return;
        }
    }
}

/// Answers one call, and books it.
async fn serve(
    state: &State,
    head: &Head,
    body: &[u8],
    told: Option<(String, String)>,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let (booked, answered) = match answer(state, head, body, told).await {
        Ok(answered) => answered,
        Err(_) => {
            let refused = Reply::error(502, "the upstream did not answer");
            (None, Answered::Whole(refused))
        }
    };
    let usage: Option<Value> = match &answered {
        Answered::Whole(reply) => serde_json::from_slice(&reply.body).ok(),
        Answered::Streamed { .. } => None,
    };
    let written = write(to, answered).await;
    if let Some(tenant) = booked {
        let (meter, whole) = (&state.switches.meter, written.is_ok());
        state.meter.settle(meter, tenant, usage.as_ref(), whole);
    }
    written
}

/// What the client gets, and whose call it is where it stands in the books.
async fn answer(
    state: &State,
    head: &Head,
    body: &[u8],
    told: Option<(String, String)>,
) -> io::Result<(Option<Tenant>, Answered)> {
    let whole = |reply| Ok((None, Answered::Whole(reply)));
    let switches = &state.switches;
    let (method, path) = head.request().unwrap_or_default();
    if let Some(page) = state.traces.page(&switches.traces, path) {
        return whole(page);
    }
    let admitted = state
        .door
        .admit(&switches.identity, &switches.tokens, &state.seal, head)
        .await;
    let Some(tenant) = admitted.or_else(|| state.meter.admit(head)) else {
        return whole(Reply::error(401, "unknown key"));
    };
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    state.traces.note(tenant, &asked);
    let own = state
        .traces
        .usage(&switches.traces, tenant, path)
        .or_else(|| state.meter.page(tenant, path))
        .or_else(|| models::page(tenant, method, path).filter(|_| told.is_none()))
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
    // what could not be read as this gateway's is none of its business
    let mut sent = match method {
        "POST" if told.is_none() => match rewritten(state, tenant, path, &asked) {
            Ok(sent) => Some(sent),
            Err(refused) => return whole(refused),
        },
        _ => None,
    };
    let key = Cache::key(&switches.caching, tenant, path, &asked);
    let kept = key
        .as_ref()
        .and_then(|key| state.cache.get(&switches.caching, key));
    if let Some(kept) = kept {
        return whole(kept);
    }
    if let Err(refused) = state.meter.reserve(&switches.meter, tenant) {
        return whole(refused);
    }
    let pseudonyms = &switches.pseudonyms;
    let map = sent
        .as_mut()
        .map(|sent| state.pseudonyms.mask(pseudonyms, sent))
        .unwrap_or_default();
    let mut lines = headers::lines(&switches.headers, tenant, head);
    state.pool.sign(&switches.pool, tenant, &mut lines).await;
    let sent = match (&told, sent) {
        (Some(_), _) => String::from_utf8_lossy(body).into_owned(),
        (None, sent) => sent.map(|sent| sent.to_string()).unwrap_or_default(),
    };
    lines.extend(told);
    lines.extend(request_ids::line(&switches.request_ids, head));
    if let Some(brought) = bodies::credential(&switches.bodies, &asked) {
        lines.retain(|(name, _)| name != "authorization");
        lines.push(("authorization".to_owned(), brought));
    }
    let to = bodies::destination(&switches.bodies, &asked).unwrap_or(state.echo);
    let place = state.neighbours.place(&switches.neighbours).await;
    let answered = upstream::send(to, method, path, &lines, sent.as_bytes()).await?;
    drop(place);
    let answered = match answered {
        Answered::Whole(mut reply) => {
            reply.body = state.pseudonyms.restore(pseudonyms, &map, &reply.body);
            state.answers.put(head, &reply);
            if let Some(key) = key {
                state.cache.put(key, &reply);
            }
            Answered::Whole(reply)
        }
        Answered::Streamed {
            status,
            content_type,
            pieces,
        } => {
            let pieces = state.pool.read(&switches.pool, pieces);
            let pieces = streams::shape(&switches.streams, pieces);
            Answered::Streamed {
                status,
                content_type,
                pieces,
            }
        }
    };
    Ok((Some(tenant), answered))
}

/// What the upstream is asked, before anything in it is masked; or what the client hears instead.
fn rewritten(state: &State, tenant: Tenant, path: &str, asked: &Value) -> Result<Value, Reply> {
    let switches = &state.switches;
    models::offered(&switches.models, tenant, path, asked)?;
    let mut sent = bodies::rewrite(&switches.bodies, tenant, asked)?;
    salts::finish(&switches.salts, tenant, path, asked, &mut sent);
    state.neighbours.stick(&switches.neighbours, &mut sent);
    Ok(sent)
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
