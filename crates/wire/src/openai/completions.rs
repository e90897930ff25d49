//! `/v1/completions`, deprecated by OpenAI and alive everywhere else.

mod answer;
mod request;

pub use answer::{
    CompletionChoice, CompletionLogprobs, CompletionObject, CompletionResponse, Likeliest,
};
pub use request::{CompletionParams, CompletionRequest, DEFAULT_MAX_TOKENS};
