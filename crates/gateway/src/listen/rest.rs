//! Whether a request's body was read to its end. Where it was not, what is left of it stands between this request and the
//! next one, so the connection ends with the answer; and the answer has to say so, or a client would send its next
//! request into a closing connection (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A request's body that notes its end.
pub(super) struct Noted {
    body: Incoming,
    end: End,
}

/// Whether the end was reached.
#[derive(Clone)]
pub(super) struct End(Arc<AtomicBool>);

impl Noted {
    pub(super) fn new(body: Incoming) -> (Noted, End) {
        let end = End(Arc::new(AtomicBool::new(body.is_end_stream())));
        (
            Noted {
                body,
                end: end.clone(),
            },
            end,
        )
    }
}

impl End {
    pub(super) fn reached(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Body for Noted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.end.0.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
