//! HTTP/1 as bytes (RFC 9112): reads what is there, keeps it as it was written, and repairs nothing.
//!
//! Hand-written, because rows about smuggling and headers need what an HTTP library rightly hides: the raw head, lines in
//! their order, contradictions, and what follows a message on the connection. Everything is bounded.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a head.
pub const MAX_HEAD: usize = 256 << 10;
/// Bytes of a body.
pub const MAX_BODY: usize = 16 << 20;

/// The head of a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// All of it as it came, with the empty line that ends it.
    pub raw: Bytes,
    /// The first line, without its end. Bytes that are not UTF-8 have become U+FFFD, here and below.
    pub start: String,
    /// Names as they were written, and values without white space around them, in order. A line without a colon is a name
    /// without a value.
    pub lines: Vec<(String, String)>,
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes.
    Length(usize),
    /// Chunks.
    Chunked,
    /// Everything until the connection ends.
    UntilEnd,
}

impl Head {
    fn read(raw: Bytes) -> Head {
        let text = String::from_utf8_lossy(&raw);
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let start = lines.next().unwrap_or_default().to_owned();
        let lines = lines
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => (name.to_owned(), value.trim().to_owned()),
                None => (line.to_owned(), String::new()),
            })
            .collect();
        Head { raw, start, lines }
    }

    /// The values of all lines of a name, in order; case does not matter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter(move |(other, _)| other.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of the first line of a name.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Method and target of a request; none where the first line is not one of HTTP/1.
    pub fn request(&self) -> Option<(&str, &str)> {
        let (method, rest) = self.start.split_once(' ')?;
        let (target, version) = rest.rsplit_once(' ')?;
        let token = !method.is_empty()
            && method
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (token && version.starts_with("HTTP/1.") && !target.is_empty()).then_some((method, target))
    }

    /// Status of an answer; none where the first line is not one of HTTP/1.
    pub fn status(&self) -> Option<u16> {
        let rest = self.start.strip_prefix("HTTP/1.")?;
        rest.split(' ').nth(1)?.parse().ok()
    }

    /// Whether the length of the body is said twice, or in two ways: the stuff of smuggling.
    pub fn is_ambiguous(&self) -> bool {
        let (lengths, codings) = (
            self.all("content-length").count(),
            self.all("transfer-encoding").count(),
        );
        lengths + codings > 1
    }

    fn length(&self) -> Option<Framing> {
        if self
            .all("transfer-encoding")
            .any(|value| value.to_ascii_lowercase().contains("chunked"))
        {
            return Some(Framing::Chunked);
        }
        self.get("content-length")?
            .parse()
            .ok()
            .map(Framing::Length)
    }

    /// How long the body of this request is (RFC 9112, section 6.3: chunks win, and without a length there is none).
    pub fn request_framing(&self) -> Framing {
        self.length().unwrap_or(Framing::Length(0))
    }

    /// How long the body of this answer is, to a request of that method.
    pub fn response_framing(&self, method: &str) -> Framing {
        match self.status() {
            Some(100..=199 | 204 | 304) => Framing::Length(0),
            _ if method == "HEAD" => Framing::Length(0),
            _ => self.length().unwrap_or(Framing::UntilEnd),
        }
    }
}

