//! Tenants with their keys, made through the control plane as an operator would.

use serde_json::json;

use super::client::Client;
use super::gateway::Gateway;

/// A tenant with an application key and a steward key.
pub struct Tenant {
    pub id: String,
    pub app_key: String,
    pub app_key_id: String,
    pub steward_key: String,
    pub steward_key_id: String,
}

impl Tenant {
    pub fn create(gateway: &Gateway, name: &str) -> Tenant {
        let operator = gateway.operator();
        let made = operator
            .post("/admin/v1/tenants", &json!({"name": name}))
            .ok();
        let id = made["id"].as_str().unwrap().to_owned();
        let (app_key_id, app_key) = mint(
            &operator,
            &id,
            &json!({"name": "app", "scopes": ["infer", "mint_sessions"]}),
        );
        let (steward_key_id, steward_key) = mint(
            &operator,
            &id,
            &json!({"name": "steward", "scopes": ["steward", "audit"]}),
        );
        Tenant {
            id,
            app_key,
            app_key_id,
            steward_key,
            steward_key_id,
        }
    }

    pub fn app(&self, gateway: &Gateway) -> Client {
        gateway.caller(&self.app_key)
    }

    pub fn steward(&self, gateway: &Gateway) -> Client {
        gateway.caller(&self.steward_key)
    }

    /// Sets the operator's limits on the tenant.
    pub fn limit(&self, gateway: &Gateway, limits: serde_json::Value) {
        gateway
            .operator()
            .call(
                "PUT",
                &format!("/admin/v1/tenants/{}/limits", self.id),
                Some(&limits),
            )
            .ok();
    }
}

/// Mints a key: its id, and the key itself.
pub fn mint(operator: &Client, tenant: &str, wanted: &serde_json::Value) -> (String, String) {
    let made = operator
        .post(&format!("/admin/v1/tenants/{tenant}/keys"), wanted)
        .ok();
    (
        made["id"].as_str().unwrap().to_owned(),
        made["key"].as_str().unwrap().to_owned(),
    )
}
