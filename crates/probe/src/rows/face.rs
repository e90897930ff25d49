//! How a tenant looks to the upstream.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::echo::{Echo, Recorded};
use crate::row::Bench;
use crate::target::Client;
use crate::verdict::Trouble;

/// Plain calls that show which lines are always the same.
pub(super) const PLAIN: usize = 3;
/// Lines of the connection, which may differ from call to call.
const OF_THE_CONNECTION: [&str; 4] = [
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
];

/// Before the names of fields of the body; no header line's name has a blank.
pub(super) const OF_BODY: &str = "field ";

/// What the upstream is told beside the prompt when a tenant calls.
pub(super) struct Face {
    /// Plain calls that arrived exactly once.
    pub(super) calls: usize,
    /// Name in lower case, and the values of the lines of that name: those that were the same each time.
    pub(super) lines: BTreeMap<String, Vec<String>>,
}

impl Face {
    pub(super) async fn seen(bench: &Bench, echo: &Echo, who: &Client) -> Result<Face, Trouble> {
        let mut face: Option<Face> = None;
        for _ in 0..PLAIN {
            let arrived = call(bench, echo, who, &[]).await?;
            let [request] = arrived.as_slice() else {
                continue;
            };
            let lines = by_name(request);
            match &mut face {
                None => face = Some(Face { calls: 1, lines }),
                Some(face) => {
                    face.calls += 1;
                    face.lines
                        .retain(|name, values| lines.get(name) == Some(values));
                }
            }
        }
        Ok(face.unwrap_or(Face {
            calls: 0,
            lines: BTreeMap::new(),
        }))
    }

    /// Names and values that tell this tenant from the other.
    pub(super) fn beyond(&self, other: &Face) -> Vec<(String, String)> {
        let differ = self
            .lines
            .iter()
            .filter(|(name, values)| other.lines.get(*name) != Some(values));
        differ
            .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())))
            .collect()
    }

    /// What is wrong with a request that should look like this face.
    pub(super) fn wrong_in(
        &self,
        request: &Recorded,
        spoofed: &str,
        only_a: &[(String, String)],
    ) -> Option<String> {
        let lines = by_name(request);
        for (name, values) in &lines {
            // a field that is merely handed on says nothing about the caller to whoever does not know it
            if !name.starts_with(OF_BODY) && values.iter().any(|value| value.contains(spoofed)) {
                return Some(format!(
                    "the upstream was given the client's value in {name}"
                ));
            }
            if values
                .iter()
                .any(|value| only_a.iter().any(|(of, held)| of == name && held == value))
            {
                return Some(format!("the upstream was given A's value in {name}"));
            }
        }
        let changed = self
            .lines
            .iter()
            .find(|(name, values)| lines.get(*name) != Some(values));
        changed.map(|(name, values)| match lines.get(name) {
            None => format!("{name} is missing at the upstream"),
            Some(now) => format!(
                "{name} stands {} times at the upstream, not {}, or says something else",
                now.len(),
                values.len()
            ),
        })
    }
}

/// Header lines, and the fields of the body that are no prompt.
fn by_name(request: &Recorded) -> BTreeMap<String, Vec<String>> {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let body = request.json().unwrap_or_default();
    for (name, value) in body.as_object().into_iter().flatten() {
        if value.is_string() {
            let text = value.as_str().unwrap_or_default().to_owned();
            lines
                .entry(format!("{OF_BODY}{name}"))
                .or_default()
                .push(text);
        }
    }
    for (name, value) in &request.head.lines {
        // an underscore is a dash to whoever reads headers from an environment
        let name = name.trim().to_ascii_lowercase().replace('_', "-");
        if !OF_THE_CONNECTION.contains(&name.as_str()) {
            lines.entry(name).or_default().push(value.clone());
        }
    }
    lines
}

/// One raw chat call with these lines; what reached the upstream of it.
pub(super) async fn call(
    bench: &Bench,
    echo: &Echo,
    who: &Client,
    lines: &[String],
) -> Result<Vec<Arc<Recorded>>, Trouble> {
    send(bench, echo, who, lines, &Value::Null).await
}

/// One raw chat call with these fields in its body; what reached the upstream of it.
pub(super) async fn call_with(
    bench: &Bench,
    echo: &Echo,
    who: &Client,
    fields: &Value,
) -> Result<Vec<Arc<Recorded>>, Trouble> {
    send(bench, echo, who, &[], fields).await
}

async fn send(
    bench: &Bench,
    echo: &Echo,
    who: &Client,
    lines: &[String],
    fields: &Value,
) -> Result<Vec<Arc<Recorded>>, Trouble> {
    let (marker, mark) = (bench.canary(), echo.mark());
    let body = who.chat_body_with(&format!("Hello {marker}"), fields);
    let bytes = bench.dial.post(who, "/v1/chat/completions", lines, &body);
    match bench.dial.exchange("POST", &bytes).await {
        // closing without a word is a way to refuse
        Ok(_) | Err(Trouble::Connection(_)) => Ok(echo.requests_with(mark, marker.text())),
        Err(trouble) => Err(trouble),
    }
}
