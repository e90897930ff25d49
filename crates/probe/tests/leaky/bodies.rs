//! The body of a request to the upstream.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Switch;
use super::identity::{TENANTS, Tenant};
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A tenant that the body names outranks the one its key belongs to.
    pub names_tenant: bool,
    /// The call goes where the body says.
    pub names_upstream: bool,
    /// The call goes with the credential that the body brings.
    pub brings_credential: bool,
    /// A template goes on to the upstream.
    pub brings_template: bool,
    /// Bias and log probabilities go on together.
    pub bias_and_logprobs: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "tenant_in_body",
        row: 9,
        turn: |switches| switches.bodies.names_tenant = true,
    },
    Switch {
        name: "upstream_in_body",
        row: 21,
        turn: |switches| switches.bodies.names_upstream = true,
    },
    Switch {
        name: "credential_in_body",
        row: 21,
        turn: |switches| switches.bodies.brings_credential = true,
    },
    Switch {
        name: "template_in_body",
        row: 32,
        turn: |switches| switches.bodies.brings_template = true,
    },
    Switch {
        name: "bias_with_log_probabilities",
        row: 35,
        turn: |switches| switches.bodies.bias_and_logprobs = true,
    },
];

/// Fields of the OpenAI interface that are handed on; any other is refused by name.
const FIELDS: [&str; 21] = [
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
    "top_logprobs",
    "logit_bias",
];
/// What a caller may say, and what never travels on: the gateway says it itself.
const OVERWRITTEN: [&str; 4] = [
    "user",
    "cache_salt",
    "prompt_cache_key",
    "safety_identifier",
];

/// Whose call this is.
pub fn tenant(switches: &Switches, tenant: Tenant, asked: &Value) -> Tenant {
    let named = TENANTS
        .into_iter()
        .find(|other| asked["tenant_id"] == other.name);
    named.filter(|_| switches.names_tenant).unwrap_or(tenant)
}

/// Where the call goes, where the body decides it.
pub fn destination(switches: &Switches, asked: &Value) -> Option<SocketAddr> {
    let named = asked["api_base"]
        .as_str()
        .filter(|_| switches.names_upstream)?;
    named
        .strip_prefix("http://")?
        .split('/')
        .next()?
        .parse()
        .ok()
}

/// The credential of the call, where the body brings it.
pub fn credential(switches: &Switches, asked: &Value) -> Option<String> {
    let brought = asked["api_key"]
        .as_str()
        .filter(|_| switches.brings_credential)?;
    Some(format!("Bearer {brought}"))
}

/// What the upstream is asked, or what the client hears instead.
pub fn rewrite(switches: &Switches, tenant: Tenant, asked: &Value) -> Result<Value, Reply> {
    let Value::Object(fields) = asked else {
        return Err(Reply::error(400, "the body is not a JSON object"));
    };
    let both = fields.contains_key("logit_bias")
        && (fields.contains_key("logprobs") || fields.contains_key("top_logprobs"));
    if both && !switches.bias_and_logprobs {
        return Err(Reply::error(
            400,
            "logit_bias and logprobs do not go together",
        ));
    }
    let read_here: Vec<&str> = [
        (switches.names_tenant, "tenant_id"),
        (switches.names_upstream, "api_base"),
        (switches.brings_credential, "api_key"),
    ]
    .into_iter()
    .filter_map(|(on, name)| on.then_some(name))
    .collect();
    let mut sent = serde_json::Map::new();
    for (name, value) in fields {
        let template = switches.brings_template && name == "chat_template";
        if FIELDS.contains(&name.as_str()) || template {
            sent.insert(name.clone(), value.clone());
        } else if !read_here.contains(&name.as_str()) && !OVERWRITTEN.contains(&name.as_str()) {
            return Err(Reply::error(400, &format!("unknown field {name}")));
        }
    }
    sent.insert(
        "cache_salt".to_owned(),
        json!(format!("salt-of-{}", tenant.name)),
    );
    Ok(Value::Object(sent))
}
