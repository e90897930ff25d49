//! The connections of the echo upstream.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::State;
use super::answer::{self, Written};
use super::record::Recorded;
use super::script::Script;
use crate::http1::{Head, Reader};

/// Accepts until it is aborted, and takes its connections with it then.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut open = JoinSet::new();
    let mut number = 0;
    loop {
        // what went wrong while accepting one connection is no reason to refuse the next
        if let Ok((stream, _)) = listener.accept().await {
            let state = Arc::clone(&state);
            open.spawn(connection(stream, number, state));
            number += 1;
        }
        while open.try_join_next().is_some() {}
    }
}

/// Answers one connection until either side ends it.
async fn connection(stream: TcpStream, number: u64, state: Arc<State>) {
    // pieces of a stream go out when they are due, not when there are enough of them
    let _ = stream.set_nodelay(true);
    let (from, mut to) = stream.into_split();
    let mut reader = Reader::new(from);
    for position in 0.. {
        let Ok(Some(head)) = reader.head().await else {
            // bytes that end before they are a head are the rest of something: that is worth a record
            if !reader.ahead().is_empty() {
                let rest = Head {
                    raw: Bytes::copy_from_slice(reader.ahead()),
                    start: String::new(),
                    lines: Vec::new(),
                };
                state.record(&Arc::new(recorded(&state, number, position, rest, None)));
            }
            return;
        };
        let body = match head.request() {
            Some(_) => reader.body(head.request_framing()).await.ok(),
            None => None,
        };
        let request = Arc::new(recorded(&state, number, position, head, body));
        state.record(&request);
        let script = state.script(&request);
        let written = answer::write(&request, &script);
        let sent = send(&mut to, &request, &script, written).await.is_ok();
        state.answered(&request, sent);
        if !sent || request.malformed {
            return;
        }
        let closes = request
            .head
            .all("connection")
            .any(|value| value.eq_ignore_ascii_case("close"));
        if closes || request.head.start.ends_with("HTTP/1.0") {
            return;
        }
    }
}

fn recorded(
    state: &State,
    connection: u64,
    position: u64,
    head: Head,
    body: Option<Bytes>,
) -> Recorded {
    let (method, target) = head.request().unwrap_or_default();
    let (method, target) = (method.to_owned(), target.to_owned());
    Recorded {
        connection,
        position,
        at: state.began.elapsed(),
        method,
        target,
        malformed: body.is_none(),
        body: body.unwrap_or_default(),
        nonce: state.nonce(),
        sent: OnceLock::new(),
        head,
    }
}

async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    request: &Recorded,
    script: &Script,
    written: Written,
) -> std::io::Result<()> {
    tokio::time::sleep(script.first_after).await;
    let mut head = format!(
        "HTTP/1.1 {} Echo\r\nContent-Type: {}\r\n",
        written.status, written.content_type
    );
    for (name, value) in &script.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let [body] = written.pieces.as_slice() {
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        to.write_all(head.as_bytes()).await?;
        if request.method != "HEAD" {
            to.write_all(body).await?;
        }
        return to.flush().await;
    }
    head.push_str("Transfer-Encoding: chunked\r\n\r\n");
    to.write_all(head.as_bytes()).await?;
    for (index, piece) in written.pieces.iter().enumerate() {
        if index > 0 && !script.each_after.is_zero() {
            to.flush().await?;
            tokio::time::sleep(script.each_after).await;
        }
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        to.write_all(&chunk).await?;
    }
    to.write_all(b"0\r\n\r\n").await?;
    to.flush().await
}
