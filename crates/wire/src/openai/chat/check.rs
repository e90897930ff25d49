//! Bounds of a chat request.

use super::message::{AssistantMessage, Content, Message, ToolCall};
use super::options::{ResponseFormat, ServiceTier};
use super::part::Part;
use super::request::{
    ChatParams, MAX_CHOICES, MAX_MESSAGES, MAX_PARTS, MAX_STOPS, MAX_TOOL_CALLS, MAX_TOOLS,
};
use super::tools::{Function, Tool, ToolChoiceObject};
use crate::json::TextOr;
use crate::openai::check::{
    bias as bias_of, decimal, filled, function_name, integer, items, length, participant_name,
    together, unsupported,
};
use crate::openai::{BadRequest, link};

/// Why `store` is refused.
pub(crate) const NO_STORE: &str = "this gateway keeps no content and lets no model server keep it. Send 'store': false or leave it out.";

/// Refuses whatever is out of its bounds.
pub(super) fn check(params: &ChatParams) -> Result<(), BadRequest> {
    filled("model", &params.model)?;
    length("model", Some(&params.model), 256)?;
    items("messages", params.messages.len(), 1, MAX_MESSAGES)?;
    params
        .messages
        .iter()
        .enumerate()
        .try_for_each(|(at, message)| check_message(at, message))?;
    numbers(params)?;
    combinations(params)?;
    if let Some(TextOr::Other(stops)) = &params.stop {
        items("stop", stops.len(), 0, MAX_STOPS)?;
    }
    if let Some(modalities) = &params.modalities {
        items("modalities", modalities.len(), 1, 2)?;
    }
    if let Some(ResponseFormat::JsonSchema { json_schema }) = &params.response_format {
        function_name("response_format.json_schema.name", &json_schema.name)?;
    }
    if params
        .audio
        .as_ref()
        .is_some_and(|audio| matches!(audio.voice, TextOr::Other(_)))
    {
        return Err(unsupported(
            "audio.voice",
            "voices of the model server's account are shared by all tenants; name a built-in voice.",
        ));
    }
    tools(params)
}

fn numbers(params: &ChatParams) -> Result<(), BadRequest> {
    decimal("temperature", params.temperature, 0.0, 2.0)?;
    decimal("top_p", params.top_p, 0.0, 1.0)?;
    decimal("frequency_penalty", params.frequency_penalty, -2.0, 2.0)?;
    decimal("presence_penalty", params.presence_penalty, -2.0, 2.0)?;
    integer("n", params.n, 1, MAX_CHOICES)?;
    integer("top_logprobs", params.top_logprobs, 0, 20)?;
    integer("max_tokens", params.max_tokens, 1, u32::MAX)?;
    integer(
        "max_completion_tokens",
        params.max_completion_tokens,
        1,
        u32::MAX,
    )?;
    params
        .logit_bias
        .iter()
        .flat_map(|bias| bias.iter())
        .try_for_each(|(token, bias)| bias_of(token, bias.as_f64()))
}

fn combinations(params: &ChatParams) -> Result<(), BadRequest> {
    let logprobs = params.logprobs == Some(true);
    if params.store == Some(true) {
        return Err(unsupported("store", NO_STORE));
    }
    if matches!(
        params.service_tier,
        Some(ServiceTier::Scale | ServiceTier::Priority)
    ) {
        return Err(unsupported(
            "service_tier",
            "its price is not the catalogue's. Send 'auto', 'default' or 'flex'.",
        ));
    }
    together(
        "max_tokens",
        params.max_tokens.is_some() && params.max_completion_tokens.is_some(),
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported. Send 'max_completion_tokens'.",
    )?;
    // Attack row 35: with a bias, log probabilities give away the model's weights.
    together(
        "logit_bias",
        params.logit_bias.is_some() && (logprobs || params.top_logprobs.is_some()),
        "Setting 'logit_bias' and 'logprobs' at the same time is not supported. Send one of them.",
    )?;
    together(
        "top_logprobs",
        params.top_logprobs.is_some_and(|top| top > 0) && !logprobs,
        "The parameter 'top_logprobs' is only allowed when 'logprobs' is true.",
    )?;
    together(
        "stream_options",
        params.stream_options.is_some() && params.stream != Some(true),
        "The parameter 'stream_options' is only allowed when 'stream' is true.",
    )
}

