//! The body of a request to the upstream.

use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {}

pub const SWITCHES: &[Switch] = &[];

/// Fields of the OpenAI interface that are handed on; any other is refused by name.
const FIELDS: [&str; 19] = [
    "model",
    "messages",
    "prompt",
    "input",
    "encoding_format",
    "dimensions",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "response_format",
    "logprobs",
];
/// What a caller may say, and what never travels on: the gateway says it itself.
const OVERWRITTEN: [&str; 4] = [
    "user",
    "cache_salt",
    "prompt_cache_key",
    "safety_identifier",
];

/// What the upstream is asked, or what the client hears instead.
pub fn rewrite(_: &Switches, tenant: Tenant, asked: &Value) -> Result<Value, Reply> {
    let Value::Object(fields) = asked else {
        return Err(Reply::error(400, "the body is not a JSON object"));
    };
    let mut sent = serde_json::Map::new();
    for (name, value) in fields {
        if FIELDS.contains(&name.as_str()) {
            sent.insert(name.clone(), value.clone());
        } else if !OVERWRITTEN.contains(&name.as_str()) {
            return Err(Reply::error(400, &format!("unknown field {name}")));
        }
    }
    sent.insert(
        "cache_salt".to_owned(),
        json!(format!("salt-of-{}", tenant.name)),
    );
    Ok(Value::Object(sent))
}
