//! `/tenant/v1/calls/{id}`: what became of one call. An end user's credential sees that end user's calls alone.

use axum::{
    extract::{Path, State},
    response::Response,
};
use compartment::{CallFacts, CallId, Refused};
use http::HeaderMap;
use jiff::Timestamp;
use wire::steward::{Call, CallObject, CallState};

use super::Steward;
use crate::{administration::ok, refusal::Refusal};

pub(super) async fn one(
    State(Steward(gateway)): State<Steward>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (compartment, _) = gateway.admit(&headers, Timestamp::now()).await?;
    let call = match CallId::parse(&id) {
        Ok(id) => compartment.calls().get(&id).await?,
        Err(_) => None,
    };
    Ok(ok(&shape(call.ok_or(Refused::NotFound { what: "call" })?)))
}

fn shape(call: CallFacts) -> Call {
    let end = call.end.as_ref();
    Call {
        id: call.id.to_string(),
        object: CallObject,
        state: if end.is_some() {
            CallState::Settled
        } else {
            CallState::Running
        },
        route: call.route,
        model: call.model,
        upstream: call.upstream,
        credential: call.credential,
        subject: call.subject,
        session: call.session,
        started_at: call.started,
        settled_at: end.map(|end| end.at),
        outcome: end.map(|end| end.outcome.to_owned()),
        status: end.map(|end| end.status),
        input_tokens: end.map(|end| end.input_tokens),
        output_tokens: end.map(|end| end.output_tokens),
        reserved: call.reserved.to_string(),
        cost: end.map(|end| end.cost.to_string()),
    }
}
