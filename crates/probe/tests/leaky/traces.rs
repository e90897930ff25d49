//! What is written down of calls, and who may read it.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Everybody's calls stand in everybody's usage.
    pub of_all: bool,
    /// Anybody reads the metrics, in which texts stand.
    pub open_metrics: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "usage_of_all",
        row: 22,
        turn: |switches| switches.traces.of_all = true,
    },
    Switch {
        name: "open_metrics",
        row: 22,
        turn: |switches| switches.traces.open_metrics = true,
    },
];

#[derive(Default)]
pub struct Traces(Mutex<Vec<(&'static str, String)>>);

impl Traces {
    pub fn note(&self, tenant: Tenant, asked: &Value) {
        self.0
            .lock()
            .unwrap()
            .push((tenant.name, asked.to_string()));
    }

    /// What everybody may read.
    pub fn page(&self, switches: &Switches, path: &str) -> Option<Reply> {
        (switches.open_metrics && path == "/metrics").then(|| {
            let all = self.0.lock().unwrap();
            Reply::json(&json!({"calls": all.len(), "texts": all.iter().map(|(_, text)| text).collect::<Vec<_>>()}))
        })
    }

    /// What a tenant may read.
    pub fn usage(&self, switches: &Switches, tenant: Tenant, path: &str) -> Option<Reply> {
        (path == "/v1/usage").then(|| {
            let all = self.0.lock().unwrap();
            let own: Vec<&String> = all
                .iter()
                .filter(|(owner, _)| switches.of_all || *owner == tenant.name)
                .map(|(_, text)| text)
                .collect();
            Reply::json(&json!({"calls": own.len(), "texts": own}))
        })
    }
}
