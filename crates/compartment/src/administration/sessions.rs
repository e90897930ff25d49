//! Session tokens for end users.

use super::{Act, Actor};
use crate::{
    credential::{
        DEFAULT_SESSION_SECONDS, MintError, SecretToken, SessionClaims,
        mint_session as seal_session,
    },
    error::Refused,
    principal::{Models, Principal, Shown},
    tenant::Tenant,
};
use evidence::AdminAction;
use jiff::Timestamp;
use policy::Right;
use std::fmt;

/// A session token to be minted.
#[derive(Clone)]
pub struct MintSession {
    /// The end user, in the tenant's own words: 1 to 256 bytes without control characters. Never stored but blinded.
    pub subject: String,
    /// One sitting of that end user, likewise.
    pub session: Option<String>,
    /// How long it lives: 1 to 86,400 seconds; 900 where nothing is said.
    pub seconds: Option<u32>,
    /// The models it may name, among those that the minting key may; [`Models::All`] is all of those.
    pub models: Models,
}

impl fmt::Debug for MintSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintSession")
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}

/// A session token that was just minted.
#[derive(Debug)]
pub struct MintedSession {
    /// The token itself, this once.
    pub token: SecretToken,
    /// When it ends.
    pub expires: Timestamp,
}

pub(crate) async fn mint_session(
    tenant: &Tenant,
    who: &Principal,
    wish: MintSession,
    now: Timestamp,
) -> Result<MintedSession, Refused> {
    let Shown::Key(key) = who.shown else {
        return Err(Refused::Forbidden {
            needs: Right::MintSessions,
        });
    };
    // All models are all that the key may name: the door narrows them to those.
    if wish.models != Models::All && !wish.models.within(&who.models) {
        return Err(Refused::BeyondReach {
            what: "a key cannot hand on a model that it may not name",
        });
    }
    tenant.meter.take_request(who, now)?;
    let claims = SessionClaims::new(
        wish.subject,
        wish.session,
        vec![Right::Infer.as_str().to_owned()],
        wish.models.list(),
        now,
        wish.seconds.unwrap_or(DEFAULT_SESSION_SECONDS),
    )
    .map_err(refuse)?;
    let token = seal_session(&tenant.keys.session_tokens, &key, &claims).map_err(refuse)?;
    let record = Act::on(AdminAction::SessionTokenMinted, &key).by(&Actor::steward(who))?;
    tenant.write(now, record, |_| Ok(())).await?;
    Ok(MintedSession {
        token,
        expires: claims.expires,
    })
}

fn refuse(error: MintError) -> Refused {
    let param = match error {
        MintError::Lifetime => "seconds",
        MintError::Name => "subject",
        MintError::TooLong => "models",
        _ => return Refused::Internal,
    };
    Refused::invalid(param, &error.to_string())
}
