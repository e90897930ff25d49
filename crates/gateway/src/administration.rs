//! What a tenant's steward and the operator both do with one tenant, written once.
//!
//! An [`Office`] says where the administration comes from: the steward's from its own credential, the operator's from an
//! operator key and the tenant in the path. From there on the two are the same handlers.

mod issuers;
mod journal;
mod keys;
mod limits;
mod shapes;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Query, RawPathParams},
    response::Response,
    routing::get,
};
use compartment::{Administration, JournalView, Refused};
use http::{HeaderMap, StatusCode, Uri};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use wire::steward::{self, Body as Shape};

use crate::{
    app::Gateway,
    config::CallLimits,
    intake::{self, BodyShare},
    refusal::Refusal,
    reply,
};

pub(crate) use journal::{Exports, shape as checkpoint_shape};
pub(crate) use shapes::scope;

/// Bytes of a request body of administration.
const MAX_BODY: usize = 64 * 1024;
/// From a request's head to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a query.
const MAX_QUERY: usize = 4096;

/// Where the administration of a tenant comes from.
pub(crate) trait Office: Clone + Send + Sync + 'static {
    /// The gateway it belongs to.
    fn gateway(&self) -> &Arc<Gateway>;

    /// The administration that this request may have.
    ///
    /// # Errors
    /// 401 without a valid credential, 403 where it does not reach this far, 404 for a tenant that is not there.
    fn open(
        &self,
        headers: &HeaderMap,
        path: &RawPathParams,
        now: Timestamp,
    ) -> impl Future<Output = Result<Administration, Refusal>> + Send;

    /// The journal that this request may read, and the room for exports of it.
    ///
    /// # Errors
    /// As [`Office::open`].
    fn journal(
        &self,
        headers: &HeaderMap,
        path: &RawPathParams,
        now: Timestamp,
    ) -> impl Future<Output = Result<(JournalView, Arc<Exports>), Refusal>> + Send;
}

/// The routes that both have.
pub(crate) fn routes<O: Office>() -> Router<O> {
    Router::new()
        .route("/keys", get(keys::list::<O>).post(keys::mint::<O>))
        .route(
            "/keys/{id}",
            get(keys::one::<O>)
                .patch(keys::change::<O>)
                .delete(keys::revoke::<O>),
        )
        .route("/limits", get(limits::show::<O>).put(limits::set::<O>))
        .route("/usage", get(usage::show::<O>))
        .route("/issuers", get(issuers::list::<O>))
        .route(
            "/issuers/{id}",
            get(issuers::one::<O>)
                .put(issuers::set::<O>)
                .delete(issuers::remove::<O>),
        )
        .route("/journal/checkpoint", get(journal::checkpoint::<O>))
        .route("/journal/records", get(journal::records::<O>))
        .route("/journal/proof", get(journal::proof::<O>))
        .route("/journal/export", get(journal::export::<O>))
}

/// A body of administration: bounded, strict, checked.
///
/// # Errors
/// 400 naming the field; 408, 413 or 415 for what cannot be read.
pub(crate) async fn body<B: Shape>(headers: &HeaderMap, body: Body) -> Result<B, Refusal> {
    let limits = CallLimits {
        max_body_bytes: MAX_BODY,
        max_tenant_body_bytes: MAX_BODY,
        body_timeout: BODY_TIMEOUT,
    };
    let taken = intake::read(headers, body, &BodyShare::new(&limits), &limits).await?;
    Ok(B::parse(&taken.bytes)?)
}

/// The query of a request.
///
/// # Errors
/// 400 for a parameter that is not known or cannot be read.
pub(crate) fn query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Refusal> {
    let text = uri.query().unwrap_or_default();
    let wrong = || {
        Refusal::of(
            400,
            "invalid_query",
            "the query has a parameter that is not known or cannot be read",
        )
    };
    if text.len() > MAX_QUERY {
        return Err(wrong());
    }
    Query::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|_| wrong())
}

/// A part of the path by its name; routes are written so that it is there.
pub(crate) fn part<'a>(path: &'a RawPathParams, name: &str) -> Result<&'a str, Refusal> {
    path.iter()
        .find(|(part, _)| *part == name)
        .map(|(_, value)| value)
        .ok_or_else(|| Refused::Internal.into())
}

/// A 200 with this answer.
pub(crate) fn ok(answer: &impl Serialize) -> Response {
    reply::json(Body::from(steward::write(answer)))
}

/// A 201 with this answer.
pub(crate) fn created(answer: &impl Serialize) -> Response {
    let mut response = ok(answer);
    *response.status_mut() = StatusCode::CREATED;
    response
}