/// Reads messages from a connection.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    ahead: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// A reader at the beginning of a connection.
    pub fn new(from: R) -> Reader<R> {
        Reader {
            from,
            ahead: BytesMut::new(),
        }
    }

    /// What was read and not yet taken.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Waits for more bytes; none where the connection ended.
    ///
    /// # Errors
    /// What the connection says.
    pub async fn more(&mut self) -> io::Result<usize> {
        self.ahead.reserve(16 << 10);
        self.from.read_buf(&mut self.ahead).await
    }

    /// The next head; none where the connection ended before it began. Empty lines before it are skipped.
    ///
    /// # Errors
    /// What the connection says, an end within the head, or a head that is too long.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        let mut seen = 0;
        loop {
            while seen == 0 && matches!(self.ahead.first(), Some(b'\r' | b'\n')) {
                self.ahead.advance(1);
            }
            if let Some(end) = end_of_head(&self.ahead, seen) {
                return Ok(Some(Head::read(self.ahead.split_to(end).freeze())));
            }
            if self.ahead.len() > MAX_HEAD {
                return Err(bad("a head is longer than the limit"));
            }
            seen = self.ahead.len();
            if self.more().await? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// The body that follows a head, chunks taken out of their frames.
    ///
    /// # Errors
    /// What the connection says, an end within the body, chunks that are none, or a body that is too long.
    pub async fn body(&mut self, framing: Framing) -> io::Result<Bytes> {
        match framing {
            Framing::Length(length) => self.exactly(length).await,
            Framing::Chunked => self.chunks().await,
            Framing::UntilEnd => {
                while self.more().await? > 0 {
                    self.fits(self.ahead.len())?;
                }
                Ok(self.ahead.split().freeze())
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        self.fits(length)?;
        while self.ahead.len() < length {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.split_to(length).freeze())
    }

    async fn chunks(&mut self) -> io::Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            self.fits(whole.len().saturating_add(chunk.len()))?;
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The next chunk of a body in chunks; none after the last, trailers read over.
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let line = self.line().await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk has no size"))?;
        if size == 0 {
            while !self.line().await?.is_empty() {}
            return Ok(None);
        }
        let chunk = self.exactly(size).await?;
        if !self.line().await?.is_empty() {
            return Err(bad("a chunk is longer than it says"));
        }
        Ok(Some(chunk))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.iter().position(|b| *b == b'\n') {
                let line = self.ahead.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.ahead.len() > MAX_HEAD {
                return Err(bad("a line is longer than the limit"));
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn fits(&self, length: usize) -> io::Result<()> {
        if length > MAX_BODY {
            Err(bad("a body is longer than the limit"))
        } else {
            Ok(())
        }
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Where the empty line ends, with either kind of line end; what was looked at before is not looked at again.
fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let mut rest = bytes.get(from..)?;
    let mut at = from;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        rest = rest.get(end + 1..)?;
        at += end + 1;
        for (ending, length) in [(&b"\n"[..], 1), (b"\r\n", 2)] {
            if rest.starts_with(ending) {
                return Some(at + length);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all_of(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        while let Some(head) = reader.head().await? {
            let body = reader.body(head.request_framing()).await?;
            found.push((head.start, body.to_vec()));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn messages_are_cut_where_they_say_they_end() {
        let check = async |bytes: &[u8], expected: &[(&str, &str)]| {
            let found = all_of(bytes).await.unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|(s, b)| (s.as_str(), std::str::from_utf8(b).unwrap()))
                .collect();
            assert_eq!(found, expected);
        };
        check(b"", &[]).await;
        check(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[("GET / HTTP/1.1", "")],
        )
        .await;
        check(
            b"GET / HTTP/1.1\n\nGET /b HTTP/1.1\n\r\n",
            &[("GET / HTTP/1.1", ""), ("GET /b HTTP/1.1", "")],
        )
        .await;
        check(
            b"\r\nP / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
            &[("P / HTTP/1.1", "ab")],
        )
        .await;
        check(
            b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\nG / HTTP/1.1\r\n\r\n",
            &[("P / HTTP/1.1", "abc"), ("G / HTTP/1.1", "")],
        )
        .await;
    }

    #[tokio::test]
    async fn what_does_not_end_or_is_too_long_is_an_error() {
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2 * MAX_HEAD));
        for bytes in [
            "GET / HTTP/1.1\r\nHost: x",
            "P / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
            "P / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
            &long,
        ] {
            assert!(all_of(bytes.as_bytes()).await.is_err(), "{bytes:.80}");
        }
    }

    #[test]
    fn a_head_keeps_what_was_written() {
        let raw = b"HTTP/1.1 404 Not Found\r\nX-A:  1 \r\nx-a: 2\r\nnonsense\r\n\r\n";
        let head = Head::read(Bytes::from_static(raw));
        assert_eq!(head.raw, &raw[..]);
        assert_eq!((head.status(), head.request()), (Some(404), None));
        assert_eq!(head.all("X-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(
            head.lines.last().unwrap(),
            &("nonsense".to_owned(), String::new())
        );
        assert_eq!(head.response_framing("GET"), Framing::UntilEnd);
        assert_eq!(head.response_framing("HEAD"), Framing::Length(0));
        let ambiguous =
            |text: &'static str| Head::read(Bytes::from_static(text.as_bytes())).is_ambiguous();
        assert!(ambiguous(
            "P / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        assert!(ambiguous(
            "P / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length : 2\r\n\r\n"
        ));
        assert!(!ambiguous("P / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"));
        for start in [
            "GET  HTTP/1.1",
            "GET /",
            "G?T / HTTP/1.1",
            "GET / HTTP/2.0",
            "",
        ] {
            assert_eq!(
                Head::read(Bytes::from(format!("{start}\r\n\r\n"))).request(),
                None,
                "{start}"
            );
        }
    }
}
