//! The tenant's limits, in two tiers: the operator's, and below them the steward's own.

use super::{Act, Actor, Administration};
use crate::{
    error::Refused,
    id::ApiKeyId,
    keyset::TenantKeys,
    meter::Tiers,
    seal::Kind,
    store::{StoreError, Tables, Transaction},
};
use evidence::AdminAction;
use jiff::Timestamp;
use policy::{LimitSet, Limits, MAX_NAMED};

const SEALED_VERSION: u64 = 1;
const OPERATOR: &str = "operator";
const STEWARD: &str = "steward";

/// The limits of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantLimits {
    /// What the operator allows.
    pub operator: LimitSet,
    /// What the steward set for its own house.
    pub steward: LimitSet,
    /// What holds: the tighter of the two, everywhere.
    pub effective: LimitSet,
}

/// The tenant's limits. See [`Administration::limits`].
pub struct LimitsOf<'a>(pub(super) &'a Administration);

impl LimitsOf<'_> {
    /// Both tiers, and what holds.
    #[must_use]
    pub fn get(&self) -> TenantLimits {
        let tiers = self.0.tenant.meter.tiers();
        TenantLimits {
            operator: tiers.operator.clone(),
            steward: tiers.steward.clone(),
            effective: tiers.effective().clone(),
        }
    }

    /// Replaces the tier of whoever asks. It holds from the next call on; what was spent before counts against it. A
    /// steward's tier never loosens the operator's, whatever it says.
    ///
    /// # Errors
    ///
    /// [`Refused::Invalid`] for more than [`MAX_NAMED`] keys or models; faults of the store.
    pub async fn set(&self, limits: LimitSet, now: Timestamp) -> Result<TenantLimits, Refused> {
        if limits.keys.len() > MAX_NAMED || limits.models.len() > MAX_NAMED {
            return Err(TOO_MANY);
        }
        self.0
            .change(move |admin| async move { admin.set_limits(limits, now).await })
            .await?;
        Ok(self.get())
    }
}

const TOO_MANY: Refused = Refused::Conflict {
    what: "limits of their own have as many keys or models as may have them",
};

impl Administration {
    async fn set_limits(self, limits: LimitSet, now: Timestamp) -> Result<(), Refused> {
        let tiers = self.with(limits);
        let sealed = self.sealed_limits(&tiers)?;
        let act = Act(AdminAction::LimitsChanged, None);
        self.record(act, now, move |transaction| sealed.put(transaction))
            .await?;
        self.tenant.meter.change(tiers);
        Ok(())
    }

    /// The tiers with the limits of one key set in the actor's own tier; `None` where that changes nothing.
    pub(super) fn with_key_limits(
        &self,
        id: &ApiKeyId,
        limits: Limits,
    ) -> Result<Option<Tiers>, Refused> {
        let mut own = self.own_tier();
        let id = id.to_string();
        let before = if limits == Limits::NONE {
            own.keys.remove(&id)
        } else {
            own.keys.insert(id, limits)
        };
        if before.unwrap_or(Limits::NONE) == limits {
            return Ok(None);
        }
        if own.keys.len() > MAX_NAMED {
            return Err(TOO_MANY);
        }
        Ok(Some(self.with(own)))
    }

    fn own_tier(&self) -> LimitSet {
        let tiers = self.tenant.meter.tiers();
        match self.actor {
            Actor::Operator => tiers.operator.clone(),
            Actor::Steward { .. } => tiers.steward.clone(),
        }
    }

    fn with(&self, own: LimitSet) -> Tiers {
        let tiers = self.tenant.meter.tiers();
        match self.actor {
            Actor::Operator => Tiers::new(own, tiers.steward.clone()),
            Actor::Steward { .. } => Tiers::new(tiers.operator.clone(), own),
        }
    }

    /// The actor's tier of `tiers`, ready for the store.
    pub(super) fn sealed_limits(&self, tiers: &Tiers) -> Result<SealedTier, Refused> {
        let (tier, limits) = match self.actor {
            Actor::Operator => (OPERATOR, &tiers.operator),
            Actor::Steward { .. } => (STEWARD, &tiers.steward),
        };
        let plain = serde_json::to_vec(limits).map_err(|_| Refused::Internal)?;
        let sealed =
            self.tenant
                .keys
                .seal(Kind::Limits, tier.as_bytes(), SEALED_VERSION, &plain)?;
        Ok(SealedTier { tier, sealed })
    }
}

/// One tier as it is stored.
pub(super) struct SealedTier {
    tier: &'static str,
    sealed: Vec<u8>,
}

impl SealedTier {
    pub(super) fn put(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        transaction.put_limits(self.tier, &self.sealed)
    }
}

/// Both tiers as the store has them.
pub(crate) fn stored_limits(tables: &dyn Tables, keys: &TenantKeys) -> Result<Tiers, Refused> {
    let tier = |name: &str| -> Result<LimitSet, Refused> {
        let Some(sealed) = tables.limits(name)? else {
            return Ok(LimitSet::default());
        };
        let plain = keys.open(Kind::Limits, name.as_bytes(), SEALED_VERSION, &sealed)?;
        serde_json::from_slice(&plain).map_err(|_| Refused::Internal)
    };
    Ok(Tiers::new(tier(OPERATOR)?, tier(STEWARD)?))
}
