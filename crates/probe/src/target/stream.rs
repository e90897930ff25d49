//! A streamed answer, piece by piece.

use std::time::{Duration, Instant};

use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::verdict::Trouble;

/// Bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its data: JSON, or `[DONE]`.
    pub data: String,
    /// From sending to its arrival.
    pub at: Duration,
    /// Bytes of the HTTP data that brought it; shared by the events that came together.
    pub bytes: usize,
}

impl Piece {
    /// The text that it adds to a chat or a completion; empty where it adds none.
    pub fn said(&self) -> String {
        said(&self.data)
    }
}

/// The text that the data of an event adds; empty where it adds none.
pub(crate) fn said(data: &str) -> String {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    ["/choices/0/delta/content", "/choices/0/text"]
        .iter()
        .find_map(|place| data.pointer(place)?.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// An answer that is still coming. Dropping it cancels the call.
pub struct Stream {
    /// HTTP status.
    pub status: u16,
    /// Header lines.
    pub headers: HeaderMap,
    body: Incoming,
    decoder: wire::sse::Decoder,
    ready: std::collections::VecDeque<Piece>,
    sent: Instant,
    most: Duration,
}

impl Stream {
    pub(super) fn new(answered: http::Response<Incoming>, sent: Instant, most: Duration) -> Stream {
        let (parts, body) = answered.into_parts();
        Stream {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            decoder: wire::sse::Decoder::new(MAX_EVENT),
            ready: std::collections::VecDeque::new(),
            sent,
            most,
        }
    }

    /// Whether the status is 2xx.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The next event; none after the last.
    ///
    /// # Errors
    /// [`Trouble::TimedOut`] once the call has lasted as long as one may, or what the connection says.
    pub async fn next(&mut self) -> Result<Option<Piece>, Trouble> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            let left = self.most.saturating_sub(self.sent.elapsed());
            let frame = tokio::time::timeout(left, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| Trouble::TimedOut)? else {
                return Ok(None);
            };
            let frame = frame.map_err(|why| Trouble::Connection(why.to_string()))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            let (at, bytes, ready) = (self.sent.elapsed(), data.len(), &mut self.ready);
            let pushed = self.decoder.push(data, &mut |event| {
                ready.push_back(Piece {
                    data: event.data.into_owned(),
                    at,
                    bytes,
                });
            });
            pushed.map_err(|_| {
                Trouble::Unexpected("an event of a stream is larger than 1 MiB".to_owned())
            })?;
        }
    }

    /// All events that are left.
    ///
    /// # Errors
    /// As [`Stream::next`].
    pub async fn rest(&mut self) -> Result<Vec<Piece>, Trouble> {
        let mut pieces = Vec::new();
        while let Some(piece) = self.next().await? {
            pieces.push(piece);
        }
        Ok(pieces)
    }
}
