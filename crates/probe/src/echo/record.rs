//! What reached the echo upstream.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::http1::Head;

/// A place in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(super) usize);

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Number of the connection, from 0.
    pub connection: u64,
    /// Number of the request on its connection, from 0.
    pub position: u64,
    /// When its head was complete, since the start of the echo upstream.
    pub at: Duration,
    /// The head, byte for byte.
    pub head: Head,
    /// Empty where the first line was not one of HTTP.
    pub method: String,
    /// As it was written; empty where the first line was not one of HTTP.
    pub target: String,
    /// Chunks taken out of their frames.
    pub body: Bytes,
    /// Not a request of HTTP/1, or its body did not end as it said: the rest of something else.
    pub malformed: bool,
    /// The nonce of its answer.
    pub nonce: String,
    pub(super) sent: OnceLock<bool>,
}

impl Recorded {
    /// Whether its answer was sent to the last byte, or broken off by the other side; none while it is being sent.
    pub fn was_answered_whole(&self) -> Option<bool> {
        self.sent.get().copied()
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether this text stands in head or body, raw.
    pub fn holds(&self, text: &str) -> bool {
        let within = |bytes: &[u8]| memchr::memmem::find(bytes, text.as_bytes()).is_some();
        within(&self.head.raw) || within(&self.body)
    }

    /// Every text of the prompt, in order: message contents, `prompt`, `input`. Numbers and images are left out.
    pub fn prompt(&self) -> String {
        fn texts(value: &Value, found: &mut String) {
            match value {
                Value::String(text) => {
                    if !found.is_empty() {
                        found.push('\n');
                    }
                    found.push_str(text);
                }
                Value::Array(parts) => parts.iter().for_each(|part| texts(part, found)),
                Value::Object(fields) => {
                    for name in ["content", "text"] {
                        if let Some(value) = fields.get(name) {
                            texts(value, found);
                        }
                    }
                }
                _ => {}
            }
        }
        let mut found = String::new();
        let body = self.json().unwrap_or_default();
        for name in ["messages", "prompt", "input"] {
            texts(body.get(name).unwrap_or(&Value::Null), &mut found);
        }
        found
    }

    /// The text that was said last: of the last message, or all of `prompt` or `input`.
    pub fn last_text(&self) -> String {
        let body = self.json().unwrap_or_default();
        let last = body
            .get("messages")
            .and_then(Value::as_array)
            .and_then(|messages| messages.last());
        match last.and_then(|message| message.get("content")) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts
                .iter()
                .filter_map(|part| part.get("text")?.as_str())
                .collect(),
            _ => self.prompt(),
        }
    }
}
