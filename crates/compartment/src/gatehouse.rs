//! The door: a credential in, a compartment and a principal out.
//!
//! Who the caller's tenant is follows from the credential alone. No path, header or field names one.

use crate::{
    compartment::Compartment,
    credential::{
        ApiKeyKind, CredentialError, Presented, PresentedJwt, PresentedKey, PresentedSession,
        Reason, SessionClaims,
    },
    error::{AdmitError, Refused},
    house::House,
    principal::{Models, Principal, Shown},
    tenant::Tenant,
};
use jiff::Timestamp;
use policy::{Right, Rights};
use std::{fmt, sync::Arc};

/// The only maker of [`Compartment`]s and [`Principal`]s.
#[derive(Clone)]
pub struct Gatehouse {
    house: Arc<House>,
}

impl Gatehouse {
    pub(crate) fn new(house: Arc<House>) -> Self {
        Self { house }
    }

    /// Admits whoever shows an API key, a session token or a token of a pinned issuer: the value of an `Authorization`
    /// header, with or without `Bearer`. Touches no disk where the tenant is open already.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthorized`] for every credential that is not good, whatever is wrong with it.
    /// [`Refused::TenantSuspended`] only after the credential was proven. [`Refused::KeyServiceUnavailable`],
    /// [`Refused::StoreUnavailable`], [`Refused::IssuerUnavailable`] and [`Refused::Overloaded`] for faults of ours.
    pub async fn admit(
        &self,
        authorization: &str,
        now: Timestamp,
    ) -> Result<(Compartment, Principal), AdmitError> {
        let admitted = match Presented::parse(authorization) {
            Ok(Presented::Key(key)) if key.kind() == ApiKeyKind::Tenant => {
                self.by_key(&key, now).await
            }
            Ok(Presented::Session(session)) => self.by_session(&session, now).await,
            Ok(Presented::Jwt(jwt)) => self.by_jwt(&jwt, now).await,
            Ok(Presented::Key(_)) | Err(_) => Err(Refused::Unauthorized),
        };
        let (tenant, who) = admitted.inspect_err(|refused| self.house.counters.refused(refused))?;
        if tenant.is_suspended() {
            return Err(Refused::TenantSuspended);
        }
        Ok((Compartment::new(tenant, &who), who))
    }

    /// One keyed hash and one comparison, whether there is such a key or not.
    async fn by_key(
        &self,
        key: &PresentedKey<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Tenant>, Principal), Refused> {
        let Some(tenant) = self.house.tenant_of_key(key.id(), now).await? else {
            self.house.decoy.compare(key);
            return Err(Refused::Unauthorized);
        };
        let live = tenant.credentials.get(&key.id());
        let stored = live
            .as_ref()
            .map_or(self.house.decoy.hash(), |live| &live.hash);
        let proven = key.matches(&tenant.keys.credential_hash, stored);
        let live = live
            .filter(|live| proven && live.is_valid(now))
            .ok_or(Refused::Unauthorized)?;
        let who = Principal {
            home: tenant.id,
            shown: Shown::Key(key.id()),
            scopes: live.scopes,
            models: live.models.clone(),
            subject: None,
            session: None,
            expires: live.expires,
        };
        Ok((tenant, who))
    }

    async fn by_session(
        &self,
        session: &PresentedSession,
        now: Timestamp,
    ) -> Result<(Arc<Tenant>, Principal), Refused> {
        let minted_by = session.minted_by();
        let tenant = self
            .house
            .tenant_of_key(minted_by, now)
            .await?
            .ok_or(Refused::Unauthorized)?;
        let claims = session
            .open(&tenant.keys.session_tokens, now)
            .map_err(refuse)?;
        let live = tenant
            .credentials
            .get(&minted_by)
            .filter(|live| live.is_valid(now))
            .ok_or(Refused::Unauthorized)?;
        let who = Principal {
            home: tenant.id,
            shown: Shown::Session { minted_by },
            scopes: scopes_of(&claims),
            models: live
                .models
                .and(&Models::from_list(claims.models).map_err(|_| Refused::Unauthorized)?),
            subject: Some(tenant.keys.blind_subject(&claims.subject)),
            session: claims
                .session
                .map(|session| tenant.keys.blind_session(&claims.subject, &session)),
            expires: Some(
                live.expires
                    .map_or(claims.expires, |key| key.min(claims.expires)),
            ),
        };
        Ok((tenant, who))
    }

    /// The issuer and the tenant claim of an unproven token say where to look for the pin that proves it.
    async fn by_jwt(
        &self,
        jwt: &PresentedJwt<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Tenant>, Principal), Refused> {
        let (tenant, issuer) = self
            .house
            .tenant_of_token(jwt.unproven(), now)
            .await?
            .ok_or(Refused::Unauthorized)?;
        let pinned = tenant.issuers.get(&issuer).ok_or(Refused::Unauthorized)?;
        let identity = tenant
            .jwks
            .verify(jwt, &pinned.pin, now)
            .await
            .map_err(refuse)?;
        let who = Principal {
            home: tenant.id,
            shown: Shown::Issuer(issuer),
            scopes: Rights::NONE.and(Right::Infer),
            models: pinned.models.clone(),
            subject: Some(tenant.keys.blind_subject(&identity.subject)),
            session: identity
                .session
                .map(|session| tenant.keys.blind_session(&identity.subject, &session)),
            expires: Some(identity.expires),
        };
        Ok((tenant, who))
    }
}

/// A session token never does more than infer, whatever it says.
fn scopes_of(claims: &SessionClaims) -> Rights {
    let named: Rights = claims
        .scopes
        .iter()
        .filter_map(|scope| scope.parse::<Right>().ok())
        .collect();
    named.both(Rights::NONE.and(Right::Infer))
}

fn refuse(error: CredentialError) -> Refused {
    match error.reason() {
        Reason::IssuerUnavailable => Refused::IssuerUnavailable,
        _ => Refused::Unauthorized,
    }
}

impl fmt::Debug for Gatehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatehouse").finish_non_exhaustive()
    }
}
