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
use std::{collections::HashMap, sync::Arc};

/// A tenant's heads go into the deployment log this far apart. Their checkpoints are signed every second.
const HEADS_APART: SignedDuration = SignedDuration::from_mins(1);

/// As many tenants that a process which died left behind are opened in one round.
const CAUGHT_UP: usize = 16;

/// A tenant that nobody used for this long is closed.
const IDLE: SignedDuration = SignedDuration::from_mins(10);

impl House {
    /// One round: what was refused and counted goes to the journals, every journal that grew gets a signed checkpoint, the
    /// heads go into the deployment log, each at most once a minute, and tenants that nobody used for ten minutes are
    /// closed. To be called about once a second.
    ///
    /// # Errors
    ///
    /// The first fault of the store. The other tenants had their round all the same, and the next one tries again.
    pub async fn rounds(self: &Arc<Self>, now: Timestamp) -> Result<(), Refused> {
        self.catch_up(now).await;
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.round(now, false))
            .await
            .map_err(|_| Refused::Internal)?
    }

    /// The last round, for the end of a process: as [`House::rounds`], and no head is kept back for later. The next start
    /// then finds nothing to catch up on.
    ///
    /// # Errors
    ///
    /// As [`House::rounds`]; the next start does what was not done.
    pub async fn last_round(self: &Arc<Self>, now: Timestamp) -> Result<(), Refused> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.round(now, true))
            .await
            .map_err(|_| Refused::Internal)?
    }

    /// Opens tenants whose calls a process that died has left in the commit log, so that it does not keep them for ever.
    async fn catch_up(self: &Arc<Self>, now: Timestamp) {
        let turn = usize::try_from(now.as_second()).unwrap_or_default();
        for id in self.tenants.left(CAUGHT_UP, turn) {
            if let Err(why) = self.tenant(id, now).await {
                tracing::warn!(
                    code = why.code(),
                    "a tenant that the last process left behind does not open yet; it is tried again"
                );
            }
        }
    }

    fn round(&self, now: Timestamp, last: bool) -> Result<(), Refused> {
        // first, so that what is noted from now on is in the new segment
        let turning = self.tenants.turn(last);
        let open = self.registry.ids();
        // All are queued before the first is waited for, so that their syncs overlap.
        let visits: Vec<_> = open
            .iter()
            .filter_map(|id| Visit::begin(self.registry.peek(id)?, now))
            .collect();
        let mut first = Ok(());
        for visit in visits {
            let ended = visit
                .end()
                .map(|head| self.heads.lock().newest.extend(head));
            first = first.and(ended);
        }
        // every tenant that had notes in the older segments was visited, or is closed
        let turned = match turning {
            Ok(true) if first.is_ok() => self.tenants.turned(),
            turning => turning.map(drop),
        };
        first = first
            .and(turned.map_err(Refused::from))
            .and(self.log_heads(now, last));
        self.registry.close_unused(now, IDLE);
        first
    }

    /// A tenant's head is logged at once after a pause, and once a minute while it goes on: each takes room for good. What
    /// could not be logged is logged with the next round.
    fn log_heads(&self, now: Timestamp, all: bool) -> Result<(), Refused> {
        let mut heads = self.heads.lock();
        let Heads { newest, logged } = &mut *heads;
        logged.retain(|_, at| now.duration_since(*at) < HEADS_APART);
        let due: Vec<_> = newest
            .extract_if(|id, _| all || !logged.contains_key(id))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let done = self.directory.log_heads(&due, now);
        match done {
            Ok(()) => logged.extend(due.iter().map(|(id, _)| (*id, now))),
            Err(_) => newest.extend(due),
        }
        Ok(done?)
    }
}

/// Signed heads of journals on their way to the deployment log.
#[derive(Default)]
pub(super) struct Heads {
    newest: HashMap<TenantId, Head>,
    /// When each tenant's was logged, for as long as that keeps back the next.
    logged: HashMap<TenantId, Timestamp>,
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
