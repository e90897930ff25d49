//! `/healthz`, `/readyz` and `/metrics`. They need no credential: they say nothing of any tenant.

use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};
use wire::admin::{Health, HealthCheck, HealthState};

use super::Control;
use crate::{administration::ok, refusal::Refusal};

/// The process lives and answers.
pub(super) async fn alive() -> Response {
    ok(&Health {
        status: HealthState::Ok,
        checks: Vec::new(),
    })
}

/// Whether calls would be served now: 503 with what is wrong where they would not. An upstream that is given a pause is
/// told of and does not make the gateway unready: other models still work.
pub(super) async fn ready(State(control): State<Control>) -> Response {
    let health = control.gateway.house().health().await;
    let own = [
        check(
            "store",
            health.store,
            "the data folder cannot be written; is the disk full?",
        ),
        check(
            "keys",
            health.keys,
            "the key provider does not answer; tenants that are not open yet are refused",
        ),
    ];
    let ready = health.store && health.keys;
    let upstreams = control.gateway.resting().map(|(upstream, rests)| {
        let told = "it has failed repeatedly and is given a pause; calls to it are refused";
        check(&format!("upstream:{upstream}"), !rests, told)
    });
    let mut response = ok(&Health {
        status: state(ready),
        checks: own.into_iter().chain(upstreams).collect(),
    });
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// The metrics, in the text format of OpenMetrics.
pub(super) async fn metrics(State(control): State<Control>) -> Result<Response, Refusal> {
    let stats = control.gateway.house().stats();
    let text = control
        .gateway
        .metrics()
        .text(&stats, control.gateway.resting());
    let mut response = Response::new(Body::from(text));
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn check(name: &str, fine: bool, message: &str) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        status: state(fine),
        message: (!fine).then(|| message.to_owned()),
    }
}

fn state(fine: bool) -> HealthState {
    if fine {
        HealthState::Ok
    } else {
        HealthState::Failing
    }
}
