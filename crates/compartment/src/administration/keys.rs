//! The tenant's API keys.

use super::{Act, Administration, check_name};
use crate::{
    credential::{ApiKeyKind, SecretToken, keyed_hash, mint},
    credentials::LiveKey,
    error::Refused,
    id::ApiKeyId,
    keyset::TenantKeys,
    meter::Tiers,
    principal::Models,
    seal::Kind,
    store::keys::KeyRow,
    tenant::Tenant,
};
use evidence::AdminAction;
use jiff::Timestamp;
use policy::{Limits, Rights};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most keys of one tenant that are not revoked.
pub const MAX_KEYS: usize = 10_000;
const SEALED_VERSION: u64 = 1;

/// A key to be minted.
#[derive(Clone)]
pub struct MintKey {
    /// What people call it: 1 to 128 characters, none of them a control character. Sealed in the store.
    pub name: String,
    /// What it may do; at least one.
    pub scopes: Rights,
    /// The models it may name.
    pub models: Models,
    /// Limits of its own, below those of the tenant and of each key.
    pub limits: Limits,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// A key that was just minted.
#[derive(Debug)]
pub struct MintedKey {
    /// What is known of it.
    pub facts: KeyFacts,
    /// The key itself, this once.
    pub secret: SecretToken,
}

/// What is known of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Rights,
    /// The models it may name.
    pub models: Models,
    /// Limits of its own, as they hold now.
    pub limits: Limits,
    /// When it was minted.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl fmt::Debug for KeyFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFacts")
            .field("id", &self.id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// What is to change of a key; `None` stays as it is.
#[derive(Clone, Default)]
pub struct ChangeKey {
    /// What people call it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<Rights>,
    /// The models it may name.
    pub models: Option<Models>,
    /// Its limits, as the one who asks sets them.
    pub limits: Option<Limits>,
    /// When it ends; `Some(None)` is never.
    pub expires: Option<Option<Timestamp>>,
}

/// What is sealed of a key: whatever somebody chose in words.
#[derive(Serialize, Deserialize)]
struct Details {
    name: String,
    scopes: Rights,
    models: Option<Vec<String>>,
}

impl Details {
    fn of(name: &str, scopes: Rights, models: &Models) -> Self {
        Self {
            name: name.to_owned(),
            scopes,
            models: models.list(),
        }
    }

    fn seal(&self, tenant: &Tenant, id: &ApiKeyId) -> Result<Vec<u8>, Refused> {
        let plain = serde_json::to_vec(self).map_err(|_| Refused::Internal)?;
        Ok(tenant
            .keys
            .seal(Kind::ApiKey, id.as_bytes(), SEALED_VERSION, &plain)?)
    }

    fn open(keys: &TenantKeys, row: &KeyRow) -> Result<Self, Refused> {
        let plain = keys.open(Kind::ApiKey, row.id.as_bytes(), SEALED_VERSION, &row.sealed)?;
        serde_json::from_slice(&plain).map_err(|_| Refused::Internal)
    }
}

/// The tenant's API keys. See [`Administration::keys`].
pub struct Keys<'a>(pub(super) &'a Administration);

impl Keys<'_> {
    /// Mints a key. It works the moment this returns.
    ///
    /// # Errors
    ///
    /// [`Refused::BeyondReach`] where a steward hands on more than it has; [`Refused::Invalid`]; [`Refused::Conflict`]
    /// above [`MAX_KEYS`]; faults of the store.
    pub async fn mint(&self, wish: MintKey, now: Timestamp) -> Result<MintedKey, Refused> {
        check_name(&wish.name)?;
        check_scopes(wish.scopes)?;
        check_expiry(wish.expires, now)?;
        self.0.actor.may_hand_on(wish.scopes, &wish.models)?;
        self.0.actor.may_outlive(wish.expires)?;
        self.0
            .change(move |admin| async move { admin.mint(wish, now).await })
            .await
    }

    /// The keys after `after`, revoked ones too, in the order of their ids, at most `limit`.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn list(
        &self,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<KeyFacts>, Refused> {
        let tenant = &self.0.tenant;
        let rows = tenant.read(move |tables| tables.keys(after, limit)).await?;
        let limits = tenant.meter.tiers();
        rows.iter().map(|row| facts(tenant, &limits, row)).collect()
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`], for another tenant's key as for none; faults of the store.
    pub async fn get(&self, id: &ApiKeyId) -> Result<KeyFacts, Refused> {
        let row = find(&self.0.tenant, id).await?;
        facts(&self.0.tenant, &self.0.tenant.meter.tiers(), &row)
    }

    /// Revokes a key for good. It is refused from the moment this returns, and so is every session token it minted.
    /// Revoking it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`], for another tenant's key as for none; faults of the store: then it still works.
    pub async fn revoke(&self, id: &ApiKeyId, now: Timestamp) -> Result<KeyFacts, Refused> {
        let id = *id;
        self.0
            .change(move |admin| async move { admin.revoke(id, now).await })
            .await
    }

    /// Changes a key. It holds from the moment this returns.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`], for another tenant's key as for none, and for a revoked one; otherwise as
    /// [`Keys::mint`].
    pub async fn change(
        &self,
        id: &ApiKeyId,
        wish: ChangeKey,
        now: Timestamp,
    ) -> Result<KeyFacts, Refused> {
        let id = *id;
        wish.name.as_deref().map_or(Ok(()), check_name)?;
        wish.scopes.map_or(Ok(()), check_scopes)?;
        check_expiry(wish.expires.flatten(), now)?;
        wish.expires
            .map_or(Ok(()), |expires| self.0.actor.may_outlive(expires))?;
        self.0
            .change(move |admin| async move { admin.change_key(id, wish, now).await })
            .await
    }
}