fn tools(params: &ChatParams) -> Result<(), BadRequest> {
    if let Some(tools) = &params.tools {
        items("tools", tools.len(), 0, MAX_TOOLS)?;
        tools
            .iter()
            .enumerate()
            .try_for_each(|(at, tool)| match tool {
                Tool::Function { function } => {
                    check_function(&format!("tools[{at}].function"), function)
                }
                Tool::Custom { custom } => {
                    function_name(&format!("tools[{at}].custom.name"), &custom.name)
                }
            })?;
    }
    if let Some(functions) = &params.functions {
        items("functions", functions.len(), 1, MAX_TOOLS)?;
        functions
            .iter()
            .enumerate()
            .try_for_each(|(at, function)| check_function(&format!("functions[{at}]"), function))?;
    }
    match &params.function_call {
        Some(TextOr::Text(word)) if !matches!(word.as_str(), "none" | "auto") => {
            return Err(unsupported(
                "function_call",
                "expected 'none', 'auto' or an object.",
            ));
        }
        Some(TextOr::Other(named)) => function_name("function_call.name", &named.name)?,
        _ => {}
    }
    match &params.tool_choice {
        Some(TextOr::Text(word)) if !matches!(word.as_str(), "none" | "auto" | "required") => {
            Err(unsupported(
                "tool_choice",
                "expected 'none', 'auto', 'required' or an object.",
            ))
        }
        Some(TextOr::Other(ToolChoiceObject::Function { function })) => {
            function_name("tool_choice.function.name", &function.name)
        }
        Some(TextOr::Other(ToolChoiceObject::Custom { custom })) => {
            function_name("tool_choice.custom.name", &custom.name)
        }
        Some(TextOr::Other(ToolChoiceObject::AllowedTools { allowed_tools })) => items(
            "tool_choice.allowed_tools.tools",
            allowed_tools.tools.len(),
            1,
            MAX_TOOLS,
        ),
        _ => Ok(()),
    }
}

fn check_function(path: &str, function: &Function) -> Result<(), BadRequest> {
    function_name(&format!("{path}.name"), &function.name)?;
    match &function.parameters {
        Some(schema) if !schema.is_object() => {
            let param = format!("{path}.parameters");
            let message = format!("Invalid type for '{param}': expected an object.");
            Err(BadRequest::new("invalid_type", param, message))
        }
        _ => Ok(()),
    }
}

fn check_message(at: usize, message: &Message) -> Result<(), BadRequest> {
    let field = |name: &str| format!("messages[{at}].{name}");
    match message {
        Message::Function { name, .. } => function_name(&field("name"), name)?,
        _ => {
            if let Some(name) = message.name() {
                participant_name(&field("name"), name)?;
            }
        }
    }
    if let Some(Content::Other(parts)) = message.content() {
        items(&field("content"), parts.len(), 1, MAX_PARTS)?;
        for (part_at, part) in parts.iter().enumerate() {
            let path = || format!("messages[{at}].content[{part_at}]");
            let fits = match part {
                Part::Text { .. } => true,
                Part::Refusal { .. } => matches!(message, Message::Assistant(_)),
                _ => matches!(message, Message::User { .. }),
            };
            if !fits {
                let reason = format!(
                    "messages with the role '{}' do not have such parts.",
                    message.role()
                );
                return Err(unsupported(&path(), &reason));
            }
            check_part(&path, part)?;
        }
    }
    match message {
        Message::Tool { tool_call_id, .. } => {
            length(&field("tool_call_id"), Some(tool_call_id), 512)
        }
        Message::Assistant(assistant) => check_assistant(&field, assistant),
        _ => Ok(()),
    }
}

fn check_assistant(
    field: &dyn Fn(&str) -> String,
    message: &AssistantMessage,
) -> Result<(), BadRequest> {
    if message.audio.is_some() {
        return Err(unsupported(
            &field("audio"),
            "spoken answers kept at the model's server are shared by all tenants. Send the transcript as 'content'.",
        ));
    }
    let calls = message.tool_calls.as_deref().unwrap_or_default();
    items(&field("tool_calls"), calls.len(), 0, MAX_TOOL_CALLS)?;
    if let Some(call) = &message.function_call {
        length(&field("function_call.name"), Some(&call.name), 256)?;
    }
    // A model wrote these names, and models do not keep to the pattern.
    calls.iter().enumerate().try_for_each(|(at, call)| {
        let (ToolCall::Function { id, .. } | ToolCall::Custom { id, .. }) = call;
        length(&field(&format!("tool_calls[{at}].id")), Some(id), 512)
    })
}

fn check_part(path: &dyn Fn() -> String, part: &Part) -> Result<(), BadRequest> {
    match part {
        Part::Text { .. } | Part::Refusal { .. } => Ok(()),
        Part::ImageUrl { image_url } => {
            link::recognise(&image_url.url)
                .map(|_| ())
                .map_err(|reason| {
                    let param = format!("{}.image_url.url", path());
                    let message = format!("Invalid '{param}': {reason}");
                    BadRequest::new("invalid_image_url", param, message)
                })
        }
        Part::InputAudio { input_audio } => {
            base64(&format!("{}.input_audio.data", path()), &input_audio.data)
        }
        Part::File { file } => {
            let param = format!("{}.file", path());
            if file.file_id.is_some() {
                return Err(unsupported(
                    &format!("{param}.file_id"),
                    "files kept at the model's server are shared by all tenants. Send 'file_data'.",
                ));
            }
            length(&format!("{param}.filename"), file.filename.as_deref(), 255)?;
            let data = file
                .file_data
                .as_deref()
                .ok_or_else(|| BadRequest::missing(&format!("{param}.file_data")))?;
            let payload = match data.strip_prefix("data:") {
                None => data,
                Some(url) => url
                    .split_once(";base64,")
                    .map_or("", |(_, payload)| payload),
            };
            base64(&format!("{param}.file_data"), payload)
        }
    }
}

fn base64(param: &str, payload: &str) -> Result<(), BadRequest> {
    match link::is_base64(payload) {
        true => Ok(()),
        false => Err(BadRequest::new(
            "invalid_value",
            param,
            format!("Invalid '{param}': expected base64."),
        )),
    }
}
