//! Whoever runs the deployment: creates and suspends tenants, and cannot open content.

use super::{Act, Actor, Administration, SignedCheckpoint, check_name};
use crate::{error::Refused, house::House, id::TenantId, store::TenantState};
use evidence::AdminAction;
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// The most tenants of one page.
pub const MAX_TENANTS: u32 = 1000;

/// What is known of a tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantFacts {
    /// Its id.
    pub id: TenantId,
    /// What the operator calls it. Sealed in the store.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether its calls are refused.
    pub suspended: bool,
}

impl fmt::Debug for TenantFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantFacts")
            .field("id", &self.id)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

/// The operator of a deployment. Made by [`House::operator`] from an operator key, and by nothing else.
#[derive(Clone)]
pub struct Operator {
    house: Arc<House>,
}

impl Operator {
    pub(crate) fn new(house: Arc<House>) -> Self {
        Self { house }
    }

    /// Creates the tenant called `name`, or returns the one that is called so: trying again is safe. The flag says
    /// whether it is new.
    ///
    /// # Errors
    ///
    /// [`Refused::Invalid`] unless `name` has 1 to 128 characters, none of them a control character;
    /// [`Refused::KeyServiceUnavailable`] and faults of the store: then it may be repeated.
    pub async fn create_tenant(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<(TenantFacts, bool), Refused> {
        check_name(name)?;
        let (house, name) = (Arc::clone(&self.house), name.to_owned());
        let task = tokio::spawn(async move {
            let _turn = Arc::clone(&house.changing).lock_owned().await;
            house.create_tenant(name, now).await
        });
        task.await.map_err(|_| Refused::Internal)?
    }

    /// Tenants in the order of their ids: those after `after`, at most `limit` and [`MAX_TENANTS`].
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn tenants(
        &self,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantFacts>, Refused> {
        let rows = self
            .house
            .tenant_rows(after.copied(), limit.min(MAX_TENANTS))
            .await?;
        rows.iter().map(|row| self.house.facts(row)).collect()
    }

    /// One tenant.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; faults of the store.
    pub async fn tenant_facts(&self, id: &TenantId) -> Result<TenantFacts, Refused> {
        self.house.facts(&self.house.tenant_row(*id).await?)
    }

    /// The administration of one tenant.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; [`Refused::KeyServiceUnavailable`]; faults of the store.
    pub async fn tenant(&self, id: &TenantId, now: Timestamp) -> Result<Administration, Refused> {
        self.house.tenant_row(*id).await?;
        Ok(Administration::new(
            self.house.tenant(*id, now).await?,
            Actor::Operator,
        ))
    }

    /// Suspends a tenant: its calls are refused from the moment this returns. Those under way go on.
    ///
    /// # Errors
    ///
    /// As [`Operator::tenant`].
    pub async fn suspend(&self, id: &TenantId, now: Timestamp) -> Result<TenantFacts, Refused> {
        self.set_state(*id, TenantState::Suspended, now).await
    }

    /// Admits a suspended tenant's calls again.
    ///
    /// # Errors
    ///
    /// As [`Operator::tenant`].
    pub async fn resume(&self, id: &TenantId, now: Timestamp) -> Result<TenantFacts, Refused> {
        self.set_state(*id, TenantState::Active, now).await
    }

    /// The newest signed state of the deployment log, which holds the blinded heads of every tenant's journal; `None`
    /// while it is empty. And the key that verifies it.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn deployment_checkpoint(&self) -> Result<Option<SignedCheckpoint>, Refused> {
        self.house.deployment_checkpoint().await
    }

    async fn set_state(
        &self,
        id: TenantId,
        state: TenantState,
        now: Timestamp,
    ) -> Result<TenantFacts, Refused> {
        let admin = self.tenant(&id, now).await?;
        let house = Arc::clone(&self.house);
        let task = tokio::spawn(async move {
            let _turn = Arc::clone(&house.changing).lock_owned().await;
            let mut row = house.tenant_row(id).await?;
            if row.state != state {
                let action = match state {
                    TenantState::Suspended => AdminAction::TenantSuspended,
                    _ => AdminAction::TenantResumed,
                };
                admin.record(Act(action, None), now, |_| Ok(())).await?;
                house.set_state(id, state).await?;
                admin.tenant.suspend(state == TenantState::Suspended);
                row.state = state;
            }
            house.facts(&row)
        });
        task.await.map_err(|_| Refused::Internal)?
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}
