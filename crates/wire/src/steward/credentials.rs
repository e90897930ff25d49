//! The tenant's own credentials for upstreams.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Secret};
use crate::openai::{BadRequest, check, word};

/// A credential for an upstream, used instead of the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct PutCredential {
    /// What is sent as `Authorization: Bearer …`. 1 to 8192 visible ASCII characters. Never shown again.
    pub secret: Secret,
}

impl Body for PutCredential {
    fn check(&self) -> Result<(), BadRequest> {
        let secret = self.secret.expose();
        check::filled("secret", secret)?;
        check::length("secret", Some(secret), 8192)?;
        // Anything else could not stand in a header, or would be a second one.
        match secret.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(()),
            false => Err(BadRequest::new(
                "invalid_value",
                "secret",
                "Invalid 'secret': expected visible ASCII characters.",
            )),
        }
    }
}

word!(
    /// `credential`.
    CredentialObject = "credential"
);

/// What is known of a credential: not the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Always `credential`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: CredentialObject,
    /// The upstream it is for.
    pub upstream: String,
    /// Grows whenever it is set.
    pub version: u64,
}
