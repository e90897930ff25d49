//! Fields beyond OpenAI's that an upstream is declared to take.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{BadRequest, bad_request};
use crate::json::{self, Opaque, Pairs};

/// Declared extra fields of one request, name and JSON.
pub type Extra = Pairs<Opaque>;

/// Longest name of an extra field, in bytes.
const LONGEST_NAME: usize = 64;

/// What can never be part of a declared name, compared without `_`.
///
/// Credentials and addresses (attack row 21), caches, hashes and identities (17, 18), request ids (20), templates (32),
/// code and processors named by the caller, adapters, priority over neighbours, and whatever multiplies or unbinds output.
const FORBIDDEN_PARTS: [&str; 52] = [
    "apikey",
    "secret",
    "credential",
    "password",
    "passwd",
    "auth",
    "bearer",
    "accesstoken",
    "cookie",
    "header", //
    "base",
    "url",
    "endpoint",
    "host",
    "proxy",
    "callback",
    "webhook",
    "path",
    "file",
    "bucket", //
    "cache",
    "salt",
    "hash",
    "prefix",
    "kvtransfer",
    "embed",
    "multimodal",
    "media", //
    "user",
    "tenant",
    "project",
    "account",
    "session",
    "identi",
    "subject",
    "customer", //
    "requestid",
    "trace",
    "metadata",
    "store",
    "template",
    "generationprompt",
    "finalmessage",
    "processor",
    "lora", //
    "adapter",
    "priority",
    "bootstrap",
    "nvext",
    "hidden",
    "beam",
    "predict",
];

/// What can never be one of the words between the `_` of a declared name.
const FORBIDDEN_WORDS: [&str; 14] = [
    "key", "keys", "uri", "port", "org", "rid", "id", "mm", "rank", "xargs", "extra", "plugin",
    "plugins", "tier",
];

/// Whole names that can never be declared: every documented field, and other engines' names of bounds.
const FORBIDDEN_NAMES: [&str; 63] = [
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs", //
    "max_completion_tokens",
    "max_tokens",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty", //
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "stream",
    "stream_options",
    "temperature", //
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "verbosity",
    "web_search_options",
    "prompt",
    "best_of",
    "echo", //
    "suffix",
    "input",
    "dimensions",
    "encoding_format",
    "max_new_tokens",
    "max_length",
    "max_gen_len", //
    "num_return_sequences",
    "use_beam_search",
    "prompt_logprobs",
    "key",
    "token",
    "tokens",
    "id",
    "api_version", //
    "engine",
    "provider",
    "models",
    "route",
    "routes",
    "fallbacks",
    "transforms",
    "plugins",
    "options",
    "keep_alive", //
    "images",
    "documents",
    "chat_id",
    "slot_id",
    "id_slot",
    "context",
];

/// A name that can never be declared as an extra field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExtra {
    /// It would let callers steer credentials, addresses, caches, identities, templates, code or cost.
    #[error(
        "the extra field `{0}` would let callers steer credentials, addresses, caches, identities, templates, code or \
         cost; no upstream was configured with it; remove it from extra_fields"
    )]
    Forbidden(String),
    /// It is a field this gateway already knows.
    #[error(
        "the extra field `{0}` is one this gateway handles itself; remove it from extra_fields"
    )]
    Known(String),
    /// It is not `[a-z0-9_]{1,64}`.
    #[error(
        "an extra field is not a name of lower-case letters, digits and underscores up to 64 bytes; correct extra_fields"
    )]
    Name,
}

/// Checks the extra fields an upstream is declared to take. Belongs to reading the configuration.
///
/// # Errors
/// [`BadExtra`] for the first name that can never be declared.
pub fn check_extra_allowed(names: &[String]) -> Result<(), BadExtra> {
    names.iter().try_for_each(|name| {
        let shape = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(shape) {
            return Err(BadExtra::Name);
        }
        if FORBIDDEN_NAMES.contains(&name.as_str()) {
            return Err(BadExtra::Known(name.clone()));
        }
        let bare = name.replace('_', "");
        let forbidden = FORBIDDEN_PARTS.iter().any(|part| bare.contains(part))
            || name.split('_').any(|word| FORBIDDEN_WORDS.contains(&word));
        if forbidden {
            Err(BadExtra::Forbidden(name.clone()))
        } else {
            Ok(())
        }
    })
}

/// Parses a body whose declared extra fields are taken out first. Without declared fields this is one pass.
pub(crate) fn parse<T: DeserializeOwned>(
    body: &[u8],
    allowed: &[String],
) -> Result<(T, Extra), BadRequest> {
    if allowed.is_empty() {
        return Ok((bad_request::parse(body)?, Extra::default()));
    }
    let fields: Pairs<&RawValue> = bad_request::parse_flat(body)?;
    let (mut known, mut extra) = (Vec::with_capacity(body.len()), Extra::default());
    for (name, value) in fields.iter() {
        if allowed.iter().any(|allowed| allowed == name) {
            let value = serde_json::from_str::<Opaque>(value.get())
                .map_err(|_| BadRequest::opaque(name))?;
            extra.push(name.to_owned(), value);
        } else {
            known.push(if known.is_empty() { b'{' } else { b',' });
            known.extend_from_slice(&json::write(&name));
            known.push(b':');
            known.extend_from_slice(value.get().as_bytes());
        }
    }
    if known.is_empty() {
        known.push(b'{');
    }
    known.push(b'}');
    Ok((bad_request::parse(&known)?, extra))
}
