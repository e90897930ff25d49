//! `…/limits`

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    response::Response,
};
use http::HeaderMap;
use jiff::Timestamp;
use wire::steward::LimitSet;

use super::{Office, body, ok, shapes};
use crate::refusal::Refusal;

pub(super) async fn show<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let admin = office.open(&headers, &path, Timestamp::now()).await?;
    Ok(ok(&shapes::limits_view(&admin.limits().get())?))
}

/// Sets the tier of whoever asks.
pub(super) async fn set<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let admin = office.open(&headers, &path, now).await?;
    let wish: LimitSet = body(&headers, sent).await?;
    let set = admin.limits().set(shapes::limit_set(&wish)?, now).await?;
    Ok(ok(&shapes::limits_view(&set)?))
}
