//! `/admin/v1/…`: what an operator sends and gets. Keys, limits, usage, issuers and journals of a tenant have the shapes of
//! [`crate::steward`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::openai::{BadRequest, word};
use crate::steward::{Body, check_name};

/// A tenant to be made. Making one twice under the same name gives the same tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreateTenant {
    /// For the operator, 1 to 128 characters, one tenant each. Kept sealed.
    pub name: String,
}

impl Body for CreateTenant {
    fn check(&self) -> Result<(), BadRequest> {
        check_name("name", &self.name)
    }
}

/// Changes of a tenant. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeTenant {
    /// Suspends it or lets it go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TenantState>,
}

impl Body for ChangeTenant {
    fn check(&self) -> Result<(), BadRequest> {
        Ok(())
    }
}

/// May a tenant's credentials be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// They may.
    Active,
    /// Every call is refused.
    Suspended,
}

word!(
    /// `tenant`.
    TenantObject = "tenant"
);

/// What an operator knows of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// `ten_` and 32 hexadecimal digits.
    pub id: String,
    /// Always `tenant`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: TenantObject,
    /// The operator's name for it.
    pub name: String,
    /// May its credentials be used?
    pub state: TenantState,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What a model costs. All prices are decimal strings per million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelPrice {
    /// Input.
    pub input: String,
    /// Input that the upstream took from its cache.
    pub cached_input: Option<String>,
    /// Output.
    pub output: String,
    /// Currency, such as `USD`.
    pub currency: String,
}

word!(
    /// `model_route`.
    ModelRouteObject = "model_route"
);

/// A model as this deployment routes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelRoute {
    /// The name callers use.
    pub id: String,
    /// Always `model_route`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ModelRouteObject,
    /// The upstream that serves it.
    pub upstream: String,
    /// The upstream's name for it.
    pub upstream_model: String,
    /// Declared to cost nothing.
    pub free: bool,
    /// What it costs; `null` where it is free, or has no price and is refused.
    pub price: Option<ModelPrice>,
    /// Most tokens of one answer.
    pub max_output_tokens: Option<u32>,
}

/// Can the gateway do its work?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// It can.
    Ok,
    /// It cannot.
    Failing,
}

/// The answer of `/healthz` and `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Everything together.
    pub status: HealthState,
    /// What was looked at; empty for `/healthz`.
    pub checks: Vec<HealthCheck>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthCheck {
    /// Such as `keys` or `store`.
    pub name: String,
    /// How it is.
    pub status: HealthState,
    /// What the operator can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
