//! Everything that can be refused, with the answer that the client gets: one place decides status and code.

use policy::{RefusalCode, Right};
use std::time::Duration;

/// Why something was not done. What a client may see of it is [`Refused::status`], [`Refused::code`],
/// [`Refused::kind`] and the message; none of them ever quotes a secret, a name that somebody chose or another tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The credential is unknown, wrong, expired or revoked; which of these it is stays here.
    #[error(
        "incorrect API key provided; nothing was done; use a key that is valid for this deployment"
    )]
    Unauthorized,
    /// The credential is good and the operator has suspended its tenant.
    #[error("this account is suspended; nothing was done; ask whoever runs this deployment")]
    TenantSuspended,
    /// The credential is good and does not reach this far.
    #[error("this key lacks the scope `{needs}`; nothing was done; use a key that has it")]
    Forbidden {
        /// The scope that would have been needed.
        needs: Right,
    },
    /// A steward asked for more than it has, or for what only the operator may do.
    #[error("{what}; nothing was changed; ask whoever runs this deployment")]
    BeyondReach {
        /// What was asked for, in fixed words.
        what: &'static str,
    },
    /// No such thing, or none of yours: the two are the same answer.
    #[error("no such {what}; nothing was done; check the id")]
    NotFound {
        /// The kind of thing, in fixed words.
        what: &'static str,
    },
    /// The model does not exist or the credential's allow-list does not have it.
    #[error(
        "the model does not exist or you do not have access to it; nothing was sent; list the models to see which are yours"
    )]
    ModelNotFound,
    /// A value in the request cannot be.
    #[error("{message}")]
    Invalid {
        /// What is wrong and what to do. Never quotes the value.
        message: String,
        /// The field, where it is one.
        param: Option<&'static str>,
    },
    /// It clashes with what is there.
    #[error("{what}; nothing was changed; choose another or remove the one that is there")]
    Conflict {
        /// What clashes, in fixed words.
        what: &'static str,
    },
    /// A rate, a budget or the number of concurrent calls is used up.
    #[error("{0}")]
    Limited(#[from] policy::Refusal),
    /// The store could not record; a disk may be full. It is tried again with the next call.
    #[error("the store cannot record at the moment; nothing was sent; try again later")]
    StoreUnavailable,
    /// The tenant's keys cannot be opened. It is tried again with the next call.
    #[error(
        "the key service cannot open this tenant's keys at the moment; nothing was sent; try again later"
    )]
    KeyServiceUnavailable,
    /// A bound of the deployment is reached: tenants open at once, work queued for the disk.
    #[error("too much at once; nothing was sent; try again in a moment")]
    Overloaded,
    /// The token's issuer cannot be asked for its keys.
    #[error("the token's issuer does not answer; nothing was done; try again later")]
    IssuerUnavailable,
    /// An internal contradiction. It is logged where it arises, without content.
    #[error("an internal error; nothing was sent; report it to whoever runs this deployment")]
    Internal,
}

impl From<crate::store::StoreError> for Refused {
    fn from(error: crate::store::StoreError) -> Self {
        match error {
            crate::store::StoreError::Busy => Self::Overloaded,
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::StoreUnavailable
            }
        }
    }
}

impl From<crate::keys::KeyError> for Refused {
    fn from(error: crate::keys::KeyError) -> Self {
        tracing::error!(%error, "a tenant's keys do not open");
        Self::KeyServiceUnavailable
    }
}

impl From<crate::seal::SealError> for Refused {
    fn from(error: crate::seal::SealError) -> Self {
        tracing::error!(%error, "a sealed value failed");
        Self::Internal
    }
}

impl From<crate::id::NoRandomness> for Refused {
    fn from(error: crate::id::NoRandomness) -> Self {
        tracing::error!(%error, "nothing can be minted");
        Self::Internal
    }
}

/// Refusals at the door are refusals like any other.
pub type AdmitError = Refused;

/// How soon a client should try again after a fault of ours.
const FAULT_RETRY: Duration = Duration::from_secs(2);

