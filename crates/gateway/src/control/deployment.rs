//! `/admin/v1/deployment/checkpoint` and `/admin/v1/models`: the deployment as a whole.

use axum::{extract::State, response::Response};
use compartment::Refused;
use http::HeaderMap;
use wire::steward::List;

use super::Control;
use crate::{
    administration::{checkpoint_shape, ok},
    refusal::Refusal,
};

pub(super) async fn checkpoint(
    State(control): State<Control>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let signed = control.operator(&headers)?.deployment_checkpoint().await?;
    Ok(ok(&checkpoint_shape(
        signed.ok_or(Refused::NotFound { what: "checkpoint" })?,
    )?))
}

pub(super) async fn models(
    State(control): State<Control>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    control.operator(&headers)?;
    Ok(ok(&List::whole(control.gateway.model_routes())))
}
