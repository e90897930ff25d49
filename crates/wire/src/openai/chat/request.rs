//! A chat request.

use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use super::message::Message;
use super::options::{
    AudioOptions, Level, Modality, Prediction, ReasoningEffort, ResponseFormat, ServiceTier,
    WebSearchOptions,
};
use super::part::Part;
use super::tools::{Function, FunctionChoice, Tool, ToolChoice};
use crate::json::{Pairs, TextOr};
use crate::openai::ask::{TOKENS_FOR_TOOLS, TOKENS_PER_REQUEST, reprinted_json_bound};
use crate::openai::extra::{self, Extra};
use crate::openai::texts::texts;
use crate::openai::{
    AskFacts, BadRequest, CallerFields, StreamOptions, Texts, UpstreamFields, written,
};

/// Most messages of one request.
pub const MAX_MESSAGES: usize = 2048;
/// Most parts of one message.
pub const MAX_PARTS: usize = 1024;
/// Most tools, and most deprecated functions.
pub const MAX_TOOLS: usize = 128;
/// Most tool calls of one message.
pub const MAX_TOOL_CALLS: usize = 128;
/// Most stop sequences.
pub const MAX_STOPS: usize = 4;
/// Most choices of one request (`n`).
pub const MAX_CHOICES: u32 = 128;

/// One stop sequence or several.
pub type Stop = TextOr<Vec<String>>;

/// A request for chat completions, parsed and within its bounds.
#[derive(Clone, PartialEq)]
pub struct ChatRequest {
    /// What is asked.
    pub params: ChatParams,
    /// What the caller says about caches and identities; never written.
    pub caller: CallerFields,
    /// Fields beyond OpenAI's that the upstream is declared to take.
    pub extra: Extra,
}

/// The documented fields of a chat request.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = ChatCompletionRequest)]
pub struct ChatParams {
    /// The conversation, 1 to 2048 messages.
    pub messages: Vec<Message>,
    /// Name of a model this key may use.
    #[serde(skip_serializing_if = "crate::json::always")]
    #[schema(required)]
    pub model: String,
    /// How a spoken answer sounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioOptions>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Deprecated form of `tool_choice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionChoice>,
    /// Deprecated form of `tools`, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<Function>>,
    /// Token number to bias, -100 to 100. Not together with `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, f64>>)]
    pub logit_bias: Option<Pairs<Number>>,
    /// Return log probabilities. Not together with `logit_bias`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// Most tokens of each choice, reasoning included.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub max_completion_tokens: Option<u32>,
    /// Deprecated form of `max_completion_tokens`.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub max_tokens: Option<u32>,
    /// Accepted and not used: this gateway keeps no content to label. At most 16 pairs.
    #[serde(skip_serializing_if = "crate::json::always")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub metadata: Option<Pairs<String>>,
    /// What the answer consists of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modalities: Option<Vec<Modality>>,
    /// Number of choices, 1 to 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// May several tools be called at once?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Text that is expected to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Folded into a key of the gateway's own.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub prompt_cache_key: Option<String>,
    /// Accepted and not used: nobody is asked to keep content.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub prompt_cache_retention: Option<String>,
    /// How much the model reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Form of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Folded into an identifier of the gateway's own. At most 64 characters.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub safety_identifier: Option<String>,
    /// Sample alike where possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// `auto`, `default` or `flex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Up to four stop sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Only `false`: this gateway keeps no content and lets no upstream keep it.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub store: Option<bool>,
    /// Answer in server-sent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// What the stream carries; only with `stream`.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub stream_options: Option<StreamOptions>,
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Which tool is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Tools the model may call, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// 0 to 20, only with `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Folded into an identifier of the gateway's own. Deprecated form of `safety_identifier`.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub user: Option<String>,
    /// How long the answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<Level>,
    /// How the upstream searches the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search_options: Option<WebSearchOptions>,
    /// Folded into a salt of the gateway's own.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub cache_salt: Option<String>,
}

