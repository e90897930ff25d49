//! Frames between the gateway and a cell: a `u32` little-endian length, then that many bytes of JSON.
//!
//! The gateway speaks [`ToCell`], the cell answers [`FromCell`]. Both sides treat the other as hostile: a length above
//! [`MAX_FRAME`] is refused before a byte of the body is read or allocated, unknown fields are errors, and an error
//! never quotes the body, because the body is what somebody said.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod frame;

pub use frame::{FrameError, Frames, MAX_FRAME, PREFIX, body_length, decode, encode};

/// What the gateway says to a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToCell {
    /// First message, exactly once: which model to open.
    Load(Load),
    /// Queue one generation. Boxed because it is many times larger than the others.
    Generate(Box<Generate>),
    /// Count the tokens a prompt would take, without generating.
    CountTokens(CountTokens),
    /// Stop the generation with this id before its next token. Unknown ids are ignored: it may just have ended.
    Cancel {
        /// The id given in [`Generate`].
        id: u64,
    },
}

/// Which model to open, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Path of the GGUF file, UTF-8.
    pub model: String,
    /// Tokens of context to allow at most; the model's own length if absent or larger than that.
    pub context_limit: Option<u32>,
    /// Generations that may wait behind the running one.
    pub queue: u32,
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Chosen by the gateway, unique among the cell's unfinished work.
    pub id: u64,
    /// What to continue.
    pub prompt: Prompt,
    /// How to choose tokens and when to stop.
    pub sampling: Sampling,
}

/// Ask how many tokens a prompt takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountTokens {
    /// Chosen by the gateway, unique among the cell's unfinished work.
    pub id: u64,
    /// What to count.
    pub prompt: Prompt,
}

/// What a model is given.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Prompt {
    /// A conversation, rendered with the model's own chat template.
    Chat {
        /// OpenAI chat messages (`role`, `content`, `tool_calls`, `tool_call_id`, `name`).
        messages: Vec<Value>,
        /// OpenAI tool definitions; empty if none may be called.
        tools: Vec<Value>,
    },
    /// Text as it is, for `/v1/completions`. Text that looks like a special token stays text.
    Raw(String),
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chat { messages, tools } => {
                write!(
                    f,
                    "Chat({} messages, {} tools)",
                    messages.len(),
                    tools.len()
                )
            }
            Self::Raw(text) => write!(f, "Raw({} bytes)", text.len()),
        }
    }
}

/// How tokens are chosen and when to stop; the names and meanings of the OpenAI API.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Tokens to produce at most, the end-of-turn token included; the rest of the context if absent.
    pub max_tokens: Option<u32>,
    /// 0 takes the most likely token; otherwise 0..=2 divides the logits.
    pub temperature: f32,
    /// Smallest set of tokens whose probability reaches this (0..=1).
    pub top_p: f32,
    /// Same seed, prompt and settings: same answer. Random if absent.
    pub seed: Option<u64>,
    /// Strings that end the answer and are not part of it, across token borders too.
    pub stop: Vec<String>,
    /// Log probabilities wanted: of the chosen token, and of this many of the most likely (0..=20).
    pub logprobs: Option<u8>,
    /// Taken off a token's logit per time it was already produced (-2..=2).
    pub frequency_penalty: f32,
    /// Taken off a token's logit once it was produced (-2..=2).
    pub presence_penalty: f32,
    /// Added to the logit of a token id (-100..=100).
    pub logit_bias: BTreeMap<u32, f32>,
}

