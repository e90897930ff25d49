//! The cache of whole answers.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;

use super::Switch;
use super::identity::Tenant;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// The key is the request without its tenant.
    pub shared: bool,
}

pub const SWITCHES: &[Switch] = &[Switch {
    name: "shared_cache",
    row: 2,
    turn: |switches| switches.caching.shared = true,
}];

#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, Reply>>);

impl Cache {
    /// Under which key the answer is kept; none where it is not.
    pub fn key(switches: &Switches, tenant: Tenant, path: &str, body: &Value) -> Option<String> {
        let repeats = body["temperature"] == 0 && body["stream"] != true;
        let whose = if switches.shared { "" } else { tenant.name };
        repeats.then(|| format!("{whose}\n{path}\n{body}"))
    }

    pub fn get(&self, key: &str) -> Option<Reply> {
        self.0.lock().unwrap().get(key).cloned()
    }

    pub fn put(&self, key: String, reply: &Reply) {
        if reply.status == 200 {
            self.0.lock().unwrap().insert(key, reply.clone());
        }
    }
}
