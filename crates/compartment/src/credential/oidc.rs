//! A tenant's own token issuer, pinned: what a token must say and who must have signed it.

use super::{
    Algorithm, Claims, CredentialError, KeySet, PresentedJwt, Reason, session_token::is_name,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use url::Url;

/// How far an issuer's clock may be ahead of ours. An end is an end: `exp` has no leeway.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
const MAX_TEXT_BYTES: usize = 512;
/// Claims with a meaning of their own, which cannot say which tenant a token is for.
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The claim that says which tenant a token is for, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantClaim {
    /// The claim's name, exactly. Dots and slashes are part of the name.
    pub name: String,
    /// The text that it must be, exactly.
    pub value: String,
}

/// One issuer as a tenant pinned it. Its tokens are this tenant's only with every one of these matched exactly.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerPin {
    /// `iss`, exactly: an https URL.
    pub issuer: String,
    /// `aud`, exactly. A token for several audiences is refused: any of them could use it here.
    pub audience: String,
    /// The algorithms it may sign with; at least one.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the tenant. Without it, every customer of a shared issuer would be this tenant.
    pub tenant_claim: TenantClaim,
    /// The claim that names the end user.
    #[serde(default = "sub")]
    pub subject_claim: String,
    /// The claim that names the session, where sessions matter. If it is set, a token must have it.
    #[serde(default)]
    pub session_claim: Option<String>,
    /// Where its keys are: an https URL.
    pub jwks_uri: Url,
}

fn sub() -> String {
    "sub".to_owned()
}

impl fmt::Debug for IssuerPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerPin")
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Why a pin cannot be: which field, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {takes}; the issuer was not changed; correct it")]
pub struct PinError {
    /// The field at fault.
    pub field: &'static str,
    /// What it takes.
    pub takes: &'static str,
}

impl IssuerPin {
    /// Checks that the pin can be used. A pin that was not checked is not to be stored.
    ///
    /// Whoever fetches the keys must also refuse to connect to addresses inside the deployment's own network: a name can
    /// resolve to anything.
    ///
    /// # Errors
    ///
    /// [`PinError`] that names the field.
    pub fn check(&self) -> Result<(), PinError> {
        let require = |holds, field, takes| {
            if holds {
                Ok(())
            } else {
                Err(PinError { field, takes })
            }
        };
        let text = |text: &str| {
            (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        const TEXT: &str = "takes 1 to 512 bytes without control characters";
        let issuer = Url::parse(&self.issuer).ok();
        require(
            text(&self.issuer)
                && issuer.is_some_and(|url| is_public_https(&url) && url.query().is_none()),
            "issuer",
            "takes an https URL of at most 512 bytes with a host name and without user, query or fragment",
        )?;
        require(
            text(self.jwks_uri.as_str()) && is_public_https(&self.jwks_uri),
            "jwks_uri",
            "takes an https URL of at most 512 bytes with a host name and without user or fragment",
        )?;
        require(text(&self.audience), "audience", TEXT)?;
        require(
            (1..=Algorithm::ALL.len()).contains(&self.algorithms.len()),
            "algorithms",
            "takes 1 to 9 algorithms",
        )?;
        require(text(&self.tenant_claim.value), "tenant_claim.value", TEXT)?;
        let names = [Some(&self.subject_claim), self.session_claim.as_ref()];
        require(
            text(&self.tenant_claim.name)
                && !REGISTERED.contains(&self.tenant_claim.name.as_str())
                && !names.contains(&Some(&self.tenant_claim.name)),
            "tenant_claim.name",
            "takes a claim of its own: not a registered one, nor the subject's or the session's",
        )?;
        require(text(&self.subject_claim), "subject_claim", TEXT)?;
        require(
            self.session_claim.as_deref().is_none_or(text),
            "session_claim",
            TEXT,
        )
    }
}

/// https, a host name (no address, not this machine), no user, no fragment.
fn is_public_https(url: &Url) -> bool {
    let named = match url.host() {
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name != "localhost" && !name.ends_with(".localhost") && !name.is_empty()
        }
        _ => false,
    };
    named
        && url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

/// Whom a proven token stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtIdentity {
    /// The end user, as the issuer names them: 1 to 256 bytes.
    pub subject: String,
    /// The session, where the pin asks for one: likewise.
    pub session: Option<String>,
    /// When the token ends.
    pub expires: Timestamp,
}

impl fmt::Debug for JwtIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIdentity")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Proves a token: signed by one of `keys` with a pinned algorithm, and every claim as pinned, at `now`.
///
/// # Errors
///
/// [`CredentialError`]; its reason is [`Reason::UnknownKey`] where the issuer may have a newer key set.
pub fn verify(
    token: &PresentedJwt<'_>,
    pin: &IssuerPin,
    keys: &KeySet,
    now: Timestamp,
) -> Result<JwtIdentity, CredentialError> {
    if !pin.algorithms.contains(&token.algorithm()) {
        return Err(Reason::Algorithm.into());
    }
    let key = keys.get(token.kid()).ok_or(Reason::UnknownKey)?;
    let claims = token.proven_by(key)?;
    let tenant = claims.text(&pin.tenant_claim.name);
    let matches = claims.issuer() == Some(pin.issuer.as_str())
        && is_audience(claims.get("aud"), &pin.audience)
        && tenant == Some(pin.tenant_claim.value.as_str());
    if !matches {
        return Err(Reason::Claims.into());
    }
    let name = |claim: &str| {
        claims
            .text(claim)
            .filter(|name| is_name(name))
            .map(str::to_owned)
            .ok_or(Reason::Claims)
    };
    let identity = JwtIdentity {
        subject: name(&pin.subject_claim)?,
        session: pin.session_claim.as_deref().map(name).transpose()?,
        expires: time(claims, "exp")?.ok_or(Reason::Claims)?,
    };
    for claim in ["nbf", "iat"] {
        if time(claims, claim)?.is_some_and(|from| from.duration_since(now) > LEEWAY) {
            return Err(Reason::NotYet.into());
        }
    }
    if identity.expires <= now {
        Err(Reason::Expired.into())
    } else {
        Ok(identity)
    }
}

/// The audience as a text, or as a list of that one text.
fn is_audience(claimed: Option<&Value>, audience: &str) -> bool {
    match claimed {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(list)) => {
            matches!(list.as_slice(), [Value::String(one)] if one == audience)
        }
        _ => false,
    }
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, whole or not. What is there must be one.
fn time(claims: &Claims, name: &str) -> Result<Option<Timestamp>, CredentialError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Rounded down: a fraction of a second less, never more.
    let seconds = value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or(Reason::Claims.into())
}
