//! Who may ask which model.

use serde_json::{Value, json};

use super::Switch;
use super::identity::Tenant;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A model is kept from nobody who knows its name.
    pub for_all: bool,
}

pub const SWITCHES: &[Switch] = &[Switch {
    name: "models_for_whoever_knows_them",
    row: 27,
    turn: |switches| switches.models.for_all = true,
}];

const OF_ALL: [&str; 3] = ["probe-echo", "probe-echo-2", "probe-embedding"];
const OF_A: &str = "adapter-of-a";

/// Routes that name a model.
const ROUTES: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/// The list of what the tenant is offered.
pub fn page(tenant: Tenant, method: &str, path: &str) -> Option<Reply> {
    ((method, path) == ("GET", "/v1/models")).then(|| list(tenant))
}

fn list(tenant: Tenant) -> Reply {
    let mut names = OF_ALL.to_vec();
    if tenant.name == "tenant-a" {
        names.push(OF_A);
    }
    let data: Vec<Value> = names
        .iter()
        .map(|id| json!({"id": id, "object": "model"}))
        .collect();
    Reply::json(&json!({"object": "list", "data": data}))
}

/// Whether the tenant may ask for this one.
pub fn offered(
    switches: &Switches,
    tenant: Tenant,
    path: &str,
    asked: &Value,
) -> Result<(), Reply> {
    if !ROUTES.contains(&path) {
        return Ok(());
    }
    let name = asked["model"].as_str().unwrap_or_default();
    let own = OF_ALL.contains(&name) || name == OF_A && tenant.name == "tenant-a";
    if own || switches.for_all && name == OF_A {
        return Ok(());
    }
    Err(Reply::error(404, &format!("there is no model {name}")))
}
