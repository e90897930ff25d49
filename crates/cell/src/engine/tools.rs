//! Tool calls in an answer: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, found as the text streams by.
//!
//! Text that could be the beginning of a call is held back until it is one or is not. What turns out not to be a valid
//! call is passed on as the text it is; nothing the model said is lost, and no half of a call is ever shown as text.

use serde_json::Value;
use wire::cell::ToolCall;

/// Begins a call.
pub const OPEN: &str = "<tool_call>";
/// Ends a call.
pub const CLOSE: &str = "</tool_call>";
/// Longest call taken seriously, in bytes; a longer one is text.
const MAX_CALL: usize = 256 << 10;

/// Whether a token's text is one of the call markers.
#[must_use]
pub fn is_marker(text: &str) -> bool {
    text == OPEN || text == CLOSE
}

/// Splits streamed text into text and calls.
#[derive(Default)]
pub struct ToolParser {
    held: String,
    inside: bool,
    called: bool,
}

/// What became certain.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// Text to show.
    pub text: String,
    /// Complete calls.
    pub calls: Vec<ToolCall>,
}

impl ToolParser {
    /// Takes the next piece of the answer.
    pub fn push(&mut self, text: &str) -> Parsed {
        self.held.push_str(text);
        let mut parsed = Parsed::default();
        loop {
            if self.inside {
                let Some(end) = self.held.find(CLOSE) else {
                    if self.held.len() > MAX_CALL {
                        self.give_up(&mut parsed);
                    }
                    return parsed;
                };
                let body: String = self.held.drain(..end + CLOSE.len()).collect();
                let call = body
                    .strip_prefix(OPEN)
                    .and_then(|body| body.strip_suffix(CLOSE))
                    .and_then(parse);
                self.inside = false;
                match call {
                    Some(call) => {
                        self.called = true;
                        parsed.calls.push(call);
                    }
                    None => parsed.text.push_str(&body),
                }
            } else if let Some(start) = self.held.find(OPEN) {
                let before: String = self.held.drain(..start).collect();
                // the line break before a call is layout, not answer
                parsed.text.push_str(before.trim_end());
                self.inside = true;
            } else {
                let keep = held_back(&self.held, self.called);
                parsed.text.extend(self.held.drain(..keep));
                return parsed;
            }
        }
    }

    /// The answer ended: whatever is held is decided now.
    pub fn finish(&mut self) -> Parsed {
        let mut parsed = Parsed::default();
        if self.inside {
            // a model may end its turn where the closing marker belongs
            match self.held.strip_prefix(OPEN).and_then(parse) {
                Some(call) => {
                    self.called = true;
                    parsed.calls.push(call);
                    self.held.clear();
                }
                None => self.give_up(&mut parsed),
            }
        } else if !(self.called && self.held.trim().is_empty()) {
            parsed.text.push_str(&self.held);
        }
        self.held.clear();
        parsed
    }

    /// Whether any call was found.
    #[must_use]
    pub fn called(&self) -> bool {
        self.called
    }

    fn give_up(&mut self, parsed: &mut Parsed) {
        parsed.text.push_str(&self.held);
        self.held.clear();
        self.inside = false;
    }
}

/// Bytes of `text` that can be shown now: not a tail that may begin a marker, not space that may stand before one.
fn held_back(text: &str, called: bool) -> usize {
    let tail = (1..OPEN.len())
        .rev()
        .filter_map(|length| OPEN.get(..length))
        .find(|start| text.ends_with(start))
        .map_or(0, str::len);
    let certain = text.get(..text.len() - tail).unwrap_or_default();
    let shown = certain.trim_end().len();
    if called && shown == 0 { 0 } else { shown }
}

fn parse(body: &str) -> Option<ToolCall> {
    let call: Value = serde_json::from_str(body.trim()).ok()?;
    let name = call.get("name")?.as_str()?;
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        Some(arguments @ Value::Object(_)) => arguments.to_string(),
        Some(Value::String(text))
            if serde_json::from_str::<Value>(text).is_ok_and(|v| v.is_object()) =>
        {
            text.clone()
        }
        None => "{}".to_owned(),
        Some(_) => return None,
    };
    Some(ToolCall {
        name: name.to_owned(),
        arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `answer` in pieces of every size and checks that the result is always the same.
    fn check(answer: &str, text: &str, calls: &[(&str, &str)]) {
        for size in 1..=answer.len() {
            let mut parser = ToolParser::default();
            let mut whole = Parsed::default();
            let chars: Vec<char> = answer.chars().collect();
            let pieces = chars
                .chunks(size)
                .map(|piece| piece.iter().collect::<String>());
            for parsed in pieces.map(|piece| parser.push(&piece)).collect::<Vec<_>>() {
                whole.text.push_str(&parsed.text);
                whole.calls.extend(parsed.calls);
            }
            let last = parser.finish();
            whole.text.push_str(&last.text);
            whole.calls.extend(last.calls);
            let found: Vec<_> = whole
                .calls
                .iter()
                .map(|c| (c.name.as_str(), c.arguments.as_str()))
                .collect();
            assert_eq!(
                (whole.text.as_str(), found.as_slice()),
                (text, calls),
                "{answer:?} in pieces of {size}"
            );
            assert_eq!(parser.called(), !calls.is_empty());
        }
    }

    #[test]
    fn calls_are_found_at_every_cut_and_nothing_else_is_lost() {
        let weather = r#"<tool_call>
{"name": "weather", "arguments": {"city": "Oslo"}}
</tool_call>"#;
        let expected = ("weather", r#"{"city":"Oslo"}"#);
        check(weather, "", &[expected]);
        check(
            &format!("Let me see.\n{weather}\n{weather}"),
            "Let me see.",
            &[expected, expected],
        );
        check(&format!("{weather} and so on"), " and so on", &[expected]);
        check("no call < here <tool", "no call < here <tool", &[]);
        check("ends with space \n", "ends with space \n", &[]);
        check(
            "<tool_call>not json</tool_call>!",
            "<tool_call>not json</tool_call>!",
            &[],
        );
        check(
            "<tool_call>{\"name\": 3}</tool_call>",
            "<tool_call>{\"name\": 3}</tool_call>",
            &[],
        );
        check("<tool_call>{\"name\": \"now\"}", "", &[("now", "{}")]);
        check(
            "<tool_call>{\"name\": \"no",
            "<tool_call>{\"name\": \"no",
            &[],
        );
        check(
            r#"<tool_call>{"name":"f","arguments":"{\"a\":1}"}</tool_call>"#,
            "",
            &[("f", r#"{"a":1}"#)],
        );
    }
}
