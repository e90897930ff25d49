//! The root of all of one owner's keys.

use super::{Purpose, Secret32, purpose};
use crate::id::TenantId;
use std::fmt;

/// The root key of one tenant, or of the deployment. It seals nothing itself: everything uses a key derived from it.
pub struct RootKey {
    owner: Option<TenantId>,
    secret: Secret32,
}

impl RootKey {
    pub(super) fn new(owner: Option<TenantId>, secret: Secret32) -> Self {
        Self { owner, secret }
    }

    /// The key for one purpose.
    #[must_use]
    pub fn derive(&self, purpose: Purpose) -> Secret32 {
        purpose::derive(&self.secret, purpose.label())
    }

    /// The tenant it belongs to; `None` for the deployment's own.
    pub(crate) fn owner(&self) -> Option<&TenantId> {
        self.owner.as_ref()
    }
}

#[cfg(test)]
impl RootKey {
    pub(crate) fn secret(&self) -> &Secret32 {
        &self.secret
    }

    /// A root that no keyring knows, for tests of what is derived.
    pub(crate) fn of(secret: Secret32) -> Self {
        Self::new(None, secret)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootKey")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
