//! Between the house's values and the shapes that cross the socket.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use compartment::{Refused, administration as deeds};
use jiff::Timestamp;
use policy::{Right, Rights};
use serde::{Serialize, de::DeserializeOwned};
use wire::steward::{
    ApiKey, ApiKeyObject, Checkpoint, CheckpointObject, KeyState, LimitSet, Limits, LimitsObject,
    LimitsView, Scope,
};

use crate::refusal::Refusal;

pub(super) fn key(key: &deeds::KeyFacts, now: Timestamp) -> ApiKey {
    let state = match (key.revoked, key.expires) {
        (Some(_), _) => KeyState::Revoked,
        (None, Some(expires)) if expires <= now => KeyState::Expired,
        (None, _) => KeyState::Active,
    };
    ApiKey {
        id: key.id.to_string(),
        object: ApiKeyObject,
        name: key.name.clone(),
        state,
        scopes: key.scopes.iter().map(scope).collect(),
        models: key.models.list(),
        limits: limits_out(&key.limits).unwrap_or_default(),
        created_at: key.created,
        expires_at: key.expires,
        revoked_at: key.revoked,
    }
}

pub(crate) fn scope(right: Right) -> Scope {
    match right {
        Right::Infer => Scope::Infer,
        Right::MintSessions => Scope::MintSessions,
        Right::Steward => Scope::Steward,
        Right::Audit => Scope::Audit,
    }
}

pub(super) fn rights(scopes: &[Scope]) -> Rights {
    scopes.iter().fold(Rights::NONE, |rights, scope| {
        rights.and(match scope {
            Scope::Infer => Right::Infer,
            Scope::MintSessions => Right::MintSessions,
            Scope::Steward => Right::Steward,
            Scope::Audit => Right::Audit,
        })
    })
}

pub(super) fn limits(wish: &Limits) -> Result<policy::Limits, Refusal> {
    same_json(wish).map_err(|why| unreadable(&why))
}

pub(super) fn limit_set(wish: &LimitSet) -> Result<policy::LimitSet, Refusal> {
    same_json(wish).map_err(|why| unreadable(&why))
}

/// The reason names a field or an amount's form, never anything of another tenant: it is the caller's own body.
fn unreadable(why: &serde_json::Error) -> Refusal {
    Refusal::of(
        400,
        "invalid_value",
        format!("the limits cannot be read ({why}); nothing was changed; correct them"),
    )
}

fn limits_out(limits: &policy::Limits) -> Result<Limits, Refused> {
    same_json(limits).map_err(|_| Refused::Internal)
}

pub(super) fn limits_view(tiers: &deeds::TenantLimits) -> Result<LimitsView, Refused> {
    let shape = |set: &policy::LimitSet| same_json::<LimitSet>(set).map_err(|_| Refused::Internal);
    Ok(LimitsView {
        object: LimitsObject,
        operator: shape(&tiers.operator)?,
        steward: shape(&tiers.steward)?,
        effective: shape(&tiers.effective)?,
    })
}

/// Limits have one JSON form, which both sides read and write: `wire` keeps amounts as text, `policy` as numbers.
fn same_json<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, serde_json::Error> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

/// The word that stands for a value in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A signed note and its parts. `None` where the note is not one of ours.
pub(super) fn checkpoint(signed: deeds::SignedCheckpoint) -> Option<Checkpoint> {
    // C2SP tlog-checkpoint: origin, size, root in base64
    let root = BASE64_STANDARD.decode(signed.note.lines().nth(2)?).ok()?;
    Some(Checkpoint {
        object: CheckpointObject,
        size: signed.size,
        root: hex::encode(root),
        note: signed.note,
        verifier_key: signed.verifier_key,
    })
}
