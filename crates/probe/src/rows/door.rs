//! Knocking at the gateway with requests written byte by byte, with any credential or none.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::canary::Canary;
use crate::echo::{Echo, Mark, nonces_in};
use crate::row::{Bench, at_once};
use crate::target::RawAnswer;
use crate::verdict::Trouble;

/// How long a gateway may think about a request that it refuses.
const PATIENCE: Duration = Duration::from_secs(3);
/// Connections at once.
const WIDTH: usize = 8;

/// A request as it will be written.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) method: &'static str,
    /// The target as it stands in the first line.
    pub(super) target: String,
    /// The value of `Host`.
    pub(super) host: String,
    /// Further header lines without their ends.
    pub(super) lines: Vec<String>,
    /// JSON.
    pub(super) body: Option<Value>,
}

impl Letter {
    /// A chat call without a credential.
    pub(super) fn chat(bench: &Bench, text: &str) -> Letter {
        Letter {
            method: "POST",
            body: Some(bench.b.chat_body(text)),
            ..Letter::get(bench, "/v1/chat/completions")
        }
    }

    /// A `GET` without a credential.
    pub(super) fn get(bench: &Bench, path: &str) -> Letter {
        Letter {
            method: "GET",
            target: bench.dial.path(path),
            host: bench.dial.authority(),
            lines: Vec::new(),
            body: None,
        }
    }

    /// With one more header line.
    #[must_use]
    pub(super) fn line(mut self, line: impl Into<String>) -> Letter {
        self.lines.push(line.into());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method, self.target, self.host
        );
        let body = self.body.as_ref().map(Value::to_string);
        if let Some(body) = &body {
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        for line in &self.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(&body.unwrap_or_default());
        text.into_bytes()
    }
}

/// What became of a request.
#[derive(Debug, Clone)]
pub(super) struct Knock {
    /// HTTP status; 0 where the connection was closed without an answer, or none came in time.
    pub(super) status: u16,
    /// Head and body of the answer.
    pub(super) text: String,
    /// Whether it reached the upstream.
    pub(super) arrived: bool,
}

impl Knock {
    fn new(answer: Option<RawAnswer>, arrived: bool) -> Knock {
        let (status, text) = match answer {
            None => (0, String::new()),
            Some(answer) => (
                answer.status(),
                format!(
                    "{}{}",
                    String::from_utf8_lossy(&answer.head.raw),
                    String::from_utf8_lossy(&answer.body)
                ),
            ),
        };
        Knock {
            status,
            text,
            arrived,
        }
    }

    /// Whether the status is 2xx.
    pub(super) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the gateway let the call through to a model, or answered for one.
    pub(super) fn is_served(&self) -> bool {
        self.arrived || self.is_ok() || !nonces_in(&self.text).is_empty()
    }
}

/// Sends one letter on a connection of its own. Closing without a word, or saying none, is a way to refuse.
async fn sent(
    bench: &Bench,
    echo: &Echo,
    mark: Mark,
    letter: &Letter,
    marker: &Canary,
) -> Result<Knock, Trouble> {
    let bytes = letter.bytes();
    let exchange = bench.dial.exchange(letter.method, &bytes);
    let answer = match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(Trouble::Connection(_) | Trouble::TimedOut)) | Err(_) => None,
        Ok(Err(trouble)) => return Err(trouble),
    };
    let arrived = !echo.requests_with(mark, marker.text()).is_empty();
    Ok(Knock::new(answer, arrived))
}

/// Sends these letters, several at once. The marker of each stands somewhere in it.
pub(super) async fn knock(
    bench: &Bench,
    letters: &[(Letter, Canary)],
) -> Result<Vec<Knock>, Trouble> {
    let echo = bench.echo()?;
    let mark = echo.mark();
    let mut work = Vec::new();
    for (letter, marker) in letters {
        work.push(sent(bench, echo, mark, letter, marker));
    }
    at_once(WIDTH, work).await.into_iter().collect()
}

/// Shows each token, named by how it was made, at the door; gives what became of each, and of those that were let in how they
/// were made.
///
/// # Errors
/// Trouble on the way.
pub(super) async fn show_tokens(
    bench: &Bench,
    tokens: &[(String, String)],
) -> Result<(Vec<Knock>, Vec<String>), Trouble> {
    let mut letters = Vec::new();
    for (_, token) in tokens {
        letters.push(chat_with(
            bench,
            &[format!("Authorization: Bearer {token}")],
        ));
    }
    let knocks = knock(bench, &letters).await?;
    let served = knocks
        .iter()
        .zip(tokens)
        .filter(|(knock, _)| knock.is_served());
    let let_in = served
        .map(|(knock, (how, _))| format!("{how} was let in ({})", knock.status))
        .collect();
    Ok((knocks, let_in))
}

/// A chat call with these header lines for a credential, and its marker.
pub(super) fn chat_with(bench: &Bench, lines: &[String]) -> (Letter, Canary) {
    let marker = bench.canary();
    let mut letter = Letter::chat(bench, &format!("Hello {marker}"));
    letter.lines.extend_from_slice(lines);
    (letter, marker)
}

/// One chat call with this credential, as `Authorization: Bearer …`.
pub(super) async fn try_key(bench: &Bench, credential: &str) -> Result<Knock, Trouble> {
    let letter = chat_with(bench, &[format!("Authorization: Bearer {credential}")]);
    let knocked = knock(bench, &[letter]).await?.into_iter().next();
    knocked.ok_or_else(|| Trouble::Unexpected("nothing was sent".to_owned()))
}

/// How often each status came, for people.
pub(super) fn statuses(knocks: &[Knock]) -> String {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for knock in knocks {
        *counts.entry(knock.status).or_default() += 1;
    }
    let shown: Vec<String> = counts
        .into_iter()
        .map(|(status, count)| match status {
            0 => format!("{count} closed or not answered"),
            status => format!("{count} × {status}"),
        })
        .collect();
    shown.join(", ")
}