impl ChatRequest {
    /// Parses and checks a body. `extra_allowed` names the fields beyond OpenAI's that the upstream is declared to take
    /// (see [`crate::openai::check_extra_allowed`]).
    ///
    /// # Errors
    /// [`BadRequest`] naming the first field that is unknown, repeated, of a wrong type or out of its bounds. It holds no
    /// value of the request.
    ///
    /// ```
    /// use wire::openai::chat::ChatRequest;
    ///
    /// let body = br#"{"model":"m","messages":[{"role":"user","content":7}]}"#;
    /// let bad = ChatRequest::parse(body, &[]).unwrap_err();
    /// assert_eq!(bad.param.as_deref(), Some("messages[0].content"));
    /// assert_eq!(bad.code, "invalid_type");
    /// ```
    pub fn parse(body: &[u8], extra_allowed: &[String]) -> Result<ChatRequest, BadRequest> {
        let (mut params, extra) = extra::parse::<ChatParams>(body, extra_allowed)?;
        super::check::check(&params)?;
        let caller = CallerFields {
            user: params.user.take(),
            safety_identifier: params.safety_identifier.take(),
            prompt_cache_key: params.prompt_cache_key.take(),
            prompt_cache_retention: params.prompt_cache_retention.take(),
            cache_salt: params.cache_salt.take(),
            metadata: params.metadata.take(),
        };
        caller.check()?;
        Ok(ChatRequest {
            params,
            caller,
            extra,
        })
    }

    /// The request for the upstream, as JSON.
    pub fn write(&self, upstream: &UpstreamFields) -> Vec<u8> {
        let stream = self
            .is_stream()
            .then_some(self.params.stream_options.unwrap_or_default());
        written::write(&self.params, upstream, stream, &self.extra)
    }

    /// What a decision about this request needs to know.
    pub fn facts(&self) -> AskFacts<'_> {
        let params = &self.params;
        let messages: u64 = params.messages.iter().map(Message::token_bound).sum();
        let tools: u64 = params.tools.iter().flatten().map(Tool::token_bound).sum();
        let functions: u64 = params
            .functions
            .iter()
            .flatten()
            .map(Function::token_bound)
            .sum();
        let mut rest = Bytes(0);
        rest.add(&params.response_format);
        rest.add(&params.prediction);
        rest.add(&params.tool_choice);
        rest.add(&params.function_call);
        rest.add(&params.web_search_options);
        rest.add(&self.extra);
        let tool_words = if tools + functions > 0 {
            TOKENS_FOR_TOOLS
        } else {
            0
        };
        AskFacts {
            model: &params.model,
            stream: self.is_stream(),
            choices: params.n.unwrap_or(1),
            input_token_bound: TOKENS_PER_REQUEST
                + messages
                + tools
                + functions
                + tool_words
                + rest.0,
            max_output: params.max_completion_tokens.or(params.max_tokens),
            caller_identity: self.caller.identity(),
        }
    }

    /// True where the answer is to be streamed.
    pub fn is_stream(&self) -> bool {
        self.params.stream == Some(true)
    }

    /// True where the caller wants token counts at the end of its stream.
    pub fn wants_usage(&self) -> bool {
        self.params
            .stream_options
            .is_some_and(|options| options.include_usage == Some(true))
    }

    /// A feature of this request that costs something else than tokens of text, such as a web search. Where tokens have
    /// a price the call must be refused, because this part would be spent without having been reserved.
    pub fn feature_without_price(&self) -> Option<&'static str> {
        let params = &self.params;
        let spoken = params
            .modalities
            .iter()
            .flatten()
            .any(|modality| *modality == Modality::Audio);
        let hears = || {
            let parts = params
                .messages
                .iter()
                .filter_map(Message::content)
                .filter_map(|content| match content {
                    TextOr::Text(_) => None,
                    TextOr::Other(parts) => Some(parts),
                });
            parts
                .flatten()
                .any(|part| matches!(part, Part::InputAudio { .. }))
        };
        match params {
            ChatParams {
                web_search_options: Some(_),
                ..
            } => Some("web_search_options"),
            ChatParams { audio: Some(_), .. } => Some("audio"),
            _ if spoken => Some("modalities"),
            _ if hears() => Some("input_audio"),
            _ => None,
        }
    }
}

/// Bound of tokens for JSON a template may print.
struct Bytes(u64);

impl Bytes {
    fn add(&mut self, texts: &impl Texts) {
        texts.each_text(&mut |text| self.0 += reprinted_json_bound(text));
    }
}

impl std::fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChatRequest({} messages)", self.params.messages.len())
    }
}

texts!(ChatParams: messages, audio, function_call, functions, prediction, response_format, stop, tool_choice, tools,
       web_search_options);
texts!(ChatRequest: params, caller, extra);