impl Refused {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::TenantSuspended | Self::Forbidden { .. } | Self::BeyondReach { .. } => 403,
            Self::NotFound { .. } | Self::ModelNotFound => 404,
            Self::Invalid { .. } => 400,
            Self::Conflict { .. } => 409,
            Self::Limited(refusal) => limited_status(refusal.code),
            Self::StoreUnavailable
            | Self::KeyServiceUnavailable
            | Self::Overloaded
            | Self::IssuerUnavailable => 503,
            Self::Internal => 500,
        }
    }

    /// The machine-readable `code` of the OpenAI error body.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "invalid_api_key",
            Self::TenantSuspended => "tenant_suspended",
            Self::Forbidden { .. } => "insufficient_scope",
            Self::BeyondReach { .. } => "beyond_reach",
            Self::NotFound { .. } => "not_found",
            Self::ModelNotFound => "model_not_found",
            Self::Invalid { .. } => "invalid_value",
            Self::Conflict { .. } => "conflict",
            Self::Limited(refusal) => refusal.code.as_str(),
            Self::StoreUnavailable => "store_unavailable",
            Self::KeyServiceUnavailable => "key_service_unavailable",
            Self::Overloaded => "overloaded",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::Internal => "internal_error",
        }
    }

    /// The `type` of the OpenAI error body.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            402 => "insufficient_quota",
            429 => "rate_limit_error",
            403 => "permission_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The field of the request that is at fault, where there is one.
    #[must_use]
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { param, .. } => *param,
            Self::ModelNotFound => Some("model"),
            _ => None,
        }
    }

    /// When to try again, where waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(refusal) => refusal.retry_after,
            Self::StoreUnavailable
            | Self::KeyServiceUnavailable
            | Self::Overloaded
            | Self::IssuerUnavailable => Some(FAULT_RETRY),
            _ => None,
        }
    }

    pub(crate) fn invalid(param: &'static str, message: &str) -> Self {
        Self::Invalid {
            message: message.to_owned(),
            param: Some(param),
        }
    }
}

fn limited_status(code: RefusalCode) -> u16 {
    match code {
        RefusalCode::InsufficientPermissions => 403,
        RefusalCode::ModelNotFound => 404,
        RefusalCode::RateLimitExceeded | RefusalCode::ConcurrencyLimit => 429,
        // Not 429: client libraries try that again by themselves, and no trying brings money back.
        RefusalCode::InsufficientQuota | RefusalCode::RequestTooExpensive => 402,
        RefusalCode::ModelNotForRoute
        | RefusalCode::ModelNotPriced
        | RefusalCode::ChoicesOutOfBounds
        | RefusalCode::NoOutput => 400,
    }
}

/// Why the house does not open. For whoever starts the process; never for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HouseError {
    /// Another process has the data folder open.
    #[error(
        "the data folder is in use by another process; nothing was opened; stop that process or choose another data_dir"
    )]
    InUse,
    /// There is no deployment in the folder.
    #[error("the data folder holds no deployment; nothing was opened; run `init` first")]
    NotInitialised,
    /// Keyring and data share a folder, so that a copy of one would be a copy of both.
    #[error(
        "keyring_dir is inside data_dir or the same folder; nothing was opened; keep the keys apart from the data"
    )]
    KeyringInsideData,
    /// A folder or file cannot be used.
    #[error(
        "the data folder cannot be used ({0}); nothing was opened; check that it exists and is writable by this user"
    )]
    Folder(#[from] std::io::Error),
    /// The key provider failed.
    #[error("the key provider failed ({0}); nothing was opened; check its configuration")]
    Keys(#[from] crate::keys::KeyError),
    /// The store failed.
    #[error(
        "the store failed ({0}); nothing was opened; check the disk and the permissions of data_dir, or the database"
    )]
    Store(#[from] crate::store::StoreError),
    /// A copy would go over something that is not an unfinished copy.
    #[error(
        "the copy's target holds another deployment, or this one with another past; nothing in it was changed; name an \
         empty one"
    )]
    OtherDeployment,
    /// The deployment's own keys do not open its data.
    #[error(
        "the deployment's keys do not fit its data; nothing was opened; check that keyring_dir belongs to data_dir"
    )]
    KeysDoNotFit,
}
