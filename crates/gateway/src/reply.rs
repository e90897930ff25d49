//! Answers on their way to a caller: stamped with our id and the caller's name of the model, committed, settled.
//!
//! INVARIANT: no byte of an answer goes out before its call's intent is durable. The wait for the disk overlaps the
//! wait for the upstream, so it costs no time.

mod relay;
mod shapes;

use axum::{body::Body, response::Response};
use compartment::{Ended, Refused};
use futures_util::{TryFutureExt as _, future::try_join, stream};
use http::{HeaderValue, header};
use wire::openai::usage::Usage;

use crate::{
    call::Call,
    refusal::Refusal,
    upstream::{Fault, Piece, Pieces},
};
use relay::Relay;

/// An answer that is one JSON document.
pub(crate) trait Answer {
    /// Puts our id and the caller's name of the model in place of the upstream's.
    fn stamp(&mut self, id: &str, model: &str);
    /// What the upstream counted.
    fn usage(&self) -> Option<&Usage>;
    /// Its JSON.
    fn write(&self) -> Vec<u8>;
}

/// What ended the wait for an upstream and the disk.
enum Stop {
    Upstream(Fault),
    Store(Refused),
}

/// Waits for the answer `sent` brings, and gives it to the caller.
///
/// # Errors
/// What the upstream did instead, or that the store cannot record.
pub(crate) async fn whole<A: Answer>(
    mut call: Call,
    sent: impl Future<Output = Result<A, Fault>>,
    model: String,
) -> Result<Response, Refusal> {
    call.unseen();
    let mut answer = both(&mut call, sent).await?;
    answer.stamp(call.id(), &model);
    let json_text = answer.write();
    call.commit(&json_text);
    call.answered(Ended::Completed, answer.usage());
    let mut response = json(Body::from(json_text));
    mark(&mut response, &call);
    Ok(response)
}

/// Waits for the stream `sent` brings, and passes its pieces on as the caller reads them.
///
/// # Errors
/// What the upstream did instead of starting a stream, or that the store cannot record.
pub(crate) async fn stream<P: Piece>(
    mut call: Call,
    sent: impl Future<Output = Result<Pieces<P>, Fault>>,
    model: String,
    wants_usage: bool,
) -> Result<Response, Refusal> {
    let pieces = both(&mut call, sent).await?;
    let mut response = Response::new(Body::empty());
    mark(&mut response, &call);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // a proxy that collects the pieces would take the point out of them
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let relay = Box::new(Relay::new(call, pieces, model, wants_usage));
    *response.body_mut() = Body::from_stream(stream::unfold(relay, |mut relay| async move {
        let next = relay.next().await?;
        Some((next, relay))
    }));
    Ok(response)
}

/// The upstream's answer, once the intent is durable too.
async fn both<T>(
    call: &mut Call,
    sent: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Refusal> {
    let joined = try_join(
        sent.map_err(Stop::Upstream),
        call.durable().map_err(Stop::Store),
    )
    .await;
    match joined {
        Ok((answer, ())) => Ok(answer),
        Err(Stop::Upstream(fault)) => Err(call.failed(fault, None)),
        Err(Stop::Store(refused)) => Err(call.given_up(refused)),
    }
}

/// A successful JSON answer.
pub(crate) fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn mark(response: &mut Response, call: &Call) {
    // an id of ours is always a legal header
    if let Ok(id) = HeaderValue::from_str(call.id()) {
        response.headers_mut().insert("x-request-id", id);
    }
}
