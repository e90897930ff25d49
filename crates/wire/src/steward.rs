//! `/tenant/v1/…`: what a tenant's own steward sends and gets. The operator's routes about one tenant have the same
//! shapes ([`crate::admin`]).
//!
//! Times are RFC 3339 in UTC. Money is a decimal string in the catalogue's currency, such as `"12.50"`; this crate hands it
//! on as it is. No shape names a tenant: whose it is follows from the credential.

mod calls;
mod credentials;
mod issuers;
mod journal;
mod keys;
mod limits;
mod list;
mod secret;
mod sessions;
mod usage;

pub use calls::{Call, CallObject, CallState};
pub use credentials::{Credential, CredentialObject, PutCredential};
pub use issuers::{Issuer, IssuerObject, PutIssuer, TenantClaim};
pub use journal::{
    Checkpoint, CheckpointObject, InclusionProof, InclusionProofObject, ProofQuery, RecordRow,
    RecordsQuery,
};
pub use keys::{ApiKey, ApiKeyObject, ChangeKey, KeyState, MintKey, MintedKey, Scope};
pub use limits::{LimitSet, Limits, LimitsObject, LimitsView};
pub use list::{Deleted, List, ListObject, ListQuery};
pub use secret::Secret;
pub use sessions::{
    MintSession, Myself, MyselfKind, MyselfObject, SessionToken, SessionTokenObject,
};
pub use usage::{UsageBy, UsageList, UsageQuery, UsageRow};

use serde::de::DeserializeOwned;

use crate::openai::BadRequest;

/// A body that a steward or an operator sends.
pub trait Body: DeserializeOwned {
    /// Refuses what is out of its bounds.
    ///
    /// # Errors
    /// [`BadRequest`] naming the field.
    fn check(&self) -> Result<(), BadRequest>;

    /// Parses and checks a body: unknown and repeated fields are refused by name.
    ///
    /// # Errors
    /// [`BadRequest`] naming the field. It holds no value of the body.
    fn parse(body: &[u8]) -> Result<Self, BadRequest> {
        let parsed: Self = crate::openai::parse_body(body)?;
        parsed.check()?;
        Ok(parsed)
    }
}

/// An answer of these routes, as JSON.
pub fn write(answer: &impl serde::Serialize) -> Vec<u8> {
    crate::json::write(answer)
}

/// Refuses names that are empty, longer than 128 characters, or hold control characters.
pub(crate) fn check_name(param: &str, name: &str) -> Result<(), BadRequest> {
    use crate::openai::check;
    check::filled(param, name)?;
    check::length(param, Some(name), 128)?;
    match name.contains(char::is_control) {
        true => Err(BadRequest::new(
            "invalid_value",
            param,
            format!("Invalid '{param}': control characters."),
        )),
        false => Ok(()),
    }
}

/// Refuses model lists that are too long or hold empty names.
pub(crate) fn check_models(models: Option<&[String]>) -> Result<(), BadRequest> {
    use crate::openai::check;
    let models = models.unwrap_or_default();
    check::items("models", models.len(), 0, 256)?;
    models
        .iter()
        .try_for_each(|model| check_name("models", model))
}

/// Reads a field that can be absent (`None`), `null` (`Some(None)`) or there.
pub(crate) fn nullable<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    <Option<T> as serde::Deserialize>::deserialize(from).map(Some)
}
