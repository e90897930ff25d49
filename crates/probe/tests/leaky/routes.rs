//! Which routes there are.

use serde_json::json;

use super::Switch;
use super::identity::TENANTS;
use super::upstream::Reply;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Whatever path is asked for is asked of the upstream.
    pub any_path: bool,
    /// Any key administrates.
    pub open_admin: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "any_path",
        row: 34,
        turn: |switches| switches.routes.any_path = true,
    },
    Switch {
        name: "open_administration",
        row: 9,
        turn: |switches| switches.routes.open_admin = true,
    },
];

const ROUTES: [(&str, &str); 4] = [
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
];

/// Whether this is handed on to the upstream; everything else is a 404.
pub fn offered(switches: &Switches, method: &str, path: &str) -> bool {
    ROUTES.contains(&(method, path)) || switches.any_path
}

/// The list of tenants, for whoever may have it.
pub fn administration(switches: &Switches, method: &str, path: &str) -> Option<Reply> {
    let shown = switches.open_admin && (method, path) == ("GET", "/admin/tenants");
    shown.then(|| Reply::json(&json!({"data": TENANTS.map(|tenant| tenant.name)})))
}
