//! A request as an upstream gets it: the caller's parameters between the gateway's own fields.

use serde::Serialize;

use super::{Extra, MaxTokensField, StreamOptions, UpstreamFields};
use crate::json;

#[derive(Serialize)]
struct Written<'a, P> {
    model: &'a str,
    #[serde(flatten)]
    params: &'a P,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_salt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Extra,
}

/// Writes a request. `params` must not write any of the fields written here; `stream` holds the caller's options of a
/// streamed request.
pub(crate) fn write(
    params: &impl Serialize,
    upstream: &UpstreamFields,
    stream: Option<StreamOptions>,
    extra: &Extra,
) -> Vec<u8> {
    let bound_as = |field| {
        upstream
            .max_output
            .and_then(|(name, tokens)| (name == field).then_some(tokens))
    };
    let stream_options = stream.map(|caller| StreamOptions {
        include_usage: upstream.include_usage.then_some(true),
        include_obfuscation: caller.include_obfuscation,
    });
    json::write(&Written {
        model: upstream.model,
        params,
        max_tokens: bound_as(MaxTokensField::MaxTokens),
        max_completion_tokens: bound_as(MaxTokensField::MaxCompletionTokens),
        stream_options: stream_options.filter(|options| *options != StreamOptions::default()),
        cache_salt: upstream.cache_salt,
        prompt_cache_key: upstream.prompt_cache_key,
        safety_identifier: upstream.safety_identifier,
        extra,
    })
}