impl Default for Sampling {
    /// The OpenAI defaults: temperature 1, everything else off.
    fn default() -> Self {
        Self {
            max_tokens: None,
            temperature: 1.0,
            top_p: 1.0,
            seed: None,
            stop: Vec::new(),
            logprobs: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampling")
            .field("max_tokens", &self.max_tokens)
            .field("temperature", &self.temperature)
            .field("top_p", &self.top_p)
            .field("stop", &self.stop.len())
            .field("logprobs", &self.logprobs)
            .field("logit_bias", &self.logit_bias.len())
            .finish_non_exhaustive()
    }
}

/// What a cell says to the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromCell {
    /// The model is open; generations may come.
    Loaded(Facts),
    /// The prompt was accepted and measured; reading it begins.
    Started {
        /// The generation it belongs to.
        id: u64,
        /// Tokens of the prompt, template and special tokens included.
        prompt_tokens: u32,
    },
    /// A piece of an answer.
    Token(Token),
    /// A generation ended; nothing more follows for its id.
    Done(Done),
    /// A generation, a count or the load itself failed; nothing more follows for its id.
    Failed(Failed),
    /// The answer to [`CountTokens`].
    Counted {
        /// The id given in the question.
        id: u64,
        /// Tokens the prompt takes, template and special tokens included.
        tokens: u32,
    },
}

/// What is worth knowing of a loaded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// `general.architecture` of the file, for example `llama`.
    pub architecture: String,
    /// Tokens that prompt and answer may take together, the limit given at load respected.
    pub context_length: u32,
    /// Whether the file carries a chat template.
    pub supports_chat: bool,
    /// Whether that template knows tools.
    pub supports_tools: bool,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Weights in the model.
    pub parameters: u64,
}

/// A piece of an answer. Pieces are whole characters and never part of a stop string.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The generation it belongs to.
    pub id: u64,
    /// Text to append; may be empty when only `tool_calls` or `logprobs` have something to say.
    pub text: String,
    /// Tool calls completed by this piece.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// One entry per token that `text` came from, if asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<TokenLogprob>,
    /// Tokens produced so far in this generation, held-back ones included: what a caller who leaves now has used.
    pub completion_tokens: u32,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("text_bytes", &self.text.len())
            .field("tool_calls", &self.tool_calls.len())
            .field("logprobs", &self.logprobs.len())
            .field("completion_tokens", &self.completion_tokens)
            .finish()
    }
}

/// One complete call the model wants made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Function name as the model wrote it; not checked against the offered tools.
    pub name: String,
    /// Arguments, a JSON object as text.
    pub arguments: String,
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ToolCall({} + {} bytes)",
            self.name.len(),
            self.arguments.len()
        )
    }
}

/// How likely one produced token was, and its rivals.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLogprob {
    /// The token that was produced.
    pub chosen: Likelihood,
    /// The most likely tokens, best first.
    pub top: Vec<Likelihood>,
}

impl fmt::Debug for TokenLogprob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenLogprob({} rivals)", self.top.len())
    }
}

/// One token and its log probability.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likelihood {
    /// The token's bytes; not always whole characters.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability before temperature and penalties; never below -9999.
    pub logprob: f32,
}

impl fmt::Debug for Likelihood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Likelihood({} bytes)", self.bytes.len())
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn or a stop string came.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
    /// The model ended its turn after calling tools.
    ToolCalls,
    /// The gateway cancelled it.
    Cancelled,
}

/// A generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Which one.
    pub id: u64,
    /// Why.
    pub finish: Finish,
    /// Tokens of the prompt, template and special tokens included; 0 if cancelled before it was read.
    pub prompt_tokens: u32,
    /// Tokens produced, the end-of-turn token included.
    pub completion_tokens: u32,
}

/// Something was refused or went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// The generation or count it belongs to; `None` if loading failed.
    pub id: Option<u64>,
    /// What kind of failure, for the gateway's error code.
    pub kind: FailureKind,
    /// For people; never quotes prompt or answer.
    pub message: String,
}

/// Kinds of failure a caller can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The prompt leaves no room for an answer.
    ContextLengthExceeded,
    /// Tools were offered to a model whose template does not know them.
    ToolsUnsupported,
    /// A conversation was given to a model without a chat template.
    ChatUnsupported,
    /// The request itself is wrong.
    InvalidRequest,
    /// The model file cannot be served by this engine.
    UnsupportedModel,
    /// Too many generations wait already.
    Busy,
    /// The engine failed; the request may be fine.
    Internal,
}

impl FailureKind {
    /// The kind as it stands in error codes and logs, for example `context_length_exceeded`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::ToolsUnsupported => "tools_unsupported",
            Self::ChatUnsupported => "chat_unsupported",
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedModel => "unsupported_model",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }
}
