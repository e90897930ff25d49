//! `…/issuers`

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    response::Response,
};
use compartment::{IssuerId, Models, Refused, administration as deeds, credential};
use http::HeaderMap;
use jiff::Timestamp;
use wire::steward::{Deleted, Issuer, IssuerObject, List, PutIssuer, TenantClaim};

use super::{Office, body, ok, part};
use crate::refusal::Refusal;

pub(super) async fn list<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let admin = office.open(&headers, &path, Timestamp::now()).await?;
    Ok(ok(&List::whole(
        admin.issuers().list().iter().map(shape).collect(),
    )))
}

pub(super) async fn one<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let admin = office.open(&headers, &path, Timestamp::now()).await?;
    Ok(ok(&shape(&admin.issuers().get(&id(&path)?)?)))
}

pub(super) async fn set<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let id = id(&path)?;
    let wish: PutIssuer = body(&headers, sent).await?;
    let models = Models::from_list(wish.models.clone())?;
    let proof = wish.proof.as_ref().map(|proof| proof.expose().to_owned());
    let set = admin
        .issuers()
        .set(
            id,
            deeds::SetIssuer {
                pin: pin(&wish)?,
                models,
                proof,
            },
            now,
        )
        .await?;
    Ok(ok(&shape(&set)))
}

pub(super) async fn remove<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let id = id(&path)?;
    admin.issuers().remove(&id, now).await?;
    Ok(ok(&Deleted::new(id.to_string(), "issuer")))
}

fn id(path: &RawPathParams) -> Result<IssuerId, Refusal> {
    IssuerId::parse(part(path, "id")?).map_err(|_| Refused::NotFound { what: "issuer" }.into())
}

/// The pin has the same fields under the same names.
fn pin(wish: &PutIssuer) -> Result<credential::IssuerPin, Refusal> {
    let wrong = |field: &str| {
        Refusal::of(
            400,
            "invalid_value",
            format!("'{field}' is not one that can be pinned; nothing was changed; correct it"),
        )
    };
    let algorithms = wish
        .algorithms
        .iter()
        .map(|name| serde_json::from_value(serde_json::Value::String(name.clone())))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("algorithms"))?;
    Ok(credential::IssuerPin {
        issuer: wish.issuer.clone(),
        audience: wish.audience.clone(),
        algorithms,
        tenant_claim: credential::TenantClaim {
            name: wish.tenant_claim.name.clone(),
            value: wish.tenant_claim.value.clone(),
        },
        subject_claim: wish
            .subject_claim
            .clone()
            .unwrap_or_else(|| "sub".to_owned()),
        session_claim: wish.session_claim.clone(),
        jwks_uri: wish.jwks_uri.parse().map_err(|_| wrong("jwks_uri"))?,
    })
}

fn shape(facts: &deeds::IssuerFacts) -> Issuer {
    let pin = &facts.pin;
    Issuer {
        id: facts.id.to_string(),
        object: IssuerObject,
        issuer: pin.issuer.clone(),
        audience: pin.audience.clone(),
        algorithms: pin.algorithms.iter().map(super::shapes::word).collect(),
        tenant_claim: TenantClaim {
            name: pin.tenant_claim.name.clone(),
            value: pin.tenant_claim.value.clone(),
        },
        subject_claim: pin.subject_claim.clone(),
        session_claim: pin.session_claim.clone(),
        jwks_uri: pin.jwks_uri.to_string(),
        models: facts.models.list(),
        created_at: None,
    }
}
