//! `GET /v1/models` and `GET /v1/models/{id}`: what this caller may use, and nothing of what others may.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::HeaderMap;
use jiff::Timestamp;
use wire::openai::{
    error,
    models::{Model, ModelList},
};

use crate::{app::Gateway, refusal::Refusal, reply};

pub(crate) async fn models(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (compartment, principal) = gateway.admit(&headers, Timestamp::now()).await?;
    let usable = gateway
        .offered()
        .filter(|model| compartment.may_use(&principal, model));
    let list = ModelList::new(
        usable
            .map(|model| Model::new(model, gateway.started()))
            .collect(),
    );
    Ok(reply::json(Body::from(list.write())))
}

pub(crate) async fn model(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (compartment, principal) = gateway.admit(&headers, Timestamp::now()).await?;
    let usable = gateway
        .offered()
        .find(|model| *model == id && compartment.may_use(&principal, model));
    let model = Model::new(
        usable.ok_or_else(error::model_not_found)?,
        gateway.started(),
    );
    Ok(reply::json(Body::from(model.write())))
}
