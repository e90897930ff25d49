//! `…/keys`

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    response::Response,
};
use compartment::{ApiKeyId, Models, Refused, administration as deeds};
use http::{HeaderMap, Uri};
use jiff::Timestamp;
use wire::steward::{ChangeKey, List, ListQuery, MintKey, MintedKey, Secret};

use super::{Office, body, created, ok, part, query, shapes};
use crate::refusal::Refusal;

pub(super) async fn list<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let page: ListQuery = query(&uri)?;
    let after = page.after.as_deref().map(id_of).transpose()?;
    let limit = page.limit();
    // one more than is shown says whether there is another page
    let most = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let keys = admin.keys().list(after, most).await?;
    let shown = keys.iter().map(|key| shapes::key(key, now)).collect();
    Ok(ok(&List::page(shown, limit)))
}

pub(super) async fn mint<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let wish: MintKey = body(&headers, sent).await?;
    let expires = wish.expires(now);
    let minted = admin
        .keys()
        .mint(
            deeds::MintKey {
                name: wish.name,
                scopes: shapes::rights(&wish.scopes),
                models: Models::from_list(wish.models)?,
                limits: shapes::limits(&wish.limits.unwrap_or_default())?,
                expires,
            },
            now,
        )
        .await?;
    Ok(created(&MintedKey {
        key: Secret::new(minted.secret.expose()),
        facts: shapes::key(&minted.facts, now),
    }))
}

pub(super) async fn one<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let key = admin.keys().get(&id(&path)?).await?;
    Ok(ok(&shapes::key(&key, now)))
}

pub(super) async fn change<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let wish: ChangeKey = body(&headers, sent).await?;
    let change = deeds::ChangeKey {
        name: wish.name,
        scopes: wish.scopes.as_deref().map(shapes::rights),
        models: wish.models.map(Models::from_list).transpose()?,
        limits: wish
            .limits
            .map(|limits| shapes::limits(&limits.unwrap_or_default()))
            .transpose()?,
        expires: wish.expires_at,
    };
    let key = admin.keys().change(&id(&path)?, change, now).await?;
    Ok(ok(&shapes::key(&key, now)))
}

pub(super) async fn revoke<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let key = admin.keys().revoke(&id(&path)?, now).await?;
    Ok(ok(&shapes::key(&key, now)))
}

fn id(path: &RawPathParams) -> Result<ApiKeyId, Refusal> {
    id_of(part(path, "id")?)
}

/// What is no id names nothing, like an id that nothing has.
fn id_of(text: &str) -> Result<ApiKeyId, Refusal> {
    ApiKeyId::parse(text).map_err(|_| Refused::NotFound { what: "key" }.into())
}
