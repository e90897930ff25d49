//! How long a connection waits for its peer: for the rest of a request's head, and for a client that stopped reading.
//!
//! Both clocks are lazy: a deadline is a number, and the one timer of a connection is set only while the socket
//! makes us wait. A request that arrives in one piece costs two atomic additions and no timer.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Instant, Sleep},
};

/// Whether a request is being answered on a connection: odd while one is, and higher with each.
#[derive(Clone)]
pub(super) struct Flight(Arc<AtomicU64>);

impl Flight {
    pub(super) fn new() -> Flight {
        Flight(Arc::new(AtomicU64::new(0)))
    }

    /// A request's head was read; the connection is busy until the returned mark is dropped.
    pub(super) fn begin(&self) -> InFlight {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Held while a request is being answered.
pub(super) struct InFlight(Flight);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A socket with limits on how long its peer may stall.
pub(super) struct Patience<S> {
    socket: S,
    flight: Flight,
    seen: u64,
    head_timeout: Duration,
    head_deadline: Option<Instant>,
    head_timer: Pin<Box<Sleep>>,
    write_stall: Duration,
    write_deadline: Option<Instant>,
    write_timer: Pin<Box<Sleep>>,
}

impl<S> Patience<S> {
    /// A new connection's first head is due within `head_timeout` of now; later heads within it of their first byte.
    pub(super) fn new(
        socket: S,
        flight: Flight,
        head_timeout: Duration,
        write_stall: Duration,
    ) -> Patience<S> {
        let due = Instant::now() + head_timeout;
        Patience {
            socket,
            seen: flight.now(),
            flight,
            head_timeout,
            head_deadline: Some(due),
            head_timer: Box::pin(time::sleep_until(due)),
            write_stall,
            write_deadline: None,
            write_timer: Box::pin(time::sleep_until(due)),
        }
    }
}

/// Ready once `deadline` has passed; otherwise the task is woken then.
fn passed(timer: &mut Pin<Box<Sleep>>, deadline: Instant, cx: &mut Context<'_>) -> bool {
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(cx).is_ready()
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flight = this.flight.now();
        if flight != this.seen {
            // a whole head arrived since the last read: its clock stops
            this.seen = flight;
            this.head_deadline = None;
        }
        let busy = flight % 2 == 1;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf);
        if busy {
            return polled;
        }
        match polled {
            Poll::Ready(Ok(())) if buf.filled().len() > before && this.head_deadline.is_none() => {
                this.head_deadline = Some(Instant::now() + this.head_timeout);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match this.head_deadline {
                Some(deadline) if passed(&mut this.head_timer, deadline, cx) => {
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
                _ => Poll::Pending,
            },
            ready => ready,
        }
    }
}

impl<S: AsyncWrite + Unpin> Patience<S> {
    /// Fails a write that made no progress for the stall limit.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_deadline = None;
            return polled;
        }
        let deadline = *self
            .write_deadline
            .get_or_insert_with(|| Instant::now() + self.write_stall);
        if passed(&mut self.write_timer, deadline, cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.watched(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.watched(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
