//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::{body::Body, extract::State, response::Response};
use compartment::{Ask, Route};
use http::HeaderMap;
use jiff::Timestamp;
use wire::openai::chat::ChatRequest;

use super::cache_key;
use crate::{app::Gateway, call::Call, refusal::Refusal, reply, upstream::Errand};

pub(crate) async fn chat(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let (compartment, principal) = gateway.admit(&headers, now).await?;
    let taken = gateway.read(&compartment, &headers, body).await?;
    let request = ChatRequest::parse(&taken.bytes, gateway.extra_fields())?;
    let (model, stream, wants_usage) = (
        request.params.model.clone(),
        request.is_stream(),
        request.wants_usage(),
    );
    let place = gateway.place(&model);
    let ask = Ask {
        route: Route::ChatCompletions,
        facts: request.facts(),
        offered: place.bounds(),
        upstream: place.upstream_name(),
        caller_cache_key: cache_key(&request.caller),
        request_bytes: &taken.bytes,
    };
    let mut call = Call::new(
        gateway.metrics(),
        compartment.permit(&principal, ask, now).await?,
        Route::ChatCompletions,
        place.upstream_name(),
    );
    let (upstream, upstream_model) = place
        .upstream(&request.extra, request.feature_without_price())
        .map_err(|refusal| call.refused(refusal))?;
    let clean = call.clean(request)?;
    let errand = Errand {
        compartment: &compartment,
        call_id: call.id().to_owned(),
        model: upstream_model,
    };
    if stream {
        reply::stream(
            call,
            upstream.chat_stream(&errand, &clean),
            model,
            wants_usage,
        )
        .await
    } else {
        reply::whole(call, upstream.chat(&errand, &clean), model).await
    }
}
