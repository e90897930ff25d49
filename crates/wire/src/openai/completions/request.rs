//! A completion request.

use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::json::{Pairs, TextOr};
use crate::openai::ask::{TOKENS_PER_REQUEST, reprinted_json_bound};
use crate::openai::chat::{MAX_CHOICES, MAX_STOPS, Stop};
use crate::openai::extra::{self, Extra};
use crate::openai::texts::texts;
use crate::openai::{
    AskFacts, BadRequest, CallerFields, Input, StreamOptions, Texts, UpstreamFields, check, written,
};

/// Most tokens where a caller names no bound, as OpenAI documents for `max_tokens` of this route.
pub const DEFAULT_MAX_TOKENS: u32 = 16;

/// A request for completions, parsed and within its bounds.
#[derive(Clone, PartialEq)]
pub struct CompletionRequest {
    /// What is asked.
    pub params: CompletionParams,
    /// What the caller says about caches and identities; never written.
    pub caller: CallerFields,
    /// Fields beyond OpenAI's that the upstream is declared to take.
    pub extra: Extra,
}

/// The documented fields of a completion request.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = CompletionRequest)]
pub struct CompletionParams {
    /// Name of a model this key may use.
    #[serde(skip_serializing_if = "crate::json::always")]
    #[schema(required)]
    pub model: String,
    /// What to continue: texts or token numbers, one or many.
    pub prompt: Input,
    /// Generate so many and return the best `n`, 1 to 20. Not streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_of: Option<u32>,
    /// Return the prompt too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Token number to bias, -100 to 100. Not together with `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, f64>>)]
    pub logit_bias: Option<Pairs<Number>>,
    /// Return the log probabilities of so many likeliest tokens, 0 to 5. Not together with `logit_bias`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    /// Most tokens of each choice. 16 where absent.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub max_tokens: Option<u32>,
    /// Number of choices per prompt, 1 to 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Sample alike where possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Up to four stop sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Answer in server-sent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// What the stream carries; only with `stream`.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub stream_options: Option<StreamOptions>,
    /// What comes after the completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Folded into an identifier of the gateway's own.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub user: Option<String>,
    /// Folded into a salt of the gateway's own.
    #[serde(skip_serializing_if = "crate::json::always")]
    pub cache_salt: Option<String>,
}

impl CompletionRequest {
    /// Parses and checks a body; see [`crate::openai::chat::ChatRequest::parse`].
    ///
    /// # Errors
    /// [`BadRequest`] naming the first field that is unknown, repeated, of a wrong type or out of its bounds.
    pub fn parse(body: &[u8], extra_allowed: &[String]) -> Result<CompletionRequest, BadRequest> {
        let (mut params, extra) = extra::parse::<CompletionParams>(body, extra_allowed)?;
        params.check()?;
        let caller = CallerFields {
            user: params.user.take(),
            cache_salt: params.cache_salt.take(),
            ..CallerFields::default()
        };
        caller.check()?;
        Ok(CompletionRequest {
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

    /// What a decision about this request needs to know. Each prompt gets `n` choices (`best_of` are generated).
    pub fn facts(&self) -> AskFacts<'_> {
        let params = &self.params;
        let prompts = u32::try_from(params.prompt.count()).unwrap_or(u32::MAX);
        let mut extra = 0;
        self.extra
            .each_text(&mut |text| extra += reprinted_json_bound(text));
        let suffix = params.suffix.as_ref().map_or(0, String::len) as u64;
        AskFacts {
            model: &params.model,
            stream: self.is_stream(),
            choices: prompts.saturating_mul(params.n.unwrap_or(1).max(params.best_of.unwrap_or(1))),
            input_token_bound: TOKENS_PER_REQUEST + params.prompt.token_bound() + suffix + extra,
            max_output: Some(params.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)),
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
}

impl CompletionParams {
    fn check(&self) -> Result<(), BadRequest> {
        check::filled("model", &self.model)?;
        check::length("model", Some(&self.model), 256)?;
        self.prompt.check("prompt")?;
        check::decimal("temperature", self.temperature, 0.0, 2.0)?;
        check::decimal("top_p", self.top_p, 0.0, 1.0)?;
        check::decimal("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        check::decimal("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        check::integer("n", self.n, 1, MAX_CHOICES)?;
        check::integer("best_of", self.best_of, 1, 20)?;
        check::integer("logprobs", self.logprobs, 0, 5)?;
        check::integer("max_tokens", self.max_tokens, 0, u32::MAX)?;
        self.logit_bias
            .iter()
            .flat_map(|bias| bias.iter())
            .try_for_each(|(token, bias)| check::bias(token, bias.as_f64()))?;
        if let Some(TextOr::Other(stops)) = &self.stop {
            check::items("stop", stops.len(), 0, MAX_STOPS)?;
        }
        self.combinations()
    }

    fn combinations(&self) -> Result<(), BadRequest> {
        // Attack row 35: with a bias, log probabilities give away the model's weights.
        check::together(
            "logit_bias",
            self.logit_bias.is_some() && self.logprobs.is_some(),
            "Setting 'logit_bias' and 'logprobs' at the same time is not supported. Send one of them.",
        )?;
        check::together(
            "best_of",
            self.best_of.is_some_and(|best| best < self.n.unwrap_or(1)),
            "The parameter 'best_of' must not be smaller than 'n'.",
        )?;
        check::together(
            "best_of",
            self.stream == Some(true)
                && self.best_of.is_some_and(|best| best > self.n.unwrap_or(1)),
            "The parameter 'best_of' is not supported when 'stream' is true.",
        )?;
        check::together(
            "stream_options",
            self.stream_options.is_some() && self.stream != Some(true),
            "The parameter 'stream_options' is only allowed when 'stream' is true.",
        )
    }
}

impl std::fmt::Debug for CompletionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "CompletionRequest({} prompts)",
            self.params.prompt.count()
        )
    }
}

texts!(CompletionParams: prompt, stop, suffix);
texts!(CompletionRequest: params, caller, extra);
