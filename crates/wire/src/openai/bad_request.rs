//! Why a request was refused, in OpenAI's words and without a value of the request.

use serde::de::{Deserialize, DeserializeOwned};

use super::error::{ApiError, ErrorBody};
use crate::json::{Strict, check_depth};

/// Longest piece of a caller's field name that is repeated in a message, in characters.
const LONGEST_NAME: usize = 64;
/// Longest `param`, in characters.
const LONGEST_PARAM: usize = 256;

/// A request that is not one: status 400, type `invalid_request_error`.
///
/// Names fields, never values, so that it can be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// For people.
    pub message: String,
    /// The field, such as `messages[2].content`.
    pub param: Option<String>,
    /// For programs, OpenAI's codes where there is one.
    pub code: &'static str,
}

impl BadRequest {
    pub(crate) fn new(
        code: &'static str,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> BadRequest {
        BadRequest {
            message: message.into(),
            param: Some(param.into()),
            code,
        }
    }

    fn of_body(code: &'static str, message: impl Into<String>) -> BadRequest {
        BadRequest {
            message: message.into(),
            param: None,
            code,
        }
    }

    pub(crate) fn unknown(path: &str) -> BadRequest {
        let message = match path.contains(['.', '[']) {
            false => format!("Unrecognized request argument supplied: {path}"),
            true => format!("Unknown parameter: '{path}'."),
        };
        BadRequest::new("unknown_parameter", path, message)
    }

    pub(crate) fn missing(path: &str) -> BadRequest {
        BadRequest::new(
            "missing_required_parameter",
            path,
            format!("Missing required parameter: '{path}'."),
        )
    }

    pub(crate) fn repeated(path: &str) -> BadRequest {
        BadRequest::new(
            "duplicate_parameter",
            path,
            format!("The parameter '{path}' is given twice; send it once."),
        )
    }

    pub(crate) fn opaque(path: &str) -> BadRequest {
        BadRequest::new(
            "invalid_value",
            path,
            format!("Invalid value for '{path}': {}.", crate::json::TWO_MEANINGS),
        )
    }

    /// The body OpenAI's SDKs understand.
    pub fn body(&self) -> ErrorBody {
        ErrorBody::new(
            self.message.clone(),
            "invalid_request_error",
            self.param.clone(),
            Some(self.code),
        )
    }
}

impl From<BadRequest> for ApiError {
    fn from(bad: BadRequest) -> ApiError {
        ApiError {
            status: 400,
            body: bad.body(),
            retry_after: None,
        }
    }
}

/// A field of a variant that is missing, or that belongs to another variant; found while a shape is put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("unknown field `{0}`, expected others")]
    Foreign(&'static str),
}

/// Takes a field that this variant must have.
pub(crate) fn need<T>(name: &'static str, field: &mut Option<T>) -> Result<T, Misfit> {
    field.take().ok_or(Misfit::Missing(name))
}

