//! A client on a socket of its own, so that a test decides about every byte and every close.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Raw {
    socket: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
    /// It ended as HTTP says that an answer ends; otherwise it was cut.
    pub whole: bool,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The data of the events that came whole.
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        whole
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: ").map(str::to_owned))
            .collect()
    }

    /// The text of a streamed chat, as far as it came.
    pub fn streamed(&self) -> String {
        let pieces = self
            .events()
            .into_iter()
            .filter_map(|event| serde_json::from_str::<Value>(&event).ok());
        pieces
            .filter_map(|piece| {
                piece["choices"][0]["delta"]["content"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect()
    }
}

impl Raw {
    /// A connection to a base URL.
    pub fn connect(base: &str) -> std::io::Result<Raw> {
        let socket = TcpStream::connect(base.strip_prefix("http://").unwrap())?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Raw {
            socket,
            read: Vec::new(),
        })
    }

    /// Whether the other side took it all.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    /// Writes a JSON request with a credential.
    pub fn post(&mut self, path: &str, key: &str, body: &Value) -> bool {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.write(format!("{head}{body}").as_bytes())
    }

    /// No more will be written; answers may still come.
    pub fn finish_writing(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// The next answer; `None` where the connection ended before its head did. The connection can be used again where
    /// the answer is whole.
    pub fn reply(&mut self) -> Option<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.read, false) {
                self.read.drain(..length);
                return Some(reply);
            }
            if !self.more() {
                return parse(&self.read, true).map(|(reply, _)| reply);
            }
        }
    }

    /// Reads at least `count` bytes of whatever comes and then drops the connection: what a client does that goes away.
    pub fn leave_after(mut self, count: usize) -> Option<Reply> {
        while self.read.len() < count && parse(&self.read, false).is_none() && self.more() {}
        self.read.truncate(count);
        parse(&self.read, true).map(|(reply, _)| reply)
    }

    /// Everything until the other side closes; `None` where it does not within that time.
    pub fn until_closed(mut self, within: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut piece = [0; 16_384];
            match self.socket.read(&mut piece) {
                Ok(0) => return Some(self.read),
                Ok(read) => self.read.extend_from_slice(&piece[..read]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(_) => return Some(self.read),
            }
        }
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 16_384];
        match self.socket.read(&mut piece) {
            Ok(0) => false,
            Ok(read) => {
                self.read.extend_from_slice(&piece[..read]);
                true
            }
            Err(error) => {
                let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(
                    !silent,
                    "no answer within {PATIENCE:?}: {}",
                    String::from_utf8_lossy(&self.read)
                );
                false
            }
        }
    }
}

/// The first answer in these bytes, if it is whole or nothing more will come, and its length.
fn parse(bytes: &[u8], ended: bool) -> Option<(Reply, usize)> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.get(9..12)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let (body, taken, whole) = if head.contains("transfer-encoding: chunked") {
        dechunk(rest)
    } else {
        let length = length.unwrap_or(0);
        (
            rest[..rest.len().min(length)].to_vec(),
            length,
            rest.len() >= length,
        )
    };
    (whole || ended).then_some((
        Reply {
            status,
            head,
            body,
            whole,
        },
        end + 4 + taken,
    ))
}

/// The content of chunks (RFC 9112, section 7.1), the bytes they took, and whether the last one was there.
fn dechunk(bytes: &[u8]) -> (Vec<u8>, usize, bool) {
    let mut body = Vec::new();
    let mut at = 0;
    while let Some(end) = find(&bytes[at..], b"\r\n") {
        let size = std::str::from_utf8(&bytes[at..at + end])
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size
            .unwrap_or_else(|| panic!("not a chunk: {}", String::from_utf8_lossy(&bytes[at..])));
        let start = at + end + 2;
        if size == 0 {
            return (body, start + 2, bytes.len() >= start + 2);
        }
        let Some(piece) = bytes.get(start..start + size) else {
            body.extend_from_slice(bytes.get(start..).unwrap_or_default());
            break;
        };
        body.extend_from_slice(piece);
        at = start + size + 2;
        if at > bytes.len() {
            break;
        }
    }
    (body, at, false)
}

pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// The statuses of all answers in these bytes.
pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    text.split("HTTP/1.")
        .skip(1)
        .filter_map(|answer| answer.get(2..5)?.parse().ok())
        .collect()
}
