//! A completion answer, whole or one piece of a stream; both have the same shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json::null_as_default;
use crate::openai::answer::{at_most, read, word};
use crate::openai::chat::MAX_CHOICES;
use crate::openai::texts::texts;
use crate::openai::usage::Usage;
use crate::openai::{BadAnswer, MAX_INPUTS, Texts};

word!(
    /// `text_completion`.
    CompletionObject = "text_completion"
);

/// A completion answer, or one piece of it: read tolerantly, written with documented fields only.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Completion)]
pub struct CompletionResponse {
    /// Made by the gateway; an upstream's own id is dropped when it is read.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(required)]
    pub id: String,
    /// Always `text_completion`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: CompletionObject,
    /// Unix time in seconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created: i64,
    /// The model's name as the caller knows it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub model: String,
    /// `n` per prompt. Must be there: an error an upstream reports has none.
    pub choices: Vec<CompletionChoice>,
    /// Token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Which build of the upstream answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
}

/// One choice.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    /// Its number, from 0.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// What the model wrote.
    #[serde(default, deserialize_with = "null_as_default")]
    pub text: String,
    /// Log probabilities where asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop`, `length` or `content_filter`.
    pub finish_reason: Option<String>,
}

/// Log probabilities, one entry per token in each list.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    /// Where each token begins in the text, in characters.
    #[serde(default, deserialize_with = "null_as_default")]
    pub text_offset: Vec<u64>,
    /// Natural logarithm of each token's probability; absent for the first token of an echoed prompt.
    #[serde(default, deserialize_with = "null_as_default")]
    pub token_logprobs: Vec<Option<f64>>,
    /// The tokens' texts.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tokens: Vec<String>,
    /// The likeliest tokens at each place.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Vec<Option<std::collections::BTreeMap<String, f64>>>)]
    pub top_logprobs: Vec<Option<Likeliest>>,
}

/// The likeliest tokens at one place and the natural logarithms of their probabilities.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Likeliest(pub std::collections::BTreeMap<String, f64>);

impl CompletionResponse {
    /// Reads the answer of an upstream. Its id and whatever is not documented are dropped.
    ///
    /// # Errors
    /// [`BadAnswer`].
    pub fn parse(json: &[u8]) -> Result<CompletionResponse, BadAnswer> {
        let answer: CompletionResponse = read(json)?;
        at_most(MAX_CHOICES as usize * MAX_INPUTS, answer.choices.len())?;
        Ok(answer)
    }

    /// Puts the gateway's id on it.
    pub fn set_id(&mut self, id: &str) {
        id.clone_into(&mut self.id);
    }

    /// Puts the caller's name of the model on it.
    pub fn set_model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// Token counts where the upstream gave them.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Takes the token counts away, for a caller who did not ask for them.
    pub fn take_usage(&mut self) -> Option<Usage> {
        self.usage.take()
    }

    /// True where nothing is added to any choice: the piece was made for the token counts.
    pub fn has_no_choices(&self) -> bool {
        self.choices.is_empty()
    }

    /// How many tokens a piece of a stream holds at least; see [`crate::openai::chat::ChatChunk::delta_tokens_at_least`].
    pub fn delta_tokens_at_least(&self) -> u32 {
        let tokens = self.choices.iter().map(|choice| {
            let counted = choice
                .logprobs
                .as_ref()
                .map_or(0, |logprobs| logprobs.tokens.len());
            u32::try_from(counted.max(usize::from(!choice.text.is_empty()))).unwrap_or(u32::MAX)
        });
        tokens.fold(0, u32::saturating_add)
    }

    /// Bytes of everything the model generated.
    pub fn output_bytes(&self) -> u64 {
        self.choices
            .iter()
            .map(|choice| choice.text.len() as u64)
            .sum()
    }

    /// The answer for the caller, as JSON.
    pub fn write(&self) -> Vec<u8> {
        crate::json::write(self)
    }
}

impl std::fmt::Debug for CompletionResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompletionResponse({} choices)", self.choices.len())
    }
}

impl Texts for Likeliest {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        self.0.keys().for_each(|token| f(token));
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        let before = std::mem::take(&mut self.0);
        self.0
            .extend(before.into_iter().map(|(mut token, logprob)| {
                f(&mut token);
                (token, logprob)
            }));
    }
}

texts!(CompletionResponse: choices);
texts!(CompletionChoice: text, logprobs);
texts!(CompletionLogprobs: tokens, top_logprobs);
