//! Bounds of fields, refused in OpenAI's words and with its codes.

use std::fmt::Display;

use super::BadRequest;

/// Refuses a decimal outside `low..=high`.
pub(crate) fn decimal(
    param: &str,
    value: Option<f64>,
    low: f64,
    high: f64,
) -> Result<(), BadRequest> {
    match value {
        Some(value) if value < low => Err(edge(
            "decimal_below_min_value",
            param,
            "decimal below minimum",
            ">=",
            low,
        )),
        Some(value) if value > high => Err(edge(
            "decimal_above_max_value",
            param,
            "decimal above maximum",
            "<=",
            high,
        )),
        _ => Ok(()),
    }
}

/// Refuses an integer outside `low..=high`.
pub(crate) fn integer(
    param: &str,
    value: Option<u32>,
    low: u32,
    high: u32,
) -> Result<(), BadRequest> {
    match value {
        Some(value) if value < low => Err(edge(
            "integer_below_min_value",
            param,
            "integer below minimum",
            ">=",
            low,
        )),
        Some(value) if value > high => Err(edge(
            "integer_above_max_value",
            param,
            "integer above maximum",
            "<=",
            high,
        )),
        _ => Ok(()),
    }
}

fn edge(
    code: &'static str,
    param: &str,
    what: &str,
    relation: &str,
    bound: impl Display,
) -> BadRequest {
    BadRequest::new(
        code,
        param,
        format!("Invalid '{param}': {what} value. Expected a value {relation} {bound}."),
    )
}

/// Refuses a bias of something that is not a token number, or outside -100 to 100.
pub(crate) fn bias(token: &str, bias: Option<f64>) -> Result<(), BadRequest> {
    if token.is_empty() || token.len() > 10 || !token.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadRequest::new(
            "invalid_value",
            "logit_bias",
            "Invalid key in 'logit_bias': expected token numbers.",
        ));
    }
    decimal("logit_bias", bias, -100.0, 100.0)
}

/// Refuses a list with fewer than `least` or more than `most` items.
pub(crate) fn items(
    param: &str,
    items: usize,
    least: usize,
    most: usize,
) -> Result<(), BadRequest> {
    let (code, wrong) = match items {
        few if few < least => (
            "array_below_min_length",
            format!("too short. Expected at least {least} items"),
        ),
        many if many > most => (
            "array_above_max_length",
            format!("too long. Expected at most {most} items"),
        ),
        _ => return Ok(()),
    };
    Err(BadRequest::new(
        code,
        param,
        format!("Invalid '{param}': array {wrong}, but got {items}."),
    ))
}

/// Refuses a string of more than `most` characters.
pub(crate) fn length(param: &str, text: Option<&str>, most: usize) -> Result<(), BadRequest> {
    match text {
        Some(text) if text.len() > most && text.chars().count() > most => Err(BadRequest::new(
            "string_above_max_length",
            param,
            format!("Invalid '{param}': string too long. Expected at most {most} characters."),
        )),
        _ => Ok(()),
    }
}

/// Refuses an empty string.
pub(crate) fn filled(param: &str, text: &str) -> Result<(), BadRequest> {
    match text.is_empty() {
        true => Err(BadRequest::new(
            "invalid_value",
            param,
            format!("Invalid '{param}': empty string."),
        )),
        false => Ok(()),
    }
}

/// Refuses a function name that is not `[a-zA-Z0-9_-]{1,64}`.
pub(crate) fn function_name(param: &str, name: &str) -> Result<(), BadRequest> {
    length(param, Some(name), 64)?;
    let good = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    good.then_some(()).ok_or_else(|| {
        BadRequest::new(
            "invalid_value",
            param,
            format!("Invalid '{param}': expected letters, digits, underscores and dashes only."),
        )
    })
}

/// Refuses a participant name that chat templates could take for a role mark: whitespace, `<`, `|`, `\`, `/`, `>`.
pub(crate) fn participant_name(param: &str, name: &str) -> Result<(), BadRequest> {
    length(param, Some(name), 64)?;
    let bad =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '|' | '\\' | '/' | '>');
    match name.is_empty() || name.contains(bad) {
        true => Err(BadRequest::new(
            "invalid_value",
            param,
            format!(
                "Invalid '{param}': expected a name without whitespace and without any of <|\\/>."
            ),
        )),
        false => Ok(()),
    }
}

/// Refuses a value this gateway does not support, with the reason.
pub(crate) fn unsupported(param: &str, reason: &str) -> BadRequest {
    BadRequest::new(
        "unsupported_value",
        param,
        format!("Unsupported value for '{param}': {reason}"),
    )
}

/// Refuses two fields that do not go together.
pub(crate) fn together(param: &str, bad: bool, reason: &str) -> Result<(), BadRequest> {
    if bad {
        Err(BadRequest::new("unsupported_combination", param, reason))
    } else {
        Ok(())
    }
}
