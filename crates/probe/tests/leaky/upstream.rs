//! Calls to the upstream, each on a connection of its own.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use probe::http1::Reader;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// An answer for the client.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: Bytes,
}

impl Reply {
    pub fn json(body: &serde_json::Value) -> Reply {
        Reply {
            status: 200,
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
        }
    }

    pub fn error(status: u16, message: &str) -> Reply {
        let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": "refused"}});
        Reply {
            status,
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
        }
    }
}

/// What comes back: all at once, or chunk by chunk as the upstream sends it.
pub enum Answered {
    Whole(Reply),
    Streamed {
        status: u16,
        content_type: String,
        pieces: mpsc::Receiver<Bytes>,
    },
}

pub async fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    lines: &[(String, String)],
    body: &[u8],
) -> io::Result<Answered> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in lines {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut reader = Reader::new(stream);
    let head = reader.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.status().unwrap_or(502);
    let content_type = head.get("content-type").unwrap_or_default().to_owned();
    if content_type != "text/event-stream" {
        let body = reader.body(head.response_framing(method)).await?;
        return Ok(Answered::Whole(Reply {
            status,
            content_type,
            body,
        }));
    }
    let (sender, pieces) = mpsc::channel(16);
    tokio::spawn(relay(reader, sender));
    Ok(Answered::Streamed {
        status,
        content_type,
        pieces,
    })
}

/// Hands chunks on until the upstream ends or the client is gone.
async fn relay(mut reader: Reader<TcpStream>, sender: mpsc::Sender<Bytes>) {
    loop {
        let chunk = tokio::select! {
            chunk = reader.chunk() => chunk,
            () = sender.closed() => return,
        };
        let Ok(Some(chunk)) = chunk else {
            return;
        };
        if sender.send(chunk).await.is_err() {
            return;
        }
    }
}
