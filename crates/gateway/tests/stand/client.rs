//! A client on a raw socket, so that a test decides about every byte and every close.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Lower-case.
    pub head: String,
    pub body: Vec<u8>,
    /// It ended as HTTP says an answer ends; otherwise it was cut.
    pub whole: bool,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The data of its events.
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        text.split("\n\n")
            .filter_map(|event| event.strip_prefix("data: ").map(str::to_owned))
            .collect()
    }

    /// The streamed text of a chat.
    pub fn streamed(&self) -> String {
        let texts = self
            .events()
            .into_iter()
            .filter_map(|event| serde_json::from_str::<Value>(&event).ok());
        texts
            .filter_map(|event| {
                event["choices"][0]["delta"]["content"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect()
    }
}

/// One open request.
pub struct Open {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Open {
    /// Sends a request with these header lines (each ended by CRLF), and with a length.
    pub async fn send(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Open {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        // it may be refused before all is written
        let _ = socket.write_all(&bytes).await;
        Open {
            socket,
            read: Vec::new(),
        }
    }

    /// Reads until this text has come.
    pub async fn until(&mut self, text: &str) {
        while !self
            .read
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            assert!(
                self.more().await,
                "closed before {text:?}: {}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Reads this many bytes, or to the end.
    pub async fn read_at_least(&mut self, bytes: usize) {
        while self.read.len() < bytes && parse(&self.read, false).is_none() && self.more().await {}
    }

    /// What has come so far.
    pub fn so_far(&self) -> &[u8] {
        &self.read
    }

    /// Reads to the end.
    pub async fn finish(mut self) -> Reply {
        loop {
            if let Some(reply) = parse(&self.read, false) {
                return reply;
            }
            if !self.more().await {
                return parse(&self.read, true).unwrap_or_else(|| {
                    panic!("no answer: {:?}", String::from_utf8_lossy(&self.read))
                });
            }
        }
    }

    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 65_536];
        match timeout(Duration::from_secs(10), self.socket.read(&mut piece))
            .await
            .expect("no answer within ten seconds")
        {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.read.extend_from_slice(&piece[..read]);
                true
            }
        }
    }
}

/// The answer in these bytes, if it is whole or nothing more will come.
fn parse(bytes: &[u8], ended: bool) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head[9..12].parse().unwrap();
    let rest = &bytes[end + 4..];
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let (body, whole) = if head.contains("transfer-encoding: chunked") {
        dechunk(rest)
    } else {
        let length = length.unwrap_or_default();
        (
            rest[..rest.len().min(length)].to_vec(),
            rest.len() >= length,
        )
    };
    (whole || ended).then_some(Reply {
        status,
        head,
        body,
        whole,
    })
}

fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let length =
            usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some(piece) = bytes.get(end + 2..end + 2 + length) else {
            break;
        };
        body.extend_from_slice(piece);
        bytes = bytes.get(end + 4 + length..).unwrap_or_default();
    }
    (body, false)
}

/// Sends bytes as they are and reads until the server closes or says nothing for 300 ms.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let _ = socket.write_all(bytes).await;
    let mut all = Vec::new();
    let mut piece = vec![0; 65_536];
    while let Ok(Ok(read @ 1..)) =
        timeout(Duration::from_millis(300), socket.read(&mut piece)).await
    {
        all.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}
