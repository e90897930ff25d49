//! `/tenant/v1/credentials`: the tenant's own credentials for upstreams. They go in and never come out.

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use compartment::{Refused, administration::UpstreamCredentialFacts};
use http::HeaderMap;
use jiff::Timestamp;
use wire::steward::{Credential, CredentialObject, Deleted, List, PutCredential};

use super::Steward;
use crate::{
    administration::{body, ok},
    refusal::Refusal,
};

pub(super) async fn list(
    State(Steward(gateway)): State<Steward>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let (compartment, principal) = gateway.admit(&headers, now).await?;
    let listed = compartment.steward(&principal, now)?.vault()?.list()?;
    Ok(ok(&List::whole(listed.iter().map(shape).collect())))
}

pub(super) async fn set(
    State(Steward(gateway)): State<Steward>,
    Path(upstream): Path<String>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let (compartment, principal) = gateway.admit(&headers, now).await?;
    let steward = compartment.steward(&principal, now)?;
    let wish: PutCredential = body(&headers, sent).await?;
    if !gateway.takes_credentials(&upstream) {
        return Err(Refused::NotFound { what: "upstream" }.into());
    }
    let set = steward
        .vault()?
        .set(&upstream, wish.secret.expose(), now)
        .await?;
    Ok(ok(&shape(&set)))
}

pub(super) async fn remove(
    State(Steward(gateway)): State<Steward>,
    Path(upstream): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let (compartment, principal) = gateway.admit(&headers, now).await?;
    compartment
        .steward(&principal, now)?
        .vault()?
        .remove(&upstream, now)
        .await?;
    Ok(ok(&Deleted::new(upstream, "upstream_credential")))
}

fn shape(facts: &UpstreamCredentialFacts) -> Credential {
    Credential {
        object: CredentialObject,
        upstream: facts.upstream.clone(),
        version: facts.version,
    }
}
