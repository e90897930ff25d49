//! The tenant's pinned token issuers.
//!
//! An issuer and its tenant claim lead to one tenant of a deployment, the one that pinned them first. So that nobody
//! pins a neighbour's before the neighbour does and draws its end users over, a steward shows a token that is valid
//! under the pin; the operator, who knows the tenants, need not.

use super::{Act, Actor, Administration};
use crate::{
    credential::{IssuerPin, Presented},
    error::Refused,
    id::IssuerId,
    issuers::Pinned,
    principal::Models,
};
use evidence::AdminAction;
use jiff::Timestamp;
use std::fmt;

/// The most issuers of one tenant.
pub const MAX_ISSUERS: usize = 16;

/// An issuer to be pinned.
#[derive(Clone)]
pub struct SetIssuer {
    /// What its tokens must say.
    pub pin: IssuerPin,
    /// The models its tokens may name. They may infer and nothing else.
    pub models: Models,
    /// A token that is valid under the pin now. Stewards show one; it is not kept.
    pub proof: Option<String>,
}

/// What is known of a pinned issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerFacts {
    /// Its id.
    pub id: IssuerId,
    /// What its tokens must say.
    pub pin: IssuerPin,
    /// The models its tokens may name.
    pub models: Models,
}

impl fmt::Debug for IssuerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerFacts")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The tenant's pinned issuers. See [`Administration::issuers`].
pub struct Issuers<'a>(pub(super) &'a Administration);

impl Issuers<'_> {
    /// All of them.
    #[must_use]
    pub fn list(&self) -> Vec<IssuerFacts> {
        let all = self.0.tenant.issuers.all();
        all.into_iter()
            .map(|(id, pinned)| facts(id, &pinned))
            .collect()
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`], for another tenant's as for none.
    pub fn get(&self, id: &IssuerId) -> Result<IssuerFacts, Refused> {
        self.0
            .tenant
            .issuers
            .get(id)
            .map(|pinned| facts(*id, &pinned))
            .ok_or(NO_ISSUER)
    }

    /// Pins an issuer under `id`, which whoever asks chooses at random, or changes the one that is there. Its tokens are
    /// admitted from the moment this returns.
    ///
    /// # Errors
    ///
    /// [`Refused::Invalid`] for a pin that cannot be, or a steward's `proof` that is missing or not valid under it;
    /// [`Refused::Conflict`] where issuer and tenant claim are pinned elsewhere in the deployment, or above
    /// [`MAX_ISSUERS`]; faults of the store.
    pub async fn set(
        &self,
        id: IssuerId,
        wish: SetIssuer,
        now: Timestamp,
    ) -> Result<IssuerFacts, Refused> {
        wish.pin
            .check()
            .map_err(|error| Refused::invalid(error.field, &error.to_string()))?;
        self.0.prove(&wish, now).await?;
        self.0
            .change(move |admin| async move { admin.set_issuer(id, wish, now).await })
            .await
    }

    /// Removes an issuer. Its tokens are refused from the moment this returns.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`], for another tenant's as for none; faults of the store.
    pub async fn remove(&self, id: &IssuerId, now: Timestamp) -> Result<(), Refused> {
        let id = *id;
        self.0
            .change(move |admin| async move { admin.remove_issuer(id, now).await })
            .await
    }
}

const NO_ISSUER: Refused = Refused::NotFound { what: "issuer" };

impl Administration {
    async fn prove(&self, wish: &SetIssuer, now: Timestamp) -> Result<(), Refused> {
        if matches!(self.actor, Actor::Operator) {
            return Ok(());
        }
        self.actor.may_hand_on(policy::Rights::NONE, &wish.models)?;
        let refuse = || {
            Refused::invalid(
                "proof",
                "the issuer's token is missing or not valid under this pin; nothing was changed; send one that is",
            )
        };
        let Ok(Presented::Jwt(jwt)) = Presented::parse(wish.proof.as_deref().unwrap_or_default())
        else {
            return Err(refuse());
        };
        self.tenant
            .jwks
            .verify(&jwt, &wish.pin, now)
            .await
            .map(drop)
            .map_err(|_| refuse())
    }

    async fn set_issuer(
        self,
        id: IssuerId,
        wish: SetIssuer,
        now: Timestamp,
    ) -> Result<IssuerFacts, Refused> {
        let tenant = &self.tenant;
        if tenant.issuers.get(&id).is_none() && tenant.issuers.all().len() >= MAX_ISSUERS {
            return Err(Refused::Conflict {
                what: "there are as many issuers as a tenant may have",
            });
        }
        let pinned = Pinned {
            pin: wish.pin,
            models: wish.models,
        };
        let sealed = pinned.seal(&tenant.keys, &id)?;
        // First the directory, which refuses what is another tenant's. An entry too many leads to a pin that refuses.
        tenant
            .directory
            .add_issuer(&pinned.pin, tenant.id, id)
            .await?;
        let act = Act::on(AdminAction::IssuerSet, &id);
        self.record(act, now, move |transaction| {
            transaction.put_issuer(&id, &sealed, now)
        })
        .await?;
        let facts = facts(id, &pinned);
        tenant.issuers.put(id, pinned);
        tenant
            .directory
            .forget_issuer(tenant.id, id, Some(&facts.pin))
            .await?;
        Ok(facts)
    }

    async fn remove_issuer(self, id: IssuerId, now: Timestamp) -> Result<(), Refused> {
        let tenant = &self.tenant;
        tenant.issuers.get(&id).ok_or(NO_ISSUER)?;
        // First the directory: cut off in between, the issuer leads nowhere and can be removed again.
        tenant.directory.forget_issuer(tenant.id, id, None).await?;
        let act = Act::on(AdminAction::IssuerRemoved, &id);
        self.record(act, now, move |transaction| transaction.remove_issuer(&id))
            .await?;
        tenant.issuers.remove(&id);
        Ok(())
    }
}

fn facts(id: IssuerId, pinned: &Pinned) -> IssuerFacts {
    IssuerFacts {
        id,
        pin: pinned.pin.clone(),
        models: pinned.models.clone(),
    }
}
