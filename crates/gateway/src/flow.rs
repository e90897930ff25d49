//! The flow of a request: one straight function for each route, from the bytes to the settled answer.
//!
//! Each step takes what only the step before can make: a credential makes a compartment, a compartment a permit, a permit
//! a clean request, and nothing else is sent. Who is asking travels in arguments, never in extensions of the request.

mod chat;
mod completions;
mod embeddings;
mod models;

pub(crate) use chat::chat;
pub(crate) use completions::completions;
pub(crate) use embeddings::embeddings;
pub(crate) use models::{model, models};

use wire::openai::CallerFields;

/// The caller's own wish for a cache: folded into the derived fields, never passed on.
fn cache_key(caller: &CallerFields) -> Option<&str> {
    caller
        .cache_salt
        .as_deref()
        .or(caller.prompt_cache_key.as_deref())
}
