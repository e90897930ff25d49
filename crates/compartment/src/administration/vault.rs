//! The tenant's upstream credentials, as its steward sees them: names and ages, never the credentials.

use super::{Act, Administration};
use crate::{
    error::Refused,
    vault::{Content, MAX_UPSTREAM_CREDENTIAL_BYTES, MAX_UPSTREAM_CREDENTIALS, Sealed, VaultTable},
};
use evidence::{AdminAction, Id};
use jiff::Timestamp;
use std::fmt;

/// What is known of an upstream credential.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamCredentialFacts {
    /// The upstream it is for.
    pub upstream: String,
    /// Grows whenever it is set.
    pub version: u64,
}

impl fmt::Debug for UpstreamCredentialFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamCredentialFacts")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The tenant's upstream credentials. See [`Administration::vault`].
pub struct VaultKeys<'a>(pub(super) &'a Administration);

impl VaultKeys<'_> {
    /// Which there are.
    ///
    /// # Errors
    ///
    /// [`Refused::Internal`] where one does not open.
    pub fn list(&self) -> Result<Vec<UpstreamCredentialFacts>, Refused> {
        let tenant = &self.0.tenant;
        let facts = |sealed: &Sealed| {
            let content = sealed.open(&tenant.keys)?;
            Ok(UpstreamCredentialFacts {
                upstream: content.upstream.clone(),
                version: sealed.version,
            })
        };
        let mut all: Vec<_> = tenant
            .vault
            .all()
            .iter()
            .map(|sealed| facts(sealed))
            .collect::<Result<_, Refused>>()?;
        all.sort_by(|a, b| a.upstream.cmp(&b.upstream));
        Ok(all)
    }

    /// Sets the tenant's credential for `upstream`, an id as [`evidence::Id`] has it. Calls begun from here on use it.
    ///
    /// # Errors
    ///
    /// [`Refused::Invalid`] unless `secret` is 1 to [`MAX_UPSTREAM_CREDENTIAL_BYTES`] visible ASCII characters;
    /// [`Refused::Conflict`] above [`MAX_UPSTREAM_CREDENTIALS`]; faults of the store.
    pub async fn set(
        &self,
        upstream: &str,
        secret: &str,
        now: Timestamp,
    ) -> Result<UpstreamCredentialFacts, Refused> {
        let fits = (1..=MAX_UPSTREAM_CREDENTIAL_BYTES).contains(&secret.len())
            && secret.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(Refused::invalid(
                "credential",
                "a credential has 1 to 8192 visible ASCII characters; nothing was changed; check it",
            ));
        }
        Id::new(upstream).map_err(|_| NO_UPSTREAM)?;
        let content = Content {
            upstream: upstream.to_owned(),
            secret: secret.to_owned(),
        };
        self.0
            .change(move |admin| async move { admin.set_credential(&content, now).await })
            .await
    }

    /// Removes the tenant's credential for `upstream`. Calls begun from here on go without.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; faults of the store.
    pub async fn remove(&self, upstream: &str, now: Timestamp) -> Result<(), Refused> {
        let place = VaultTable::place(&self.0.tenant.keys, upstream);
        self.0
            .change(move |admin| async move { admin.remove_credential(place, now).await })
            .await
    }
}

const NO_UPSTREAM: Refused = Refused::NotFound {
    what: "upstream credential",
};

impl Administration {
    async fn set_credential(
        self,
        content: &Content,
        now: Timestamp,
    ) -> Result<UpstreamCredentialFacts, Refused> {
        let tenant = &self.tenant;
        let old = tenant
            .vault
            .get(&VaultTable::place(&tenant.keys, &content.upstream));
        if old.is_none() && tenant.vault.all().len() >= MAX_UPSTREAM_CREDENTIALS {
            return Err(Refused::Conflict {
                what: "there are as many upstream credentials as a tenant may have",
            });
        }
        // Time, so that one that is removed and set again does not get an old number back.
        let time = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let version = old.map_or(time, |old| time.max(old.version + 1));
        let sealed = Sealed::seal(&tenant.keys, content, version)?;
        let stored = sealed.clone();
        let act = Act::on(AdminAction::VaultSet, &content.upstream);
        self.record(act, now, move |transaction| {
            transaction.put_vault(&stored, now)
        })
        .await?;
        tenant.vault.put(sealed);
        Ok(UpstreamCredentialFacts {
            upstream: content.upstream.clone(),
            version,
        })
    }

    async fn remove_credential(self, place: [u8; 32], now: Timestamp) -> Result<(), Refused> {
        let tenant = &self.tenant;
        let sealed = tenant.vault.get(&place).ok_or(NO_UPSTREAM)?;
        let content = sealed.open(&tenant.keys)?;
        let act = Act::on(AdminAction::VaultRemoved, &content.upstream);
        self.record(act, now, move |transaction| {
            transaction.remove_vault(&place)
        })
        .await?;
        tenant.vault.remove(&place);
        Ok(())
    }
}
