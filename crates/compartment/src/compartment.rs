//! The open handle on everything one tenant owns.

use crate::{
    administration::{Actor, Administration, JournalView},
    calls::Calls,
    error::Refused,
    principal::Principal,
    tenant::Tenant,
    vault::Vault,
};
use jiff::Timestamp;
use policy::Right;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

/// Everything one tenant owns, as far as the credential it was opened with reaches. Only the gatehouse makes one, and
/// nothing it gives names another tenant.
///
/// It is a handle: cloning it is cheap, and a request takes its own. While one is held its tenant stays open, so nothing
/// that outlives requests holds one, a [`Compartment::resident`] least of all.
#[derive(Clone)]
pub struct Compartment {
    tenant: Arc<Tenant>,
    reach: Reach,
}

/// How far a handle reaches inside its compartment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything of the tenant.
    Whole,
    /// What belongs to one end user, whose blinded name this is.
    Subject([u8; 16]),
}

impl Reach {
    fn of(who: &Principal) -> Self {
        who.subject
            .map_or(Self::Whole, |subject| Self::Subject(subject.stored))
    }
}

impl Compartment {
    /// For the gatehouse alone: `who` was proven to be of `tenant`.
    pub(crate) fn new(tenant: Arc<Tenant>, who: &Principal) -> Self {
        Self {
            tenant,
            reach: Reach::of(who),
        }
    }

    /// The tenant, if `who` was admitted to it and is still good: a handle that is held for long does not outlive the
    /// credential.
    pub(crate) fn tenant_of(
        &self,
        who: &Principal,
        now: Timestamp,
    ) -> Result<&Arc<Tenant>, Refused> {
        let came_together = who.home == self.tenant.id && Reach::of(who) == self.reach;
        if !came_together || !self.tenant.still_admits(who, now) {
            return Err(Refused::Unauthorized);
        }
        if self.tenant.is_suspended() {
            return Err(Refused::TenantSuspended);
        }
        Ok(&self.tenant)
    }

    fn tenant_with(
        &self,
        who: &Principal,
        needs: Right,
        now: Timestamp,
    ) -> Result<&Arc<Tenant>, Refused> {
        let tenant = self.tenant_of(who, now)?;
        if who.scopes.allow(needs) {
            Ok(tenant)
        } else {
            Err(Refused::Forbidden { needs })
        }
    }

    /// The calls that this handle reaches: all of the tenant's, or those of its end user.
    #[must_use]
    pub fn calls(&self) -> Calls<'_> {
        Calls::new(&self.tenant, self.reach)
    }

    /// The one `T` of this compartment, made at first use: a connection pool, a cell. It lives while the tenant is open
    /// and is dropped with it. At most one for each type; two purposes are two types.
    ///
    /// `make` runs under a lock, so it neither blocks nor asks for another resident.
    pub fn resident<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.tenant.residents.get(make)
    }

    /// The tenant's own upstream credentials.
    #[must_use]
    pub fn vault(&self) -> Vault<'_> {
        Vault::new(&self.tenant)
    }

    /// Whether `who` may call `model`, for listing models.
    #[must_use]
    pub fn may_use(&self, who: &Principal, model: &str) -> bool {
        who.home == self.tenant.id && who.scopes.allow(Right::Infer) && who.models.allow(model)
    }

    /// The tenant's administration, for a credential with the scope `steward`.
    ///
    /// # Errors
    ///
    /// [`Refused::Forbidden`] without that scope.
    pub fn steward(&self, who: &Principal, now: Timestamp) -> Result<Administration, Refused> {
        let tenant = self.tenant_with(who, Right::Steward, now)?;
        Ok(Administration::new(Arc::clone(tenant), Actor::steward(who)))
    }

    /// The tenant's journal, for a credential with the scope `audit`.
    ///
    /// # Errors
    ///
    /// [`Refused::Forbidden`] without that scope.
    pub fn auditor(&self, who: &Principal, now: Timestamp) -> Result<JournalView, Refused> {
        let tenant = self.tenant_with(who, Right::Audit, now)?;
        Ok(JournalView::new(Arc::clone(tenant), Actor::steward(who)))
    }

    /// Mints a session token for one end user, for a credential with the scope `mint_sessions`. The token may infer and
    /// nothing else, names no model that `who` may not name, and is dead the moment the key that minted it is. Minting
    /// counts as a request of the key.
    ///
    /// # Errors
    ///
    /// [`Refused::Forbidden`] without that scope; [`Refused::Invalid`] for a lifetime or a name out of bounds;
    /// [`Refused::Limited`] above the rates; faults of the store.
    pub async fn mint_session(
        &self,
        who: &Principal,
        wish: MintSession,
        now: Timestamp,
    ) -> Result<MintedSession, Refused> {
        let tenant = self.tenant_with(who, Right::MintSessions, now)?;
        crate::administration::mint_session(tenant, who, wish, now).await
    }
}

impl fmt::Debug for Compartment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compartment")
            .field("subject_bound", &(self.reach != Reach::Whole))
            .finish_non_exhaustive()
    }
}

pub use crate::administration::{MintSession, MintedSession};

/// One value of each type.
#[derive(Default)]
pub(crate) struct Residents(parking_lot::Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Residents {
    fn get<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut residents = self.0.lock();
        if let Some(Ok(found)) = residents
            .get(&TypeId::of::<T>())
            .map(|any| Arc::downcast(Arc::clone(any)))
        {
            return found;
        }
        let made = Arc::new(make());
        residents.insert(TypeId::of::<T>(), Arc::clone(&made) as _);
        made
    }
}
