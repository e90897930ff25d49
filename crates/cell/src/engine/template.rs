//! The model's own chat template, and why a message cannot forge one.
//!
//! A template writes the conversation down with special tokens between the messages (`<|im_start|>user\n…`). If a
//! message's own text were searched for special tokens too, a caller could close its message and speak as the system.
//! So before rendering, every string a caller wrote gets an invisible *guard* (a Unicode noncharacter that occurs
//! nowhere in the request) behind each character that any special token begins with. The rendered text then contains
//! special tokens only where the template itself wrote them, whatever the template did with the strings in between; the
//! guards are taken out before the plain stretches are cut into tokens, so an honest message costs the same ids as ever.
//!
//! One consequence: a template that looks for a marker inside a message (`'</think>' in message.content`) does not find
//! it. That is the point.

use minijinja::value::{Kwargs, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::{Map, Value};
use wire::cell::FailureKind;

use super::vocabulary::Vocabulary;
use crate::CellError;

/// Instructions a template may run; the longest conversations take some tens of thousands.
const FUEL: u64 = 20_000_000;
const RECURSION: usize = 100;
/// Largest template source and largest rendered prompt, in bytes.
const MAX_SOURCE: usize = 1 << 20;
const MAX_RENDERED: usize = 64 << 20;

/// A parsed chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    tools: bool,
}

/// A rendered prompt, and the guard in it.
pub struct Rendered {
    /// The text, with guards.
    pub text: String,
    /// The character to take out of plain stretches.
    pub guard: char,
}

impl ChatTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// [`CellError::Model`] if it is not a template this engine can run.
    pub fn parse(source: &str) -> Result<Self, CellError> {
        let refuse = || {
            let detail =
                "its chat template cannot be parsed; nothing was loaded; use another model";
            CellError::Model(detail.into())
        };
        if source.len() > MAX_SOURCE {
            return Err(refuse());
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", |_: String| -> Result<String, Error> {
            Err(Error::new(
                ErrorKind::InvalidOperation,
                "raised by the template",
            ))
        });
        environment
            .add_template_owned("chat", source.to_owned())
            .map_err(|_| refuse())?;
        let template = environment.get_template("chat").map_err(|_| refuse())?;
        // the parser of answers knows one way of calling tools, so the template must teach that way
        let tools = template.undeclared_variables(false).contains("tools")
            && source.contains(super::tools::OPEN);
        Ok(Self { environment, tools })
    }

    /// Whether the template tells the model about tools in a way whose answers are understood (`<tool_call>`).
    #[must_use]
    pub fn supports_tools(&self) -> bool {
        self.tools
    }

    /// Writes a conversation down, ready for the assistant's turn.
    ///
    /// # Errors
    /// [`CellError::Failed`]: tools for a template that does not know them, a message that is not one, or a
    /// conversation the template refuses.
    pub fn render(
        &self,
        messages: &[Value],
        tools: &[Value],
        vocabulary: &Vocabulary,
    ) -> Result<Rendered, CellError> {
        if !tools.is_empty() && !self.tools {
            let message = "this model's chat template does not know tools; nothing was generated; send no tools";
            return Err(CellError::failed(FailureKind::ToolsUnsupported, message));
        }
        let guard = ('\u{fdd0}'..='\u{fdef}')
            .find(|c| !messages.iter().chain(tools).any(|value| occurs(value, *c)))
            .ok_or_else(|| invalid("the messages use every noncharacter from U+FDD0 to U+FDEF"))?;
        let guarded = Guarded { guard, vocabulary };
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| guarded.message(message))
            .collect::<Result<_, _>>()?;
        let tools: Option<Vec<Value>> =
            (!tools.is_empty()).then(|| tools.iter().map(|tool| guarded.value(tool)).collect());
        let (bos, eos) = vocabulary.bos_eos();
        let context = minijinja::context! {
            messages => Jinja::from_serialize(&messages),
            tools => tools.map(|tools| Jinja::from_serialize(&tools)),
            add_generation_prompt => true,
            bos_token => bos,
            eos_token => eos,
        };
        let template = self
            .environment
            .get_template("chat")
            .map_err(|_| invalid("the chat template is gone"))?;
        let mut text = Bounded(Vec::new());
        template
            .render_captured_to(context, &mut text)
            .map_err(|error| {
                // the error's own text may quote a message
                invalid(&format!(
                    "the model's chat template refuses this conversation ({})",
                    error.kind()
                ))
            })?;
        let text = String::from_utf8(text.0)
            .map_err(|_| invalid("the chat template wrote broken text"))?;
        Ok(Rendered { text, guard })
    }
}

