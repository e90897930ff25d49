//! What is done for every open tenant once a second: by a walk that can write checkpoints and cannot read content.

use super::House;
use crate::{
    error::Refused,
    journal::{self, SignedHead},
    store::{Ticket, Transaction},
    tenant::Tenant,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// A tenant that nobody used for this long is closed.
const IDLE: SignedDuration = SignedDuration::from_mins(10);

impl House {
    /// One round: for every open tenant, one at a time, what was refused and counted goes to the journal and the journal
    /// gets a signed checkpoint if it grew; the heads of all go into the deployment log; tenants that nobody used for ten
    /// minutes are closed. To be called about once a second.
    ///
    /// # Errors
    ///
    /// The first fault of the store. The other tenants had their round all the same, and the next one tries again.
    pub async fn rounds(self: &Arc<Self>, now: Timestamp) -> Result<(), Refused> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.round(now)).await.map_err(|_| Refused::Internal)?
    }

    fn round(&self, now: Timestamp) -> Result<(), Refused> {
        let mut first = Ok(());
        for id in self.registry.ids() {
            if let Some(tenant) = self.registry.peek(&id) {
                let visited = visit(&tenant, now).map(|signed| {
                    self.heads.lock().extend(signed.map(|signed| (id, tenant.journal.head(&signed))));
                });
                first = first.and(visited);
            }
        }
        first = first.and(self.log_heads(now));
        self.registry.close_unused(now, IDLE);
        first
    }

    /// Heads that could not be logged are logged with the next round.
    fn log_heads(&self, now: Timestamp) -> Result<(), Refused> {
        let heads = std::mem::take(&mut *self.heads.lock());
        if heads.is_empty() {
            return Ok(());
        }
        self.directory.log_heads(&heads, now).map_err(|error| {
            self.heads.lock().extend(heads);
            error.into()
        })
    }
}

/// Counts go to the journal, and the journal is signed where it grew.
fn visit(tenant: &Arc<Tenant>, now: Timestamp) -> Result<Option<SignedHead>, Refused> {
    tenant.refusals.flush(tenant, now);
    let signer = Arc::clone(tenant);
    let sign = move |transaction: &Transaction<'_>| journal::checkpoint(transaction, &signer.journal, now);
    tenant.submit(sign).and_then(Ticket::wait).map_err(|error| tenant.fault(error))
}
