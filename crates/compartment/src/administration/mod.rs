//! Administering one tenant: by its own steward, or by the operator.
//!
//! Both get the same handle; who acts decides how far it reaches and stands in the journal with every act. Neither can
//! read content here: there is none.

mod issuers;
mod journal;
mod keys;
mod limits;
mod operator;
mod sessions;
mod usage;
mod vault;

pub use issuers::{IssuerFacts, Issuers, MAX_ISSUERS, SetIssuer};
pub use journal::{Export, JournalView, MAX_RECORDS, RecordProof, RecordRow, SignedCheckpoint};
pub(crate) use keys::live_key;
pub use keys::{ChangeKey, KeyFacts, Keys, MAX_KEYS, MintKey, MintedKey};
pub(crate) use limits::stored_limits;
pub use limits::{LimitsOf, TenantLimits};
pub use operator::{MAX_TENANTS, Operator, TenantFacts};
pub(crate) use sessions::mint_session;
pub use sessions::{MintSession, MintedSession};
pub use usage::{MAX_USAGE_ROWS, Usage, UsageBy, UsageQuery, UsageRow};
pub use vault::{UpstreamCredentialFacts, VaultKeys};

use crate::{
    error::Refused,
    principal::{Models, Principal},
    store::{StoreError, Transaction},
    tenant::Tenant,
};
use evidence::{Admin, AdminAction, Id, RecordKind};
use jiff::Timestamp;
use policy::{Right, Rights};
use std::{fmt, sync::Arc};

/// Who administers.
#[derive(Clone, Debug)]
pub(crate) enum Actor {
    /// Whoever runs the deployment.
    Operator,
    /// The tenant's own steward, with what its credential may do: it hands on no more than that.
    Steward {
        credential: String,
        scopes: Rights,
        models: Models,
        expires: Option<Timestamp>,
    },
}

impl Actor {
    pub(crate) fn steward(who: &Principal) -> Self {
        Self::Steward {
            credential: who.credential(),
            scopes: who.scopes,
            models: who.models.clone(),
            expires: who.expires,
        }
    }

    fn recorded(&self) -> Result<evidence::Actor, Refused> {
        Ok(match self {
            Self::Operator => evidence::Actor::Operator,
            Self::Steward { credential, .. } => evidence::Actor::Steward {
                credential: Id::new(credential).map_err(|_| Refused::Internal)?,
            },
        })
    }

    /// A credential that ends hands on nothing that outlives it.
    fn may_outlive(&self, expires: Option<Timestamp>) -> Result<(), Refused> {
        match self {
            Self::Steward {
                expires: Some(own), ..
            } if expires.is_none_or(|expires| expires > *own) => Err(Refused::BeyondReach {
                what: "a key cannot hand on a life longer than its own; give an expiry",
            }),
            _ => Ok(()),
        }
    }

    fn may_hand_on(&self, scopes: Rights, models: &Models) -> Result<(), Refused> {
        let Self::Steward {
            scopes: own,
            models: own_models,
            ..
        } = self
        else {
            return Ok(());
        };
        if !scopes.within(*own) {
            return Err(Refused::BeyondReach {
                what: "a key cannot hand on a scope that it lacks",
            });
        }
        if !models.within(own_models) {
            return Err(Refused::BeyondReach {
                what: "a key cannot hand on a model that it may not name",
            });
        }
        Ok(())
    }
}

/// The administration of one tenant.
#[derive(Clone)]
pub struct Administration {
    tenant: Arc<Tenant>,
    actor: Actor,
}

impl Administration {
    pub(crate) fn new(tenant: Arc<Tenant>, actor: Actor) -> Self {
        Self { tenant, actor }
    }

    /// The tenant's API keys.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys(self)
    }

    /// The tenant's limits: the operator's and the steward's.
    #[must_use]
    pub fn limits(&self) -> LimitsOf<'_> {
        LimitsOf(self)
    }

    /// The tenant's pinned token issuers.
    #[must_use]
    pub fn issuers(&self) -> Issuers<'_> {
        Issuers(self)
    }

    /// The tenant's upstream credentials.
    ///
    /// # Errors
    ///
    /// [`Refused::Forbidden`] for the operator, whose they are not.
    pub fn vault(&self) -> Result<VaultKeys<'_>, Refused> {
        match self.actor {
            Actor::Steward { .. } => Ok(VaultKeys(self)),
            Actor::Operator => Err(Refused::Forbidden {
                needs: Right::Steward,
            }),
        }
    }

    /// The tenant's journal.
    #[must_use]
    pub fn journal(&self) -> JournalView {
        JournalView::new(Arc::clone(&self.tenant), self.actor.clone())
    }

    /// Records what was done, with the doing, in one transaction, and waits until both survive a loss of power.
    async fn record<T: Send + 'static>(
        &self,
        act: Act,
        now: Timestamp,
        doing: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let kind = act.by(&self.actor)?;
        self.tenant.write(now, kind, doing).await
    }

    /// Lets changes of this tenant happen one after another, each to its end: what is recorded is also in force, even if
    /// whoever asked for it went away in the middle.
    async fn change<T, F>(
        &self,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refused>> + Send,
    {
        let this = self.clone();
        let turn = Arc::clone(&self.tenant.changing);
        let task = tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            work(this).await
        });
        task.await.map_err(|_| Refused::Internal)?
    }
}

impl fmt::Debug for Administration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administration").finish_non_exhaustive()
    }
}

/// An act for the journal.
struct Act(AdminAction, Option<String>);

impl Act {
    fn on(action: AdminAction, object: &impl fmt::Display) -> Self {
        Self(action, Some(object.to_string()))
    }

    fn by(self, actor: &Actor) -> Result<RecordKind, Refused> {
        let object = self
            .1
            .map(Id::new)
            .transpose()
            .map_err(|_| Refused::Internal)?;
        Ok(RecordKind::Admin(Admin {
            actor: actor.recorded()?,
            action: self.0,
            object,
        }))
    }
}

/// What people call a key or a tenant.
fn check_name(name: &str) -> Result<(), Refused> {
    if (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refused::invalid(
        "name",
        "a name has 1 to 128 characters and no control characters; nothing was changed; choose another",
    ))
}