fn invalid(detail: &str) -> CellError {
    let message =
        format!("{detail}; nothing was generated; check the order and roles of the messages");
    CellError::failed(FailureKind::InvalidRequest, message)
}

fn occurs(value: &Value, c: char) -> bool {
    match value {
        Value::String(text) => text.contains(c),
        Value::Array(items) => items.iter().any(|item| occurs(item, c)),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains(c) || occurs(value, c)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Puts guards into what callers wrote.
struct Guarded<'a> {
    guard: char,
    vocabulary: &'a Vocabulary,
}

impl Guarded<'_> {
    fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            out.push(c);
            if self.vocabulary.begins_special(c) {
                out.push(self.guard);
            }
        }
        out
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, value)| (self.text(key), self.value(value)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// One OpenAI message in the shape templates expect: a known role, text content, arguments as objects.
    fn message(&self, message: &Value) -> Result<Value, CellError> {
        let fields = message
            .as_object()
            .ok_or_else(|| invalid("a message is not an object"))?;
        let role = match fields.get("role").and_then(Value::as_str) {
            Some("system" | "developer") => "system",
            Some("user") => "user",
            Some("assistant") => "assistant",
            Some("tool" | "function") => "tool",
            _ => return Err(invalid("a message has no known role")),
        };
        let mut out = Map::new();
        out.insert("role".into(), role.into());
        out.insert(
            "content".into(),
            self.text(&content(fields.get("content"))?).into(),
        );
        for key in ["name", "tool_call_id"] {
            if let Some(text) = fields.get(key).and_then(Value::as_str) {
                out.insert(key.into(), self.text(text).into());
            }
        }
        if let Some(calls) = fields.get("tool_calls").and_then(Value::as_array)
            && !calls.is_empty()
        {
            out.insert(
                "tool_calls".into(),
                calls.iter().map(|call| self.call(call)).collect(),
            );
        }
        Ok(Value::Object(out))
    }

    fn call(&self, call: &Value) -> Value {
        let mut call = self.value(call);
        if let Some(arguments) = call.pointer_mut("/function/arguments")
            && let Some(object) = arguments.as_str().map(|text| text.replace(self.guard, ""))
            && let Ok(object @ Value::Object(_)) = serde_json::from_str::<Value>(&object)
        {
            *arguments = self.value(&object);
        }
        call
    }
}

/// The text of a message's content: a string, text parts one after the other, or nothing.
fn content(content: Option<&Value>) -> Result<String, CellError> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| {
                let kind = part.get("type").and_then(Value::as_str);
                match (kind, part.get("text").and_then(Value::as_str)) {
                    (Some("text") | None, Some(text)) => Ok(text),
                    (Some("refusal"), _) => Ok(part
                        .get("refusal")
                        .and_then(Value::as_str)
                        .unwrap_or_default()),
                    _ => Err(invalid("a message has content that is not text")),
                }
            })
            .collect(),
        Some(_) => Err(invalid("a message's content is neither text nor parts")),
    }
}

/// `tojson` as model templates were written for: Python's `json.dumps` spacing, nothing escaped for HTML.
fn to_json(value: &Jinja, options: Kwargs) -> Result<Jinja, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // others (ensure_ascii, sort_keys) change nothing that matters here
    let _ = (
        options.get::<Option<bool>>("ensure_ascii")?,
        options.get::<Option<bool>>("sort_keys")?,
    );
    options.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        Some(width) => {
            let spaces = vec![b' '; width.min(16)];
            let format = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            serde::Serialize::serialize(
                value,
                &mut serde_json::Serializer::with_formatter(&mut out, format),
            )
        }
        None => serde::Serialize::serialize(
            value,
            &mut serde_json::Serializer::with_formatter(&mut out, Spaced),
        ),
    };
    written.map_err(|_| Error::new(ErrorKind::BadSerialization, "not JSON"))?;
    String::from_utf8(out)
        .map(Jinja::from_safe_string)
        .map_err(|_| Error::new(ErrorKind::BadSerialization, "not text"))
}

/// `, ` and `: `, as Python writes them.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// Collects what a template writes and stops it at [`MAX_RENDERED`].
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
