//! Log probabilities of an answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json::{none_or_empty, null_as_default};
use crate::openai::texts::texts;

/// Log probabilities of one choice.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Logprobs {
    /// One entry per token of the content.
    pub content: Option<Vec<LogprobToken>>,
    /// One entry per token of the refusal.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub refusal: Option<Vec<LogprobToken>>,
}

/// One token that was chosen.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogprobToken {
    /// Its text.
    #[serde(default, deserialize_with = "null_as_default")]
    pub token: String,
    /// Natural logarithm of its probability, -9999 where it is very unlikely.
    #[serde(default, deserialize_with = "null_as_default")]
    pub logprob: f64,
    /// Its UTF-8, as a token may be part of a character.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at this place.
    #[serde(default, deserialize_with = "null_as_default")]
    pub top_logprobs: Vec<TopLogprob>,
}

/// One token that could have been chosen.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopLogprob {
    /// Its text.
    #[serde(default, deserialize_with = "null_as_default")]
    pub token: String,
    /// Natural logarithm of its probability.
    #[serde(default, deserialize_with = "null_as_default")]
    pub logprob: f64,
    /// Its UTF-8.
    pub bytes: Option<Vec<u8>>,
}

impl Logprobs {
    /// Number of tokens they are about.
    pub(super) fn tokens(&self) -> u32 {
        let tokens = [&self.content, &self.refusal]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .sum::<usize>();
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}

texts!(Logprobs: content, refusal);
texts!(LogprobToken: token, top_logprobs);
texts!(TopLogprob: token);
