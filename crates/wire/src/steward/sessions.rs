//! Session tokens for end users, and who a credential is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Scope, Secret, check_models, check_name};
use crate::openai::{BadRequest, check, word};

/// Longest life of a session token in seconds: one day.
const LONGEST_LIFE: u32 = 86_400;

/// A session token to be minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct MintSession {
    /// The end user, as the tenant calls them, 1 to 128 characters.
    pub subject: String,
    /// One sitting of the end user, 1 to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it expires, in seconds from now, 1 to 86400; 900 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u32>,
    /// The models it may name; those of the minting key where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
}

impl Body for MintSession {
    fn check(&self) -> Result<(), BadRequest> {
        check_name("subject", &self.subject)?;
        self.session
            .as_ref()
            .map_or(Ok(()), |session| check_name("session", session))?;
        check::integer(
            "expires_in_seconds",
            self.expires_in_seconds,
            1,
            LONGEST_LIFE,
        )?;
        check_models(self.models.as_deref())
    }
}

word!(
    /// `session_token`.
    SessionTokenObject = "session_token"
);

/// A session token that was just minted: the only answer that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionToken {
    /// Always `session_token`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: SessionTokenObject,
    /// The token itself, for the end user's `Authorization: Bearer …`.
    pub token: Secret,
    /// When it expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

word!(
    /// `principal`.
    MyselfObject = "principal"
);

/// Kinds of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MyselfKind {
    /// An API key.
    ApiKey,
    /// A session token minted with an API key.
    Session,
    /// A token of a pinned issuer.
    Issuer,
}

/// What the credential of this very request is and may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Myself {
    /// Always `principal`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: MyselfObject,
    /// What it is.
    pub kind: MyselfKind,
    /// Id of the key, of the key that minted the session, or of the issuer.
    pub credential: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The models it may name; `null` for all of the tenant's.
    pub models: Option<Vec<String>>,
    /// True where it speaks for one end user.
    pub is_subject: bool,
    /// When it expires; `null` for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}
