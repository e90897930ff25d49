//! The tenant's own credentials for upstreams: sealed at rest, opened for the moment they are used.

use crate::{error::Refused, keyset::TenantKeys, seal::Kind, tenant::Tenant};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The most upstream credentials of one tenant.
pub const MAX_UPSTREAM_CREDENTIALS: usize = 64;
/// The longest upstream credential, in bytes.
pub const MAX_UPSTREAM_CREDENTIAL_BYTES: usize = 8192;

/// The tenant's upstream credentials. See [`crate::Compartment::vault`].
pub struct Vault<'a> {
    tenant: &'a Tenant,
}

impl<'a> Vault<'a> {
    pub(crate) fn new(tenant: &'a Tenant) -> Self {
        Self { tenant }
    }

    /// The tenant's own credential for `upstream`, if it has one.
    ///
    /// # Errors
    ///
    /// [`Refused::Internal`] where it does not open. The call must not go out with any other credential then.
    pub fn upstream_credential(
        &self,
        upstream: &str,
    ) -> Result<Option<UpstreamCredential>, Refused> {
        let Some(sealed) = self
            .tenant
            .vault
            .get(&VaultTable::place(&self.tenant.keys, upstream))
        else {
            return Ok(None);
        };
        let content = sealed.open(&self.tenant.keys)?;
        if content.upstream != upstream {
            return Err(Refused::Internal);
        }
        let version = sealed.version;
        let secret = Zeroizing::new(content.secret.clone());
        Ok(Some(UpstreamCredential { secret, version }))
    }
}

impl fmt::Debug for Vault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// A credential for an upstream, in clear. Zeroized when dropped; prints as its length.
pub struct UpstreamCredential {
    secret: Zeroizing<String>,
    version: u64,
}

impl UpstreamCredential {
    /// The credential itself: visible ASCII, fit for a header.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.secret
    }

    /// Grows whenever the credential is set. Part of what a connection pool is looked up by: no connection outlives its
    /// credential.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Debug for UpstreamCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamCredential({} bytes)", self.secret.len())
    }
}

/// What is sealed: the name is in it because the store must not see it.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Content {
    pub(crate) upstream: String,
    pub(crate) secret: String,
}

/// One credential as it is stored.
#[derive(Clone, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) place: [u8; 32],
    pub(crate) version: u64,
    pub(crate) sealed: Vec<u8>,
}

impl Sealed {
    pub(crate) fn seal(
        keys: &TenantKeys,
        content: &Content,
        version: u64,
    ) -> Result<Self, Refused> {
        let place = VaultTable::place(keys, &content.upstream);
        let plain = Zeroizing::new(serde_json::to_vec(content).map_err(|_| Refused::Internal)?);
        let sealed = keys.seal(Kind::UpstreamCredential, &place, version, &plain)?;
        Ok(Self {
            place,
            version,
            sealed,
        })
    }

    pub(crate) fn open(&self, keys: &TenantKeys) -> Result<Content, Refused> {
        let plain = keys.open(
            Kind::UpstreamCredential,
            &self.place,
            self.version,
            &self.sealed,
        )?;
        serde_json::from_slice(&plain).map_err(|_| Refused::Internal)
    }
}

/// The sealed credentials of an open tenant, by the blind index of their upstream's name.
#[derive(Default)]
pub(crate) struct VaultTable(RwLock<BTreeMap<[u8; 32], Arc<Sealed>>>);

impl VaultTable {
    pub(crate) fn new(sealed: impl IntoIterator<Item = Sealed>) -> Self {
        Self(RwLock::new(
            sealed
                .into_iter()
                .map(|one| (one.place, Arc::new(one)))
                .collect(),
        ))
    }

    pub(crate) fn place(keys: &TenantKeys, upstream: &str) -> [u8; 32] {
        keys.index("upstream-credential", upstream)
    }

    pub(crate) fn get(&self, place: &[u8; 32]) -> Option<Arc<Sealed>> {
        self.0.read().get(place).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Sealed>> {
        self.0.read().values().cloned().collect()
    }

    pub(crate) fn put(&self, sealed: Sealed) {
        self.0.write().insert(sealed.place, Arc::new(sealed));
    }

    pub(crate) fn remove(&self, place: &[u8; 32]) {
        self.0.write().remove(place);
    }
}
