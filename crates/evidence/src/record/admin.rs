//! Who administered the tenant, and how.

use crate::Id;
use serde::{Deserialize, Serialize};

/// An administrative act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Who acted.
    pub actor: Actor,
    /// What was done.
    pub action: AdminAction,
    /// What it was done to: an id, never a name that somebody chose.
    pub object: Option<Id>,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever runs the deployment.
    Operator,
    /// The tenant's own administrator.
    Steward {
        /// The id of the steward's credential.
        credential: Id,
    },
    /// The gateway itself, on a schedule or after a crash.
    System,
}

/// What was done. New actions are added at the end; a verifier refuses the ones it does not know rather than skip them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdminAction {
    /// The tenant was created; usually the journal's first record.
    TenantCreated,
    /// The tenant's calls are refused from here on.
    TenantSuspended,
    /// The tenant's calls are admitted again.
    TenantResumed,
    /// The tenant's root key was destroyed.
    TenantErased,
    /// A credential was minted.
    KeyMinted,
    /// A credential was revoked.
    KeyRevoked,
    /// A credential's scopes, models, limits or expiry changed.
    KeyChanged,
    /// A session token was minted for an end user.
    SessionTokenMinted,
    /// A token issuer was added or changed.
    IssuerSet,
    /// A token issuer was removed.
    IssuerRemoved,
    /// Rates or budgets changed.
    LimitsChanged,
    /// The redaction or model policy changed.
    PolicyChanged,
    /// An upstream credential was stored.
    VaultSet,
    /// An upstream credential was removed.
    VaultRemoved,
    /// The journal was exported.
    JournalExported,
    /// The tenant's keys were rotated.
    KeysRotated,
    /// An end user's key was destroyed.
    SubjectErased,
    /// Somebody used break-glass access.
    BreakGlassUsed,
}
