//! What a request tells the gateway, what the gateway adds for the upstream.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::texts::texts;
use super::{BadRequest, check};
use crate::json::Pairs;

/// What a caller says about caches, identities and keeping content. Parsed so that a known SDK works, folded into
/// values of our own or ignored, and never written to an upstream (attack rows 17 and 18).
#[derive(Clone, Default, PartialEq)]
pub struct CallerFields {
    /// The caller's end user, deprecated name. At most 512 bytes.
    pub user: Option<String>,
    /// The caller's end user. At most 64 characters.
    pub safety_identifier: Option<String>,
    /// The caller's wish for a cache of its own, OpenAI's name. At most 1024 bytes.
    pub prompt_cache_key: Option<String>,
    /// How long the upstream may keep the prefix: `in_memory`, `in-memory` or `24h`. Ignored: this gateway lets nobody keep content.
    pub prompt_cache_retention: Option<String>,
    /// The caller's wish for a cache of its own, vLLM's name. At most 1024 bytes.
    pub cache_salt: Option<String>,
    /// Labels for content that the upstream keeps. Checked and dropped, because nothing is kept.
    pub metadata: Option<Pairs<String>>,
}

impl CallerFields {
    /// The end user the caller names: `safety_identifier`, else `user`.
    pub fn identity(&self) -> Option<&str> {
        self.safety_identifier.as_deref().or(self.user.as_deref())
    }

    /// Keeps these fields within OpenAI's and vLLM's bounds, although nothing of them is passed on: what is refused there
    /// is refused here.
    pub(crate) fn check(&self) -> Result<(), BadRequest> {
        check::length("user", self.user.as_deref(), 512)?;
        check::length("safety_identifier", self.safety_identifier.as_deref(), 64)?;
        check::length("prompt_cache_key", self.prompt_cache_key.as_deref(), 1024)?;
        check::length("cache_salt", self.cache_salt.as_deref(), 1024)?;
        if !matches!(
            self.prompt_cache_retention.as_deref(),
            None | Some("in_memory" | "in-memory" | "24h")
        ) {
            return Err(check::unsupported(
                "prompt_cache_retention",
                "expected 'in_memory' or '24h'.",
            ));
        }
        let Some(metadata) = &self.metadata else {
            return Ok(());
        };
        check::items("metadata", metadata.len(), 0, 16)?;
        metadata.iter().try_for_each(|(key, value)| {
            check::length("metadata", Some(key), 64)?;
            check::length("metadata", Some(value), 512)
        })
    }
}

texts!(CallerFields: user, safety_identifier, prompt_cache_key, prompt_cache_retention, cache_salt, metadata);

impl std::fmt::Debug for CallerFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallerFields")
    }
}

/// What a stream carries besides the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct StreamOptions {
    /// A last chunk with the token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    /// Random padding that hides the length of each chunk from who watches the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_obfuscation: Option<bool>,
}

/// The name under which an upstream takes the bound on its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`: every engine, and OpenAI's older models.
    MaxTokens,
    /// `max_completion_tokens`: OpenAI's reasoning models take only this.
    MaxCompletionTokens,
}

/// What the gateway puts into the request for the upstream, instead of anything the caller said.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamFields<'a> {
    /// The upstream's own name of the model.
    pub model: &'a str,
    /// Output tokens per choice, as reserved. `None` writes no bound at all.
    pub max_output: Option<(MaxTokensField, u32)>,
    /// Derived `cache_salt`.
    pub cache_salt: Option<&'a str>,
    /// Derived `prompt_cache_key`.
    pub prompt_cache_key: Option<&'a str>,
    /// Derived `safety_identifier`.
    pub safety_identifier: Option<&'a str>,
    /// Ask for usage at the end of a stream, whatever the caller wishes: the meter needs it.
    pub include_usage: bool,
}

/// What a decision about a request needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskFacts<'a> {
    /// The model the caller names.
    pub model: &'a str,
    /// True where the answer is to be streamed.
    pub stream: bool,
    /// How many answers are generated, each of them up to the bound on output.
    pub choices: u32,
    /// Upper bound of input tokens: a token is at least one byte, so bytes of text, plus what templates add.
    pub input_token_bound: u64,
    /// The caller's own bound on output tokens per choice. `Some(0)` for routes that generate nothing.
    pub max_output: Option<u32>,
    /// The end user the caller names.
    pub caller_identity: Option<&'a str>,
}

/// Tokens a chat template may add around one message (role, separators, newlines). ChatML, Llama 3, Gemma and Mistral need
/// fewer than ten.
pub const TOKENS_PER_MESSAGE: u64 = 32;
/// Tokens a chat template may add once (default system prompt of a template, date lines, generation prompt).
pub const TOKENS_PER_REQUEST: u64 = 256;
/// Tokens a chat template may add once when there are tools (how to call them).
pub const TOKENS_FOR_TOOLS: u64 = 768;
/// Tokens of one image. The most expensive known is `gpt-4o-mini` at 2833 + 8 × 5667 = 48 169.
pub const TOKENS_PER_IMAGE: u64 = 49_152;
/// Tokens of one image with `"detail": "low"`. The most expensive known is `gpt-4o-mini` at 2833.
pub const TOKENS_PER_LOW_IMAGE: u64 = 3_072;
/// Base64 characters of audio that are at least one token. The thinnest MP3 (8 kbit/s) has 1365 of them per second, and
/// no known model takes more than 50 tokens per second.
pub const AUDIO_CHARACTERS_PER_TOKEN: u64 = 16;

/// Tokens of one file. A compressed document can hold any amount of text; the largest known context is the only bound.
pub const TOKENS_PER_FILE: u64 = 2_097_152;

/// Upper bound of tokens for JSON that a template may print again: indented, with `<`, `>`, `&`, `'` and everything
/// outside ASCII or invisible as `\u` escapes.
pub(crate) fn reprinted_json_bound(json: &str) -> u64 {
    let escaped = json
        .bytes()
        .filter(|b| b.is_ascii_control() || matches!(b, b'<' | b'>' | b'&' | b'\''))
        .count() as u64;
    64 + 3 * json.len() as u64 + 5 * escaped
}
