//! One request to an OpenAI-compatible server: built from nothing, timed, retried only where that is safe.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time;

use super::{Fault, breaker::Breaker, line::Line};

/// Tries after the first one.
const RETRIES: u32 = 2;
/// Pause before the first retry of a connection that could not be made; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest `Retry-After` that is waited out here; a longer one is the caller's to wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// How this server names itself to upstreams.
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("cofferdam/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Answers are read as they come: a compressed one would be refused.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// What goes out, whole. Nothing of the client's own head is in it.
pub(super) struct Outgoing {
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
    /// Our id of the call; never the client's.
    pub(super) call_id: HeaderValue,
    pub(super) body: Bytes,
    pub(super) stream: bool,
}

impl Outgoing {
    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, if self.stream { EVENTS } else { JSON });
        headers.insert(header::ACCEPT_ENCODING, IDENTITY);
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert("x-request-id", self.call_id.clone());
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }
}

/// Sends until there is a head, and gives it back with its body unread.
///
/// A try is repeated only if the upstream cannot have worked on it: the connection was never made, or the answer is
/// 429 or 503 with a `Retry-After` of at most two seconds.
///
/// # Errors
/// The upstream rests (a breaker is open), cannot be reached, breaks off, or has no head within `first_byte`.
pub(super) async fn send(
    shared: &Breaker,
    line: &Line,
    outgoing: &Outgoing,
    first_byte: Duration,
) -> Result<Response<Incoming>, Fault> {
    line.retries.pay_in();
    let mut tried = 0;
    loop {
        let again = match once(shared, line, outgoing, first_byte).await {
            Ok(response) => match pause_of(&response) {
                Some(pause) if tried < RETRIES && line.retries.take() => pause,
                _ => return Ok(response),
            },
            Err(Fault::Unreachable) if tried < RETRIES && line.retries.take() => {
                FIRST_BACKOFF * 2_u32.pow(tried)
            }
            Err(fault) => return Err(fault),
        };
        tried += 1;
        time::sleep(again).await;
    }
}

async fn once(
    shared: &Breaker,
    line: &Line,
    outgoing: &Outgoing,
    first_byte: Duration,
) -> Result<Response<Incoming>, Fault> {
    let now = Instant::now();
    for breaker in [shared, &line.breaker] {
        breaker
            .ask(now)
            .map_err(|retry_after| Fault::Resting { retry_after })?;
    }
    match time::timeout(first_byte, line.client.request(outgoing.request())).await {
        Ok(Ok(response)) => {
            shared.succeeded();
            if response.status().is_server_error() {
                line.breaker.failed(Instant::now());
            } else {
                line.breaker.succeeded();
            }
            Ok(response)
        }
        Ok(Err(error)) if error.is_connect() => {
            shared.failed(Instant::now());
            Err(Fault::Unreachable)
        }
        Ok(Err(_)) => {
            line.breaker.failed(Instant::now());
            Err(Fault::Broken)
        }
        Err(_) => {
            line.breaker.failed(Instant::now());
            Err(Fault::TimedOut)
        }
    }
}

/// How long to wait before the same request may be sent again, if the upstream said that it did not work on it.
fn pause_of<B>(response: &Response<B>) -> Option<Duration> {
    matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
    .then(|| retry_after(response))
    .flatten()
    .filter(|pause| *pause <= PATIENCE)
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); the form with a date is not read.
pub(super) fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim()
        .parse::<u32>()
        .ok()
        .map(|seconds| Duration::from_secs(seconds.into()))
}
