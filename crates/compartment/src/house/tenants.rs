//! Making tenants, and what is known of them.

use super::House;
use crate::{
    administration::{SignedCheckpoint, TenantFacts},
    error::Refused,
    id::TenantId,
    store::{TenantRow, TenantState},
};
use evidence::{Actor, Admin, AdminAction, RecordKind};
use jiff::Timestamp;
use std::sync::Arc;

impl House {
    /// Creates the tenant called `name`, or finds it; says whether it is new. The caller holds `changing`.
    ///
    /// The row comes last: a tenant that was not finished is one that never was, and leaves a key that opens nothing.
    pub(crate) async fn create_tenant(
        self: &Arc<Self>,
        name: String,
        now: Timestamp,
    ) -> Result<(TenantFacts, bool), Refused> {
        let this = Arc::clone(self);
        let created = tokio::task::spawn_blocking(move || {
            let name_index = this.directory.keys.index_name(&name);
            if let Some(row) = this.directory.db.tenant_named(&name_index)? {
                return Ok((this.facts(&row)?, false));
            }
            let id = TenantId::random()?;
            this.keyring.create_root(&id)?;
            this.tenants.create(
                id,
                Box::new(move |transaction| {
                    let admin = Admin {
                        actor: Actor::Operator,
                        action: AdminAction::TenantCreated,
                        object: None,
                    };
                    transaction.append(RecordKind::Admin(admin), now).map(drop)
                }),
            )?;
            let sealed_name = this.directory.keys.seal_name(&id, &name)?;
            let row = TenantRow {
                id,
                state: TenantState::Active,
                created: now,
                name_index,
                sealed_name,
            };
            this.directory.db.add_tenant(&row)?;
            Ok((this.facts(&row)?, true))
        });
        created.await.map_err(|_| Refused::Internal)?
    }

    pub(crate) async fn tenant_row(&self, id: TenantId) -> Result<TenantRow, Refused> {
        let row = self
            .directory
            .with(move |directory| directory.db.tenant(&id))
            .await?;
        row.ok_or(Refused::NotFound { what: "tenant" })
    }

    pub(crate) async fn tenant_rows(
        &self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantRow>, Refused> {
        self.directory
            .with(move |directory| directory.db.tenants(after.as_ref(), limit))
            .await
    }

    pub(crate) async fn set_state(&self, id: TenantId, state: TenantState) -> Result<(), Refused> {
        self.directory
            .with(move |directory| directory.db.set_state(&id, state))
            .await
    }

    pub(crate) async fn deployment_checkpoint(&self) -> Result<Option<SignedCheckpoint>, Refused> {
        let newest = self
            .directory
            .with(|directory| directory.db.checkpoint())
            .await?;
        let verifier_key = self.directory.log_key().to_string();
        Ok(newest.map(|(size, note)| SignedCheckpoint {
            size,
            note,
            verifier_key,
        }))
    }

    pub(crate) fn facts(&self, row: &TenantRow) -> Result<TenantFacts, Refused> {
        Ok(TenantFacts {
            id: row.id,
            name: self.directory.keys.open_name(&row.id, &row.sealed_name)?,
            created: row.created,
            suspended: row.state == TenantState::Suspended,
        })
    }
}
