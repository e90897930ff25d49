//! What parts the engine's cache, and what must not reach it.

use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// One salt for everybody.
    pub shared: bool,
    /// One route was forgotten.
    pub dropped_on_completions: bool,
    /// The caller's salt goes in place of our own.
    pub callers: bool,
    /// Hashes of content are handed on.
    pub hashes: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "shared_salt",
        row: 15,
        turn: |switches| switches.salts.shared = true,
    },
    Switch {
        name: "salt_dropped_on_completions",
        row: 16,
        turn: |switches| switches.salts.dropped_on_completions = true,
    },
    Switch {
        name: "callers_salt",
        row: 17,
        turn: |switches| switches.salts.callers = true,
    },
    Switch {
        name: "content_hashes",
        row: 18,
        turn: |switches| switches.salts.hashes = true,
    },
];

/// Fields of a message's part that are handed on.
const OF_A_PART: [&str; 3] = ["type", "text", "image_url"];

/// Writes the salt, and takes out what a client says about the hash of its content.
pub fn finish(switches: &Switches, tenant: Tenant, path: &str, asked: &Value, sent: &mut Value) {
    sent["cache_salt"] = match asked.get("cache_salt") {
        Some(callers) if switches.callers => callers.clone(),
        _ if switches.shared => json!("salt-of-everyone"),
        _ => json!(format!("salt-of-{}", tenant.name)),
    };
    if switches.dropped_on_completions && path == "/v1/completions" {
        sent.as_object_mut().unwrap().remove("cache_salt");
    }
    if switches.hashes {
        return;
    }
    for message in sent["messages"].as_array_mut().into_iter().flatten() {
        for part in message["content"].as_array_mut().into_iter().flatten() {
            if let Some(fields) = part.as_object_mut() {
                fields.retain(|name, _| OF_A_PART.contains(&name.as_str()));
            }
            if let Some(image) = part.get_mut("image_url").and_then(Value::as_object_mut) {
                image.retain(|name, _| name == "url");
            }
        }
    }
}
