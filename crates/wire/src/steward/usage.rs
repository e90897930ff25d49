//! Usage.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ListObject;

/// What usage is summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// One row per day.
    Day,
    /// One row per key.
    Key,
    /// One row per model.
    Model,
    /// One row per day, key and model.
    Each,
}

/// Which usage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// First day, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    /// Last day, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub to: Option<Date>,
    /// Of this key only, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of this model only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What rows are summed by; `each` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UsageBy>,
}

/// One sum of usage. A field that rows are not summed by is `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// The day, UTC.
    #[schema(value_type = Option<String>, format = Date)]
    pub day: Option<Date>,
    /// The key's id, or that of the issuer of the end user's token.
    pub key: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Calls that were admitted.
    pub calls: u64,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Tokens in that the upstream took from its cache.
    pub cached_input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// What they cost, a decimal string.
    pub cost: String,
}

/// Usage in rows and as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageList {
    /// Always `list`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ListObject,
    /// The rows, in order of what they are summed by.
    pub data: Vec<UsageRow>,
    /// There are more rows than could be returned; ask for fewer days.
    pub has_more: bool,
    /// Sum over everything asked for, rows not returned included.
    pub total: UsageRow,
    /// Currency of every `cost`, such as `USD`.
    pub currency: String,
}
