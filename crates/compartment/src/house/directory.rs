//! Which tenant a credential leads to. It holds ids and blind indexes; what is found here proves nothing yet.

use crate::{
    credential::{Claims, IssuerPin},
    error::Refused,
    id::{ApiKeyId, IssuerId, TenantId},
    journal::JournalKeys,
    keyset::DeploymentKeys,
    store::{ClaimPlace, Deployment, LoggedHead, StoreError},
};
use evidence::{VerifierKey, deployment::Head};
use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use std::{num::NonZeroUsize, sync::Arc};

/// How many keys, and how many issuers, are found without the disk: some 50 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// The most tenant claims of one token that are looked for.
const MAX_CLAIMS: usize = 128;

/// The deployment's directory.
pub(crate) struct Directory {
    pub(super) db: Box<dyn Deployment>,
    pub(super) keys: DeploymentKeys,
    pub(super) log: JournalKeys,
    by_key: Mutex<LruCache<ApiKeyId, TenantId>>,
    by_claim: Mutex<LruCache<[u8; 32], (TenantId, IssuerId)>>,
}

impl Directory {
    pub(super) fn new(db: Box<dyn Deployment>, keys: DeploymentKeys, log: JournalKeys) -> Self {
        Self {
            db,
            keys,
            log,
            by_key: Mutex::new(LruCache::new(REMEMBERED)),
            by_claim: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// Runs `work` where it may block.
    pub(super) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        Ok(done.map_err(|_| Refused::Internal)??)
    }

    pub(super) async fn tenant_of_key(
        self: &Arc<Self>,
        key: ApiKeyId,
    ) -> Result<Option<TenantId>, Refused> {
        if let Some(tenant) = self.by_key.lock().get(&key) {
            return Ok(Some(*tenant));
        }
        let found = self.with(move |this| this.db.tenant_of_key(&key)).await?;
        if let Some(tenant) = found {
            self.by_key.lock().put(key, tenant);
        }
        Ok(found)
    }

    /// Looks for every claim of the token that could be a tenant claim. At most one leads anywhere: all pins of one issuer
    /// go by the same claim, and each value of it is one pin's.
    pub(super) async fn tenant_of_token(
        self: &Arc<Self>,
        claims: &Claims,
    ) -> Result<Option<(TenantId, IssuerId)>, Refused> {
        let Some(issuer) = claims.issuer() else {
            return Ok(None);
        };
        let places: Vec<_> = claims
            .texts()
            .take(MAX_CLAIMS)
            .map(|(claim, value)| self.keys.index_claim(issuer, claim, value))
            .collect();
        let remembered = {
            let mut by_claim = self.by_claim.lock();
            places.iter().find_map(|place| by_claim.get(place).copied())
        };
        if remembered.is_some() {
            return Ok(remembered);
        }
        let found = self.with(move |this| this.find(&places)).await?;
        let Some((place, tenant, issuer)) = found else {
            return Ok(None);
        };
        self.by_claim.lock().put(place, (tenant, issuer));
        Ok(Some((tenant, issuer)))
    }

    fn find(
        &self,
        places: &[[u8; 32]],
    ) -> Result<Option<([u8; 32], TenantId, IssuerId)>, StoreError> {
        for place in places {
            if let Some((tenant, issuer)) = self.db.tenant_of_claim(place)? {
                return Ok(Some((*place, tenant, issuer)));
            }
        }
        Ok(None)
    }

    pub(crate) async fn add_key(
        self: &Arc<Self>,
        key: ApiKeyId,
        tenant: TenantId,
    ) -> Result<(), Refused> {
        self.with(move |this| this.db.add_key(&key, &tenant)).await
    }

    /// Enters a pin, unless issuer and tenant claim are another pin's, or others tell this issuer's tenants apart by
    /// another claim.
    pub(crate) async fn add_issuer(
        self: &Arc<Self>,
        pin: &IssuerPin,
        tenant: TenantId,
        id: IssuerId,
    ) -> Result<(), Refused> {
        let place = self.place(pin);
        if self
            .with(move |this| this.db.add_claim(&place, &tenant, &id))
            .await?
        {
            return Ok(());
        }
        Err(Refused::Conflict {
            what: "this issuer's tenant claim is taken, or is not the one that tells its tenants apart",
        })
    }

    /// Takes out what leads to `id`, except `but`.
    pub(crate) async fn forget_issuer(
        self: &Arc<Self>,
        tenant: TenantId,
        id: IssuerId,
        but: Option<&IssuerPin>,
    ) -> Result<(), Refused> {
        let but = but.map(|pin| self.place(pin).value);
        self.with(move |this| this.db.remove_claims(&tenant, &id, but.as_ref()))
            .await?;
        self.forget_claims();
        Ok(())
    }

    /// Forgets where claims lead: what led to a pin that is gone was remembered while it went.
    pub(super) fn forget_claims(&self) {
        self.by_claim.lock().clear();
    }

    fn place(&self, pin: &IssuerPin) -> ClaimPlace {
        let claim = &pin.tenant_claim;
        ClaimPlace {
            token_issuer: self.keys.index_issuer(&pin.issuer),
            name: self.keys.index_claim_name(&pin.issuer, &claim.name),
            value: self
                .keys
                .index_claim(&pin.issuer, &claim.name, &claim.value),
        }
    }
}

/// The deployment log.
impl Directory {
    /// The key that verifies the deployment log's checkpoints.
    pub(crate) fn log_key(&self) -> &VerifierKey {
        self.log.vkey()
    }

    /// The newest head of a journal with at most `size` records, and the deployment log's checkpoint over it. Blocks.
    pub(crate) fn logged_head(
        &self,
        tenant: &TenantId,
        size: u64,
    ) -> Result<Option<(String, LoggedHead)>, StoreError> {
        let Some((log_size, note)) = self.db.checkpoint()? else {
            return Ok(None);
        };
        Ok(self
            .db
            .head(tenant, size, log_size)?
            .map(|head| (note, head)))
    }

    /// Appends heads and signs the log. Blocks.
    pub(super) fn log_heads(
        &self,
        heads: &[(TenantId, Head)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.db
            .append_heads(heads, now, &|size, root| self.log.sign(size, root, now))
    }
}
