//! Server-sent events (WHATWG HTML, section 9.2.6).
//!
//! Hand-written, because the crates that exist grow an event without bound while its end does not come: an upstream could
//! fill the memory of the gateway with one line. Here an event has a limit, and so has the line it stands on.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;

/// Frame that ends a stream of OpenAI's.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// What the data of the last event is.
pub const DONE_DATA: &str = "[DONE]";

/// Frames one line of JSON as an event. JSON as this workspace writes it holds no line break; one would be framed as
/// several `data` lines.
pub fn data_frame(json: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(json.len() + 8);
    for line in json.split(|b| *b == b'\n') {
        frame.put_slice(b"data: ");
        frame.put_slice(line);
        frame.put_u8(b'\n');
    }
    frame.put_u8(b'\n');
    frame.freeze()
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its type; empty where none was given (the standard then says `message`).
    pub kind: Cow<'a, str>,
    /// Its data, lines joined by line feeds. Bytes that are not UTF-8 have become U+FFFD.
    pub data: Cow<'a, str>,
}

/// An event is larger than allowed; the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event of the upstream's stream is larger than the limit; the stream was cut off; raise the limit if this is usual"
)]
pub struct Oversize;

/// Cuts a stream of bytes, in whatever pieces it comes, into events.
///
/// ```
/// let mut decoder = wire::sse::Decoder::new(1024);
/// let mut seen = Vec::new();
/// for piece in ["da", "ta: one\r", "\n\r\ndata: two\n", "\n"] {
///     decoder.push(piece.as_bytes(), &mut |event| seen.push(event.data.into_owned())).unwrap();
/// }
/// assert_eq!(seen, ["one", "two"]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// Most bytes of one event: line in progress, data and type together.
    max: usize,
    /// The line in progress.
    line: Vec<u8>,
    data: Vec<u8>,
    kind: Vec<u8>,
    /// There was a `data` field since the last event.
    has_data: bool,
    /// The last byte was a carriage return, so that a line feed belongs to it.
    after_return: bool,
    /// Nothing but the beginning of the stream was seen, where a byte order mark may stand.
    at_start: bool,
    /// The limit was exceeded.
    broken: bool,
}

impl Decoder {
    /// A decoder at the beginning of a stream, for events of up to `max_event_bytes`.
    pub fn new(max_event_bytes: usize) -> Decoder {
        Decoder {
            max: max_event_bytes,
            line: Vec::new(),
            data: Vec::new(),
            kind: Vec::new(),
            has_data: false,
            after_return: false,
            at_start: true,
            broken: false,
        }
    }

    /// Takes the next bytes and calls `f` for each event they complete. An event that the end of the stream leaves
    /// unfinished is never reported, as the standard wants it.
    ///
    /// # Errors
    /// [`Oversize`], also for every later call.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        f: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Oversize> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                self.has_room(bytes.len())?;
                self.line.extend_from_slice(bytes);
                return Ok(());
            };
            let (line, rest) = bytes.split_at(end);
            self.has_room(line.len())?;
            self.after_return = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.end_line(line, f);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.end_line(&whole, f);
                whole.clear();
                self.line = whole;
            }
        }
        Ok(())
    }

    fn has_room(&mut self, more: usize) -> Result<(), Oversize> {
        let held = self.line.len() + self.data.len() + self.kind.len();
        self.broken |= held.saturating_add(more) > self.max;
        if self.broken { Err(Oversize) } else { Ok(()) }
    }

    fn end_line(&mut self, line: &[u8], f: &mut impl FnMut(Event<'_>)) {
        let line = match std::mem::take(&mut self.at_start) {
            true => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            return self.end_event(f);
        }
        let (name, value) = match memchr::memchr(b':', line) {
            None => (line, &[][..]),
            Some(at) => {
                let (name, value) = line.split_at(at);
                let value = value.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
        };
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.kind.clear();
                self.kind.extend_from_slice(value);
            }
            // A comment, `id` and `retry` (nobody reconnects to an upstream here), and fields that do not exist.
            _ => {}
        }
    }

    fn end_event(&mut self, f: &mut impl FnMut(Event<'_>)) {
        if std::mem::take(&mut self.has_data) {
            f(Event {
                kind: String::from_utf8_lossy(&self.kind),
                data: String::from_utf8_lossy(&self.data),
            });
        }
        self.data.clear();
        self.kind.clear();
    }
}
