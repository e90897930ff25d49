//! API keys.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Limits, Secret, check_models, check_name, nullable};
use crate::openai::{BadRequest, check, word};

/// Longest life of a key that is given in seconds: ten years.
const LONGEST_LIFE: u32 = 315_360_000;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Call models, list models, read its own calls.
    Infer,
    /// Mint session tokens for end users.
    MintSessions,
    /// Administer the tenant.
    Steward,
    /// Read and verify the journal.
    Audit,
}

/// A key to be minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct MintKey {
    /// For people, 1 to 128 characters.
    pub name: String,
    /// At least one, each once.
    pub scopes: Vec<Scope>,
    /// The models it may name; all of the tenant's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it expires, in seconds from now. Not together with `expires_at`. Never where both are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u32>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Limits of this key, below those of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl Body for MintKey {
    fn check(&self) -> Result<(), BadRequest> {
        check_name("name", &self.name)?;
        check_scopes(&self.scopes)?;
        check_models(self.models.as_deref())?;
        check::integer(
            "expires_in_seconds",
            self.expires_in_seconds,
            1,
            LONGEST_LIFE,
        )?;
        check::together(
            "expires_at",
            self.expires_at.is_some() && self.expires_in_seconds.is_some(),
            "Setting 'expires_at' and 'expires_in_seconds' at the same time is not supported. Send one of them.",
        )?;
        self.limits
            .as_ref()
            .map_or(Ok(()), |limits| limits.check("limits"))
    }
}

impl MintKey {
    /// When the key expires, for one that is minted `now`. `None` for never.
    pub fn expires(&self, now: Timestamp) -> Option<Timestamp> {
        let seconds = self
            .expires_in_seconds
            .map(|seconds| jiff::SignedDuration::from_secs(seconds.into()));
        self.expires_at
            .or_else(|| seconds.and_then(|life| now.checked_add(life).ok()))
    }
}

/// Changes of a key. Absent fields stay as they are; `null` takes a limit away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeKey {
    /// For people, 1 to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At least one, each once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// The models it may name; `null` for all of the tenant's.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable"
    )]
    #[schema(value_type = Option<Vec<String>>)]
    pub models: Option<Option<Vec<String>>>,
    /// When it expires; `null` for never.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<Timestamp>>,
    /// Limits of this key as a whole; `null` for none of its own.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable"
    )]
    #[schema(value_type = Option<Limits>)]
    pub limits: Option<Option<Limits>>,
}

impl Body for ChangeKey {
    fn check(&self) -> Result<(), BadRequest> {
        self.name
            .as_ref()
            .map_or(Ok(()), |name| check_name("name", name))?;
        self.scopes
            .as_ref()
            .map_or(Ok(()), |scopes| check_scopes(scopes))?;
        check_models(self.models.iter().flatten().next().map(Vec::as_slice))?;
        self.limits
            .iter()
            .flatten()
            .try_for_each(|limits| limits.check("limits"))
    }
}

fn check_scopes(scopes: &[Scope]) -> Result<(), BadRequest> {
    check::items("scopes", scopes.len(), 1, 4)?;
    let mut sorted = scopes.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    match sorted.len() == scopes.len() {
        true => Ok(()),
        false => Err(BadRequest::new(
            "invalid_value",
            "scopes",
            "Invalid 'scopes': a scope stands twice.",
        )),
    }
}

word!(
    /// `api_key`.
    ApiKeyObject = "api_key"
);

/// Can a key be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It can.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// `key_` and 32 hexadecimal digits.
    pub id: String,
    /// Always `api_key`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: ApiKeyObject,
    /// For people.
    pub name: String,
    /// Can it be used?
    pub state: KeyState,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The models it may name; `null` for all of the tenant's.
    pub models: Option<Vec<String>>,
    /// Its own limits.
    pub limits: Limits,
    /// When it was minted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it expires; `null` for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// A key that was just minted: the only answer that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MintedKey {
    /// The key itself. It is shown once and kept nowhere.
    pub key: Secret,
    /// What is known of it.
    #[serde(flatten)]
    pub facts: ApiKey,
}
