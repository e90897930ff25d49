//! One refusal for every credential that is not good.

use crate::id::NoRandomness;
use std::fmt;

/// The credential is not good. Whatever is wrong with it, callers are told the same words; [`CredentialError::reason`] is
/// for counting.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credential is not valid; nothing was done; use one that is valid for this deployment")]
pub struct CredentialError(Reason);

impl CredentialError {
    /// What is wrong, for metrics. Never for the caller.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0
    }
}

impl From<Reason> for CredentialError {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

impl fmt::Debug for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialError({})", self.0.label())
    }
}

/// What was wrong with a credential, as a label for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is none of the kinds there are, or too long.
    Unrecognised,
    /// Its checksum or encoding is wrong: mistyped, cut off or made up.
    Malformed,
    /// It is well-formed and proves nothing: wrong secret, wrong signature, another tenant's.
    NotProven,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// The header names an algorithm that the issuer is not pinned to, or asks for what is never done.
    Algorithm,
    /// The header names a key that the issuer does not have.
    UnknownKey,
    /// A pinned claim is missing or differs.
    Claims,
    /// The issuer's keys cannot be fetched. The credential may be good: this is a fault, to be tried again.
    IssuerUnavailable,
}

impl Reason {
    /// The label in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unrecognised => "unrecognised",
            Self::Malformed => "malformed",
            Self::NotProven => "not_proven",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Claims => "claims",
            Self::IssuerUnavailable => "issuer_unavailable",
        }
    }
}

/// A credential could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The lifetime is zero or above a day.
    #[error(
        "a session token lives 1 to 86400 seconds; none was made; choose a lifetime within that"
    )]
    Lifetime,
    /// A name is empty, too long or has control characters.
    #[error(
        "a subject or session has 1 to 256 bytes and no control characters; no token was made; shorten it"
    )]
    Name,
    /// The token would not fit its bound.
    #[error("the session token would be too long; none was made; name fewer models")]
    TooLong,
    /// The operating system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}
