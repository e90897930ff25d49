//! One call.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::openai::word;

word!(
    /// `call`.
    CallObject = "call"
);

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Admitted and not settled yet.
    Running,
    /// Settled.
    Settled,
}

/// What is known of one call. Nothing of what was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Call {
    /// `call_` and 32 hexadecimal digits.
    pub id: String,
    /// Always `call`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: CallObject,
    /// How far it is.
    pub state: CallState,
    /// The route, such as `/v1/chat/completions`.
    pub route: String,
    /// The model as the caller names it.
    pub model: String,
    /// The upstream it was sent to.
    pub upstream: String,
    /// Id of the key it was made with, or of the issuer of the end user's token.
    pub credential: String,
    /// The end user, blinded: alike for the same end user of the same tenant.
    pub subject: Option<String>,
    /// The end user's session, blinded.
    pub session: Option<String>,
    /// When it was admitted.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it was settled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Timestamp>,
    /// How it ended, such as `completed` or `abandoned`.
    pub outcome: Option<String>,
    /// HTTP status the caller got.
    pub status: Option<u16>,
    /// Tokens in.
    pub input_tokens: Option<u64>,
    /// Tokens out.
    pub output_tokens: Option<u64>,
    /// What was reserved for it, a decimal string.
    pub reserved: String,
    /// What it cost, a decimal string.
    pub cost: Option<String>,
}
