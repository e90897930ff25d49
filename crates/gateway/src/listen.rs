//! The listener: accepts connections, bounds each of them, hands parsed requests to a router.
//!
//! HTTP/1.0 and HTTP/1.1 only (RFC 9112). HTTP/2 is not offered on the plain listener: it would bring its own
//! floods (resets, settings, continuations) and no client needs it without TLS.
//!
//! What a connection may cost is bounded before any of our code sees a request: the head by count, bytes and
//! time, the idle wait, a client that stops reading, the number of connections, and the time a shutdown waits.

mod head;
mod patience;
mod rest;

use std::{convert::Infallible, io, pin::Pin, sync::Arc, task, time::Duration};

use axum::{Router, body::Body, response::IntoResponse};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Frame;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use crate::config::ListenLimits;
use patience::{Flight, Patience};

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every connection finished by itself within the drain limit.
    Whole,
    /// The drain limit passed; this many connections were cut.
    Cut(usize),
}

/// Serves `router` on `listener` until `stop` is cancelled, then drains.
///
/// After `stop` no connection is accepted, idle connections close at once, and calls in flight have
/// `limits.drain` to finish; what is left then is cut (its permits settle as abandoned).
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ListenLimits,
    stop: CancellationToken,
) -> Drained {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let open = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        // a slot first, then a connection: when all slots are taken, newcomers wait in the kernel's backlog
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => match slot {
                Ok(slot) => slot,
                Err(_) => break,
            },
        };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    rest_after(&error).await;
                    continue;
                }
            },
        };
        // small answers and stream chunks must not wait for the peer's acknowledgement
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let (router, stop, cut) = (router.clone(), stop.clone(), cut.clone());
        open.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection(stream, router, limits, stop) => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    open.close();
    if time::timeout(limits.drain, open.wait()).await.is_ok() {
        return Drained::Whole;
    }
    let left = open.len();
    cut.cancel();
    open.wait().await;
    Drained::Cut(left)
}

/// Out of descriptors or memory: a pause lets running connections finish instead of spinning on `accept`.
async fn rest_after(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) {
        return;
    }
    tracing::warn!(kind = ?error.kind(), "accept failed; pausing for 100 ms");
    time::sleep(Duration::from_millis(100)).await;
}

async fn connection(
    stream: tokio::net::TcpStream,
    router: Router,
    limits: ListenLimits,
    stop: CancellationToken,
) {
    let flight = Flight::new();
    let io = TokioIo::new(Patience::new(
        stream,
        flight.clone(),
        limits.head_timeout,
        limits.write_stall,
    ));
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, flight) = (router.clone(), flight.begin());
        async move {
            let response = answer(router, request).await;
            Ok::<_, Infallible>(response.map(|body| InFlight {
                body,
                _flight: flight,
            }))
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper starts this clock when it waits for a head, so it is the keep-alive wait;
            // `Patience` holds the shorter clock that starts with a head's first byte
            .header_read_timeout(limits.idle_timeout)
            .max_headers(limits.max_headers)
            .max_header_size(limits.max_head_bytes)
            .max_buf_size(limits.max_head_bytes.max(READ_BUFFER))
            .serve_connection(io, service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // content-free: the kind of failure only
        tracing::debug!(
            parse = error.is_parse(),
            timeout = error.is_timeout(),
            "connection ended early"
        );
    }
}

/// Bytes read from a socket at a time at most.
const READ_BUFFER: usize = 64 * 1024;

async fn answer(mut router: Router, request: Request<Incoming>) -> Response<Body> {
    let (mut response, goes_on) = match head::check(&request) {
        Ok(()) => {
            let (head, body) = request.into_parts();
            let (body, end) = rest::Noted::new(body);
            match router
                .call(Request::from_parts(head, Body::new(body)))
                .await
            {
                Ok(response) => (response, end.reached()),
                Err(never) => match never {},
            }
        }
        // what follows an ambiguous head on this connection cannot be trusted to be a request
        Err(refusal) => (refusal.into_response(), false),
    };
    if !goes_on {
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A response body that marks its connection busy until it is dropped.
struct InFlight {
    body: Body,
    _flight: patience::InFlight,
}

impl http_body::Body for InFlight {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
