//! From an OpenAI request to what a cell is asked.

use std::collections::BTreeMap;

use serde_json::Value;
use wire::{
    cell::{Prompt, Sampling},
    json::{Pairs, TextOr},
    openai::{
        Input,
        chat::{ChatParams, Stop, ToolChoice},
        completions::CompletionParams,
        error::ApiError,
    },
};

use crate::upstream::Fault;

/// The conversation of a chat request, and how to continue it.
///
/// # Errors
/// 400 for what the built-in engine cannot do; it does nothing by halves.
pub(super) fn chat(params: &ChatParams, max_output: u32) -> Result<(Prompt, Sampling), Fault> {
    let asked_for = [
        ("n", params.n.is_some_and(|choices| choices != 1)),
        ("functions", params.functions.is_some()),
        ("function_call", params.function_call.is_some()),
        ("audio", params.audio.is_some()),
        ("web_search_options", params.web_search_options.is_some()),
        ("prediction", params.prediction.is_some()),
        (
            "response_format",
            params
                .response_format
                .as_ref()
                .is_some_and(|format| !is_text(format)),
        ),
        (
            "tool_choice",
            params
                .tool_choice
                .as_ref()
                .is_some_and(|choice| !is_auto_or_none(choice)),
        ),
    ];
    supported(&asked_for)?;
    let tools = match &params.tools {
        Some(tools) if !params.tool_choice.as_ref().is_some_and(is_none) => values(tools)?,
        _ => Vec::new(),
    };
    let messages = values(&params.messages)?
        .into_iter()
        .map(message)
        .collect::<Result<_, _>>()?;
    let sampling = Sampling {
        max_tokens: Some(max_output),
        temperature: narrow(params.temperature, 1.0),
        top_p: narrow(params.top_p, 1.0),
        seed: params.seed.map(i64::cast_unsigned),
        stop: stops(params.stop.as_ref()),
        logprobs: (params.logprobs == Some(true))
            .then(|| at_most_20(params.top_logprobs.unwrap_or_default())),
        frequency_penalty: narrow(params.frequency_penalty, 0.0),
        presence_penalty: narrow(params.presence_penalty, 0.0),
        logit_bias: biases(params.logit_bias.as_ref())?,
    };
    Ok((Prompt::Chat { messages, tools }, sampling))
}

/// The text to continue, and how.
///
/// # Errors
/// 400 for what the built-in engine cannot do; it does nothing by halves.
pub(super) fn completion(
    params: &CompletionParams,
    max_output: u32,
) -> Result<(Prompt, Sampling), Fault> {
    let asked_for = [
        ("n", params.n.is_some_and(|choices| choices != 1)),
        (
            "best_of",
            params.best_of.is_some_and(|choices| choices != 1),
        ),
        ("echo", params.echo == Some(true)),
        ("suffix", params.suffix.is_some()),
    ];
    supported(&asked_for)?;
    let text = match &params.prompt {
        Input::Text(text) => text,
        Input::Texts(texts) => match texts.as_slice() {
            [text] => text,
            _ => return Err(unsupported("prompt")),
        },
        Input::Tokens(_) | Input::TokenLists(_) => return Err(unsupported("prompt")),
    };
    let sampling = Sampling {
        max_tokens: Some(max_output),
        temperature: narrow(params.temperature, 1.0),
        top_p: narrow(params.top_p, 1.0),
        seed: params.seed.map(i64::cast_unsigned),
        stop: stops(params.stop.as_ref()),
        logprobs: params.logprobs.map(at_most_20),
        frequency_penalty: narrow(params.frequency_penalty, 0.0),
        presence_penalty: narrow(params.presence_penalty, 0.0),
        logit_bias: biases(params.logit_bias.as_ref())?,
    };
    Ok((Prompt::Raw(text.clone()), sampling))
}

fn supported(asked_for: &[(&'static str, bool)]) -> Result<(), Fault> {
    match asked_for.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(unsupported(field)),
        None => Ok(()),
    }
}

fn unsupported(field: &str) -> Fault {
    let mut error = ApiError::new(
        400,
        "unsupported_parameter",
        format!(
            "This model does not support this value of '{field}'. Leave it out, or use another model."
        ),
    );
    error.body.error.param = Some(field.to_owned());
    Fault::refused(error)
}

/// The JSON of a list, as the engine's templates see it.
fn values<T: serde::Serialize>(list: &[T]) -> Result<Vec<Value>, Fault> {
    list.iter()
        .map(|item| serde_json::to_value(item).map_err(|_| Fault::Unreadable))
        .collect()
}

/// Chat templates of text models know plain texts and four roles.
fn message(mut message: Value) -> Result<Value, Fault> {
    if let Some(content) = message
        .get_mut("content")
        .filter(|content| content.is_array())
    {
        let texts: Option<String> = content
            .as_array()
            .into_iter()
            .flatten()
            .map(|part| {
                part.get("text")
                    .or_else(|| part.get("refusal"))
                    .and_then(Value::as_str)
            })
            .collect();
        *content = Value::String(texts.ok_or_else(|| unsupported("messages"))?);
    }
    match message.get("role").and_then(Value::as_str) {
        Some("developer") => {
            if let Some(role) = message.get_mut("role") {
                *role = Value::from("system");
            }
            Ok(message)
        }
        Some("function") => Err(unsupported("messages")),
        _ => Ok(message),
    }
}

fn is_text(format: &wire::openai::chat::ResponseFormat) -> bool {
    matches!(format, wire::openai::chat::ResponseFormat::Text)
}

fn is_none(choice: &ToolChoice) -> bool {
    matches!(choice, TextOr::Text(text) if text == "none")
}

fn is_auto_or_none(choice: &ToolChoice) -> bool {
    matches!(choice, TextOr::Text(text) if text == "auto" || text == "none")
}

fn stops(stop: Option<&Stop>) -> Vec<String> {
    match stop {
        None => Vec::new(),
        Some(TextOr::Text(text)) => vec![text.clone()],
        Some(TextOr::Other(texts)) => texts.clone(),
    }
}

fn biases(biases: Option<&Pairs<serde_json::Number>>) -> Result<BTreeMap<u32, f32>, Fault> {
    biases
        .into_iter()
        .flat_map(Pairs::iter)
        .map(|(token, bias)| {
            Ok((
                token.parse().map_err(|_| unsupported("logit_bias"))?,
                narrow(bias.as_f64(), 0.0),
            ))
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "sampling settings are small numbers, checked when they were parsed"
)]
fn narrow(number: Option<f64>, otherwise: f32) -> f32 {
    number.map_or(otherwise, |number| number as f32)
}

fn at_most_20(wanted: u32) -> u8 {
    u8::try_from(wanted.min(20)).unwrap_or(20)
}
