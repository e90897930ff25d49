//! Token issuers a tenant trusts for its own end users.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Secret, check_models, check_name};
use crate::openai::{BadRequest, check, word};

/// Longest address, audience or claim, in characters.
const LONGEST: usize = 1024;

/// An issuer to be pinned. Its tokens may infer and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct PutIssuer {
    /// `iss` of its tokens, exactly: an https URL.
    pub issuer: String,
    /// `aud` of its tokens, exactly.
    pub audience: String,
    /// Algorithms it may sign with, such as `RS256`; never `none` or a shared-secret one.
    pub algorithms: Vec<String>,
    /// The claim that names the tenant at the issuer.
    pub tenant_claim: TenantClaim,
    /// The claim that names the end user; `sub` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_claim: Option<String>,
    /// The claim that names the session, where sessions matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_claim: Option<String>,
    /// Where its keys are: an https URL.
    pub jwks_uri: String,
    /// The models its tokens may name; all of the tenant's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// A token of the issuer that is valid now, as proof that this tenant is the issuer's customer. A steward sends one, the
    /// operator need not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Secret>,
}

/// A claim with a fixed value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct TenantClaim {
    /// Name of the claim.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Body for PutIssuer {
    fn check(&self) -> Result<(), BadRequest> {
        let texts = [
            ("issuer", Some(&self.issuer)),
            ("audience", Some(&self.audience)),
            ("tenant_claim.name", Some(&self.tenant_claim.name)),
            ("tenant_claim.value", Some(&self.tenant_claim.value)),
            ("subject_claim", self.subject_claim.as_ref()),
            ("session_claim", self.session_claim.as_ref()),
            ("jwks_uri", Some(&self.jwks_uri)),
        ];
        for (param, text) in texts
            .into_iter()
            .filter_map(|(param, text)| Some((param, text?)))
        {
            check::filled(param, text)?;
            check::length(param, Some(text), LONGEST)?;
        }
        check::items("algorithms", self.algorithms.len(), 1, 16)?;
        self.algorithms
            .iter()
            .try_for_each(|algorithm| check_name("algorithms", algorithm))?;
        check::length("proof", self.proof.as_ref().map(Secret::expose), 16_384)?;
        check_models(self.models.as_deref())
    }
}

word!(
    /// `issuer`.
    IssuerObject = "issuer"
);

/// A pinned issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Issuer {
    /// Its id, as in the path.
    pub id: String,
    /// Always `issuer`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: IssuerObject,
    /// `iss` of its tokens.
    pub issuer: String,
    /// `aud` of its tokens.
    pub audience: String,
    /// Algorithms it may sign with.
    pub algorithms: Vec<String>,
    /// The claim that names the tenant at the issuer.
    pub tenant_claim: TenantClaim,
    /// The claim that names the end user.
    pub subject_claim: String,
    /// The claim that names the session.
    pub session_claim: Option<String>,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The models its tokens may name; `null` for all of the tenant's.
    pub models: Option<Vec<String>>,
    /// When it was pinned first, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
}