impl Administration {
    async fn mint(self, wish: MintKey, now: Timestamp) -> Result<MintedKey, Refused> {
        let tenant = &self.tenant;
        if tenant.credentials.len() >= MAX_KEYS {
            return Err(Refused::Conflict {
                what: "there are as many keys as a tenant may have",
            });
        }
        let (id, secret) = mint(ApiKeyKind::Tenant)?;
        let row = KeyRow {
            id,
            hash: keyed_hash(&tenant.keys.credential_hash, secret.expose()),
            sealed: Details::of(&wish.name, wish.scopes, &wish.models).seal(tenant, &id)?,
            created: now,
            expires: wish.expires,
            revoked: None,
        };
        let tiers = self.with_key_limits(&id, wish.limits)?;
        let limits = tiers
            .as_ref()
            .map(|tiers| self.sealed_limits(tiers))
            .transpose()?;
        // Ids alone, and before the key is there: one that leads nowhere harms nobody.
        tenant.directory.add_key(id, tenant.id).await?;
        let stored = row.clone();
        self.record(
            Act::on(AdminAction::KeyMinted, &id),
            now,
            move |transaction| {
                limits.map_or(Ok(()), |limits| limits.put(transaction))?;
                transaction.insert_key(&stored)
            },
        )
        .await?;
        if let Some(tiers) = tiers {
            tenant.meter.change(tiers);
        }
        tenant.credentials.put(
            id,
            LiveKey {
                hash: row.hash,
                scopes: wish.scopes,
                models: wish.models,
                expires: row.expires,
            },
        );
        let facts = facts(tenant, &tenant.meter.tiers(), &row)?;
        Ok(MintedKey { facts, secret })
    }

    async fn revoke(self, id: ApiKeyId, now: Timestamp) -> Result<KeyFacts, Refused> {
        let tenant = &self.tenant;
        let mut row = find(tenant, &id).await?;
        if row.revoked.is_none() {
            row.revoked = Some(now);
            let stored = row.clone();
            self.record(
                Act::on(AdminAction::KeyRevoked, &id),
                now,
                move |transaction| transaction.update_key(&stored),
            )
            .await?;
            tenant.credentials.remove(&id);
        }
        facts(tenant, &tenant.meter.tiers(), &row)
    }

    async fn change_key(
        self,
        id: ApiKeyId,
        wish: ChangeKey,
        now: Timestamp,
    ) -> Result<KeyFacts, Refused> {
        let tenant = &self.tenant;
        let mut row = find(tenant, &id).await?;
        if row.revoked.is_some() {
            return Err(NO_KEY);
        }
        let old = Details::open(&tenant.keys, &row)?;
        let name = wish.name.unwrap_or(old.name);
        let scopes = wish.scopes.unwrap_or(old.scopes);
        let models = wish
            .models
            .map_or_else(|| Models::from_list(old.models), Ok)?;
        self.actor.may_hand_on(scopes, &models)?;
        row.expires = wish.expires.unwrap_or(row.expires);
        row.sealed = Details::of(&name, scopes, &models).seal(tenant, &id)?;
        let tiers = wish
            .limits
            .map_or(Ok(None), |limits| self.with_key_limits(&id, limits))?;
        let limits = tiers
            .as_ref()
            .map(|tiers| self.sealed_limits(tiers))
            .transpose()?;
        let stored = row.clone();
        self.record(
            Act::on(AdminAction::KeyChanged, &id),
            now,
            move |transaction| {
                limits.map_or(Ok(()), |limits| limits.put(transaction))?;
                transaction.update_key(&stored)
            },
        )
        .await?;
        if let Some(tiers) = tiers {
            tenant.meter.change(tiers);
        }
        tenant.credentials.put(
            id,
            LiveKey {
                hash: row.hash,
                scopes,
                models,
                expires: row.expires,
            },
        );
        facts(tenant, &tenant.meter.tiers(), &row)
    }
}

/// A key that is not revoked, as the door needs it.
pub(crate) fn live_key(keys: &TenantKeys, row: &KeyRow) -> Result<(ApiKeyId, LiveKey), Refused> {
    let details = Details::open(keys, row)?;
    let models = Models::from_list(details.models)?;
    Ok((
        row.id,
        LiveKey {
            hash: row.hash,
            scopes: details.scopes,
            models,
            expires: row.expires,
        },
    ))
}

const NO_KEY: Refused = Refused::NotFound { what: "key" };

async fn find(tenant: &Tenant, id: &ApiKeyId) -> Result<KeyRow, Refused> {
    let id = *id;
    tenant
        .read(move |tables| tables.key(&id))
        .await?
        .ok_or(NO_KEY)
}

fn facts(tenant: &Tenant, tiers: &Tiers, row: &KeyRow) -> Result<KeyFacts, Refused> {
    let details = Details::open(&tenant.keys, row)?;
    Ok(KeyFacts {
        id: row.id,
        name: details.name,
        scopes: details.scopes,
        models: Models::from_list(details.models)?,
        limits: tiers.effective().key(&row.id.to_string()),
        created: row.created,
        expires: row.expires,
        revoked: row.revoked,
    })
}

fn check_scopes(scopes: Rights) -> Result<(), Refused> {
    if scopes.is_empty() {
        return Err(Refused::invalid(
            "scopes",
            "a key needs at least one scope; nothing was changed; name one",
        ));
    }
    Ok(())
}

fn check_expiry(expires: Option<Timestamp>, now: Timestamp) -> Result<(), Refused> {
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Refused::invalid(
            "expires_at",
            "the key would be over already; nothing was changed; choose a later time or revoke it",
        ));
    }
    Ok(())
}
