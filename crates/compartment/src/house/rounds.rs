//! What is done for every open tenant once a second: by a walk that can write checkpoints and cannot read content.

use super::House;
use crate::{
    error::Refused,
    id::TenantId,
    journal::SignedHead,
    store::{StoreError, Ticket},
    tenant::Tenant,
};
use evidence::deployment::Head;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// A tenant that nobody used for this long is closed.
const IDLE: SignedDuration = SignedDuration::from_mins(10);

impl House {
    /// One round: what was refused and counted goes to the journals, every journal that grew gets a signed checkpoint,
    /// the heads of all go into the deployment log, and tenants that nobody used for ten minutes are closed. To be called
    /// about once a second.
    ///
    /// # Errors
    ///
    /// The first fault of the store. The other tenants had their round all the same, and the next one tries again.
    pub async fn rounds(self: &Arc<Self>, now: Timestamp) -> Result<(), Refused> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.round(now))
            .await
            .map_err(|_| Refused::Internal)?
    }

    fn round(&self, now: Timestamp) -> Result<(), Refused> {
        // first, so that what is noted from now on is in the new segment
        let turning = self.scribes.log().turn();
        let open = self.registry.ids();
        // All are queued before the first is waited for, so that their syncs overlap.
        let visits: Vec<_> = open
            .iter()
            .filter_map(|id| Visit::begin(self.registry.peek(id)?, now))
            .collect();
        let mut first = Ok(());
        for visit in visits {
            let ended = visit.end().map(|head| self.heads.lock().extend(head));
            first = first.and(ended);
        }
        // every tenant that had notes in the older segments was visited, or is closed
        let turned = match turning {
            Ok(true) if first.is_ok() => self.scribes.log().turned(),
            turning => turning.map(drop),
        };
        first = first
            .and(turned.map_err(Refused::from))
            .and(self.log_heads(now));
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

/// One tenant's part of a round.
struct Visit {
    tenant: Arc<Tenant>,
    signing: Result<Ticket<Option<SignedHead>>, StoreError>,
}

impl Visit {
    /// `None` where nothing was written since the last round.
    fn begin(tenant: Arc<Tenant>, now: Timestamp) -> Option<Self> {
        tenant.refusals.flush(&tenant, now);
        tenant.take_unsigned().then(|| {
            let signing = tenant.sign(now);
            Self { tenant, signing }
        })
    }

    fn end(self) -> Result<Option<(TenantId, Head)>, Refused> {
        let signed = self.signing.and_then(Ticket::wait).map_err(|error| {
            self.tenant.still_unsigned();
            self.tenant.fault(error)
        })?;
        Ok(signed.map(|signed| (self.tenant.id, self.tenant.journal.head(&signed))))
    }
}
