//! What the target answered.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::echo;

/// One answer that came whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// From sending to the first byte of the body, or its end where it is empty.
    pub first: Duration,
    /// From sending to the last byte.
    pub whole: Duration,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What a chat, a completion, a response or a message says; empty where the body is something else.
    pub fn said(&self) -> String {
        let body = self.json();
        [
            "/choices/0/message/content",
            "/choices/0/text",
            "/output/0/content/0/text",
            "/content/0/text",
        ]
        .iter()
        .find_map(|place| body.pointer(place)?.as_str())
        .unwrap_or_default()
        .to_owned()
    }

    /// The nonces of the echo upstream anywhere in this answer, headers and embeddings too. More than one is a find.
    pub fn nonces(&self) -> Vec<String> {
        let mut text = self.body_text();
        for value in self.headers.values() {
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        let mut found = echo::nonces_in(&text);
        let data = self.json();
        for item in data
            .get("data")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let numbers = item.get("embedding").and_then(Value::as_array);
            let numbers: Option<Vec<f64>> =
                numbers.map(|all| all.iter().filter_map(Value::as_f64).collect());
            let nonce = numbers.and_then(|numbers| echo::embedded_nonce(&numbers));
            found.extend(nonce.filter(|nonce| !found.contains(nonce)));
        }
        found
    }

    /// The values of a header line of that name, joined by commas.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<String> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Status and the beginning of the body, for people.
    pub fn brief(&self) -> String {
        let text: String = self.body_text().chars().take(200).collect();
        format!("{} {}", self.status, text.replace(['\r', '\n'], " "))
    }
}
