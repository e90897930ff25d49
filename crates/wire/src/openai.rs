//! The OpenAI-compatible interface: requests of callers, answers of upstreams, errors.
//!
//! A request is parsed once into a typed allow-list, and written again for the upstream from the parsed form; the bytes
//! of the caller never travel on. What a caller says about caches and identities ends in [`CallerFields`], which no
//! `write` looks at.

pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod error;
pub mod models;
pub mod usage;

mod answer;
mod ask;
mod bad_request;
pub(crate) mod check;
mod extra;
mod input;
mod link;
mod texts;
mod written;

pub use answer::BadAnswer;
pub(crate) use answer::word;
pub use ask::{
    AUDIO_CHARACTERS_PER_TOKEN, TOKENS_FOR_TOOLS, TOKENS_PER_FILE, TOKENS_PER_IMAGE,
    TOKENS_PER_LOW_IMAGE, TOKENS_PER_MESSAGE, TOKENS_PER_REQUEST,
};
pub use ask::{AskFacts, CallerFields, MaxTokensField, StreamOptions, UpstreamFields};
pub use bad_request::BadRequest;
pub(crate) use bad_request::parse as parse_body;
pub use extra::{BadExtra, Extra, check_extra_allowed};
pub use input::{Input, MAX_INPUTS, MAX_TOKENS};
pub use texts::Texts;