/// Refuses the first field that is still there after a variant took its own.
pub(crate) fn none_left(fields: &[(&'static str, bool)]) -> Result<(), Misfit> {
    fields
        .iter()
        .find(|(_, left)| *left)
        .map_or(Ok(()), |(name, _)| Err(Misfit::Foreign(name)))
}

/// Parses a body in one pass. Only where that fails, a second pass finds out where.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    let body = bounded(body)?;
    let mut json = serde_json::Deserializer::from_slice(body);
    T::deserialize(Strict(&mut json))
        .and_then(|parsed| json.end().map(|()| parsed))
        .map_err(|first| locate::<T>(body).unwrap_or_else(|| explain("", &first)))
}

/// Parses a shape that borrows from the body and has no places worth naming.
pub(crate) fn parse_flat<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadRequest> {
    serde_json::from_slice(bounded(body)?).map_err(|error| explain("", &error))
}

fn bounded(body: &[u8]) -> Result<&[u8], BadRequest> {
    check_depth(body)
        .map_err(|deep| BadRequest::of_body("json_too_deep", format!("Invalid body: {deep}.")))?;
    // RFC 8259, section 8.1: a parser may ignore a byte order mark.
    Ok(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

#[cold]
fn locate<T: DeserializeOwned>(body: &[u8]) -> Option<BadRequest> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let error = T::deserialize(Strict(serde_path_to_error::Deserializer::new(
        &mut json, &mut track,
    )))
    .err()?;
    let path = match track.path().to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    Some(explain(&path, &error))
}

/// Turns serde's message into ours. Serde quotes the offending value in front of ", expected"; all that is taken over is
/// its kind, a field name, and what this crate itself said was expected.
fn explain(path: &str, error: &serde_json::Error) -> BadRequest {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => {}
        Category::Syntax if error.to_string().starts_with("number out of range") => {
            let path = clipped(path);
            return BadRequest::new(
                "invalid_value",
                path.clone(),
                format!("The number in '{path}' is out of range."),
            );
        }
        _ => {
            return BadRequest::of_body(
                "invalid_json",
                format!(
                    "We could not parse the JSON body of your request (line {}, column {}). The body must be one JSON \
                     object in UTF-8, sent with the header 'Content-Type: application/json'.",
                    error.line(),
                    error.column()
                ),
            );
        }
    }
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    let expected = || {
        text.rsplit_once(", expected ")
            .map_or("something else", |(_, expected)| expected)
    };
    let field = |prefix: &str| {
        text.strip_prefix(prefix)
            .and_then(|rest| rest.split('`').next())
    };

    if text.starts_with("unknown field `") {
        // The path ends with the field already where the key itself was refused.
        let name = field("unknown field `").unwrap_or_default();
        let path = match last_segment(path) == name && !name.is_empty() {
            true => path.to_owned(),
            false => joined(path, name),
        };
        return BadRequest::unknown(&clipped(&path));
    }
    if let Some(name) = field("missing field `") {
        return BadRequest::missing(&clipped(&joined(path, name)));
    }
    if let Some(name) = field("duplicate field `") {
        return BadRequest::repeated(&clipped(&joined(path, name)));
    }
    let path = clipped(path);
    let place = if path.is_empty() {
        "the body".to_owned()
    } else {
        format!("'{path}'")
    };
    let param = (!path.is_empty()).then_some(path);
    let (code, message) = if let Some(got) = text.strip_prefix("invalid type: ") {
        (
            "invalid_type",
            format!(
                "Invalid type for {place}: expected {}, but got {} instead.",
                plain(expected()),
                kind(got)
            ),
        )
    } else if text.starts_with("invalid value: ") {
        (
            "invalid_value",
            format!("Invalid value for {place}: expected {}.", plain(expected())),
        )
    } else if text.starts_with("unknown variant `") {
        (
            "invalid_value",
            format!(
                "Invalid value for {place}: expected {}.",
                expected().replace('`', "'")
            ),
        )
    } else if text.starts_with("invalid length ") {
        ("invalid_value", format!("Invalid length of {place}."))
    } else {
        // Our own messages, which hold no value.
        (
            "invalid_value",
            format!("Invalid value for {place}: {text}."),
        )
    };
    BadRequest {
        message,
        param,
        code,
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A path with nothing in it but short printable names: a caller writes field names too.
fn clipped(path: &str) -> String {
    let mut clipped = String::new();
    for segment in path.split('.') {
        if !clipped.is_empty() {
            clipped.push('.');
        }
        clipped.extend(
            segment
                .chars()
                .filter(|c| c.is_ascii_graphic())
                .take(LONGEST_NAME),
        );
    }
    clipped.chars().take(LONGEST_PARAM).collect()
}

/// What serde says it got, without the value.
fn kind(got: &str) -> &'static str {
    const KINDS: [(&str, &str); 8] = [
        ("string", "a string"),
        ("integer", "an integer"),
        ("floating point", "a decimal"),
        ("boolean", "a boolean"),
        ("null", "null"),
        ("sequence", "an array"),
        ("map", "an object"),
        ("character", "a string"),
    ];
    KINDS
        .iter()
        .find(|(start, _)| got.starts_with(start))
        .map_or("another type", |(_, kind)| kind)
}

/// What serde says it expected, without names of Rust types.
fn plain(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a non-negative integer".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "an integer".to_owned(),
        "f32" | "f64" | "a JSON number" => "a number".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.starts_with("enum ") || other == "variant identifier" => {
            "a string".to_owned()
        }
        other => other
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .replace('`', "'"),
    }
}
