//! `/tenant/v1/sessions` and `/tenant/v1/self`: credentials for end users, and who a credential is.

use axum::{body::Body, extract::State, response::Response};
use compartment::{CredentialKind, Models};
use http::HeaderMap;
use jiff::Timestamp;
use wire::steward::{
    MintSession, Myself, MyselfKind, MyselfObject, Secret, SessionToken, SessionTokenObject,
};

use super::Steward;
use crate::{
    administration::{body, created, ok, scope},
    refusal::Refusal,
};

pub(super) async fn mint(
    State(Steward(gateway)): State<Steward>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let (compartment, principal) = gateway.admit(&headers, now).await?;
    let wish: MintSession = body(&headers, sent).await?;
    let minted = compartment
        .mint_session(
            &principal,
            compartment::MintSession {
                subject: wish.subject,
                session: wish.session,
                seconds: wish.expires_in_seconds,
                models: Models::from_list(wish.models)?,
            },
            now,
        )
        .await?;
    Ok(created(&SessionToken {
        object: SessionTokenObject,
        token: Secret::new(minted.token.expose()),
        expires_at: minted.expires,
    }))
}

pub(super) async fn myself(
    State(Steward(gateway)): State<Steward>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (_, principal) = gateway.admit(&headers, Timestamp::now()).await?;
    Ok(ok(&Myself {
        object: MyselfObject,
        kind: match principal.kind() {
            CredentialKind::Key => MyselfKind::ApiKey,
            CredentialKind::Session => MyselfKind::Session,
            CredentialKind::Issuer => MyselfKind::Issuer,
        },
        credential: principal.credential(),
        scopes: principal.scopes().iter().map(scope).collect(),
        models: principal.models().list(),
        is_subject: principal.is_subject_bound(),
        expires_at: principal.expires(),
    }))
}
