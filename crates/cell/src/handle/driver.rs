//! The task that owns a child process: writes orders to it, reads and checks its frames, ends it.

use std::collections::HashMap;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use wire::cell::{Facts, Failed, Frames, FromCell, Load, ToCell, Token, encode};

use super::Event;
use crate::CellError;

/// How long a child may take to end a cancelled generation before it is taken for hung.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// Bytes of answer (text, calls, log probabilities) one generation may bring.
const MAX_ANSWER: usize = 256 << 20;

/// Bytes of a failure's message that are passed on.
const MAX_MESSAGE: usize = 1024;

/// What the handle wants done.
#[derive(Debug)]
pub(super) enum Order {
    /// Send a question and remember who waits for the answer.
    Ask {
        id: u64,
        frame: Vec<u8>,
        waiter: Waiter,
        slot: OwnedSemaphorePermit,
    },
    /// Stop a generation; `abandon` if nobody listens any more.
    Cancel { id: u64, abandon: bool },
}

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Waiter {
    Generation(mpsc::UnboundedSender<Result<Event, CellError>>),
    Count(oneshot::Sender<Result<u32, CellError>>),
}

/// An unfinished question.
struct Pending {
    /// `None` once abandoned.
    waiter: Option<Waiter>,
    started: bool,
    tokens: u32,
    bytes: usize,
    /// When a cancelled generation must have ended.
    deadline: Option<Instant>,
    /// Held until the child is done with it, so that the queue here is the queue there.
    _slot: OwnedSemaphorePermit,
}

/// The task's state.
pub(super) struct Driver {
    child: Child,
    socket: UnixStream,
    alive: Arc<AtomicBool>,
    loaded: Option<oneshot::Sender<Result<Facts, CellError>>>,
    pending: HashMap<u64, Pending>,
    context: u32,
}

impl Driver {
    pub(super) fn new(
        child: Child,
        socket: UnixStream,
        alive: Arc<AtomicBool>,
        loaded: oneshot::Sender<Result<Facts, CellError>>,
    ) -> Self {
        Self {
            child,
            socket,
            alive,
            loaded: Some(loaded),
            pending: HashMap::new(),
            context: 0,
        }
    }

    /// Runs until the cell is released, dies or misbehaves; then kills it and tells everyone who waits.
    pub(super) async fn run(
        self,
        load: Load,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut released: oneshot::Receiver<()>,
    ) {
        let Self {
            mut child,
            socket,
            alive,
            loaded,
            pending,
            context,
        } = self;
        let (reader, writer) = socket.into_split();
        let (frames, frame_queue) = mpsc::unbounded_channel();
        let writing = tokio::spawn(write_all(writer, frame_queue));
        let mut desk = Desk {
            frames,
            loaded,
            pending,
            context,
        };
        let reason = match desk.send(&ToCell::Load(load)) {
            Ok(()) => desk.serve(reader, &mut orders, &mut released).await,
            Err(error) => error,
        };
        alive.store(false, Ordering::Release);
        writing.abort();
        let _ = child.start_kill();
        desk.close(&reason);
        orders.close();
        while let Some(order) = orders.recv().await {
            if let Order::Ask { waiter, .. } = order {
                refuse(waiter);
            }
        }
        report(child.wait().await, &reason);
    }
}

/// Says how a cell ended, for the operator: never what it said.
fn report(status: std::io::Result<ExitStatus>, reason: &CellError) {
    match (reason, status) {
        (CellError::Protocol, _) => tracing::error!("cell broke its protocol and was ended"),
        (CellError::Died, Ok(status)) => tracing::warn!(%status, "cell ended"),
        _ => tracing::debug!("cell ended"),
    }
}

async fn write_all(mut writer: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if writer.write_all(&frame).await.is_err() {
            // the reading side sees the end of the socket and reports it
            return;
        }
    }
}

fn refuse(waiter: Waiter) {
    match waiter {
        Waiter::Generation(events) => drop(events.send(Err(CellError::Died))),
        Waiter::Count(answer) => drop(answer.send(Err(CellError::Died))),
    }
}

/// Who asked what, and what was answered.
struct Desk {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    loaded: Option<oneshot::Sender<Result<Facts, CellError>>>,
    pending: HashMap<u64, Pending>,
    context: u32,
}

impl Desk {
    fn send(&self, message: &ToCell) -> Result<(), CellError> {
        let frame = encode(message).map_err(|_| CellError::Protocol)?;
        self.frames.send(frame).map_err(|_| CellError::Died)
    }

    /// Passes messages both ways; returns why it ended.
    async fn serve(
        &mut self,
        mut reader: OwnedReadHalf,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        released: &mut oneshot::Receiver<()>,
    ) -> CellError {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let deadline = self
                .pending
                .values()
                .filter_map(|pending| pending.deadline)
                .min();
            let overdue = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = &mut *released => return CellError::Died,
                () = overdue => {
                    tracing::error!("cell did not honour a cancel in time and was ended");
                    return CellError::Died;
                }
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order),
                    None => return CellError::Died,
                },
                read = reader.read(&mut buffer) => {
                    let Some(bytes) = read.ok().and_then(|count| buffer.get(..count)) else { return CellError::Died };
                    if bytes.is_empty() {
                        return CellError::Died;
                    }
                    frames.push(bytes);
                    if let Err(error) = self.take_all(&mut frames) {
                        return error;
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Ask {
                id,
                frame,
                waiter,
                slot,
            } => match self.frames.send(frame) {
                Ok(()) => {
                    let pending = Pending {
                        waiter: Some(waiter),
                        started: false,
                        tokens: 0,
                        bytes: 0,
                        deadline: None,
                        _slot: slot,
                    };
                    self.pending.insert(id, pending);
                }
                Err(_) => refuse(waiter),
            },
            Order::Cancel { id, abandon } => {
                if let Some(pending) = self.pending.get_mut(&id) {
                    pending
                        .deadline
                        .get_or_insert_with(|| Instant::now() + CANCEL_GRACE);
                    if abandon {
                        pending.waiter = None;
                    }
                    // a writer that is gone means the reader is about to say so
                    let _ = self.send(&ToCell::Cancel { id });
                }
            }
        }
    }

    fn take_all(&mut self, frames: &mut Frames) -> Result<(), CellError> {
        while let Some(message) = frames.next_message().map_err(|_| CellError::Protocol)? {
            self.take(message)?;
        }
        Ok(())
    }

    fn take(&mut self, message: FromCell) -> Result<(), CellError> {
        match message {
            FromCell::Loaded(facts) => {
                let loaded = self.loaded.take().ok_or(CellError::Protocol)?;
                self.context = facts.context_length;
                // nobody waits any more: the start timed out, and the leash will end this
                let _ = loaded.send(Ok(facts));
                Ok(())
            }
            FromCell::Failed(Failed {
                id: None, message, ..
            }) => {
                let loaded = self.loaded.take().ok_or(CellError::Protocol)?;
                let _ = loaded.send(Err(CellError::Model(strip(&message))));
                Err(CellError::Died)
            }
            FromCell::Started { id, prompt_tokens } => {
                let pending = self.generation(id)?;
                if pending.started || prompt_tokens > self.context {
                    return Err(CellError::Protocol);
                }
                self.generation(id)?.started = true;
                self.tell(id, Event::Started { prompt_tokens })
            }
            FromCell::Token(token) => {
                let context = self.context;
                let pending = self.generation(token.id)?;
                pending.bytes = pending.bytes.saturating_add(weight(&token));
                let grows = (pending.tokens..=context).contains(&token.completion_tokens);
                pending.tokens = token.completion_tokens;
                if !pending.started || !grows || pending.bytes > MAX_ANSWER {
                    return Err(CellError::Protocol);
                }
                self.tell(token.id, Event::Token(token))
            }
            FromCell::Done(done) => {
                let context = self.context;
                let pending = self.generation(done.id)?;
                if done.completion_tokens < pending.tokens || done.completion_tokens > context {
                    return Err(CellError::Protocol);
                }
                self.tell(done.id, Event::Done(done))?;
                self.pending.remove(&done.id);
                Ok(())
            }
            FromCell::Failed(Failed {
                id: Some(id),
                kind,
                mut message,
            }) => {
                message.truncate(message.floor_char_boundary(MAX_MESSAGE));
                let pending = self.pending.remove(&id).ok_or(CellError::Protocol)?;
                let error = CellError::Failed { kind, message };
                match pending.waiter {
                    Some(Waiter::Generation(events)) => drop(events.send(Err(error))),
                    Some(Waiter::Count(answer)) => drop(answer.send(Err(error))),
                    None => {}
                }
                Ok(())
            }
            FromCell::Counted { id, tokens } => {
                let pending = self.pending.remove(&id).ok_or(CellError::Protocol)?;
                match pending.waiter {
                    Some(Waiter::Count(answer)) => drop(answer.send(Ok(tokens))),
                    _ => return Err(CellError::Protocol),
                }
                Ok(())
            }
        }
    }

    /// The unfinished generation with this id.
    fn generation(&mut self, id: u64) -> Result<&mut Pending, CellError> {
        match self.pending.get_mut(&id) {
            Some(pending) if !matches!(pending.waiter, Some(Waiter::Count(_))) => Ok(pending),
            _ => Err(CellError::Protocol),
        }
    }

    fn tell(&mut self, id: u64, event: Event) -> Result<(), CellError> {
        // nobody listening is not an error: a cancel is on its way
        if let Some(Waiter::Generation(events)) = &self.generation(id)?.waiter {
            let _ = events.send(Ok(event));
        }
        Ok(())
    }

    /// Tells everyone who waits that nothing more will come.
    fn close(&mut self, reason: &CellError) {
        let again = || match reason {
            CellError::Protocol => CellError::Protocol,
            _ => CellError::Died,
        };
        if let Some(loaded) = self.loaded.take() {
            let _ = loaded.send(Err(again()));
        }
        for (_, pending) in self.pending.drain() {
            match pending.waiter {
                Some(Waiter::Generation(events)) => drop(events.send(Err(again()))),
                Some(Waiter::Count(answer)) => drop(answer.send(Err(again()))),
                None => {}
            }
        }
    }
}

/// Bytes a piece of an answer takes.
fn weight(token: &Token) -> usize {
    let calls: usize = token
        .tool_calls
        .iter()
        .map(|call| call.name.len() + call.arguments.len())
        .sum();
    let logprobs: usize = token
        .logprobs
        .iter()
        .map(|entry| {
            8 + entry.chosen.bytes.len()
                + entry
                    .top
                    .iter()
                    .map(|rival| 8 + rival.bytes.len())
                    .sum::<usize>()
        })
        .sum();
    token.text.len() + calls + logprobs
}

/// The detail of a refused model, without the words this side adds again.
fn strip(message: &str) -> String {
    let detail = message
        .strip_prefix("model cannot be served: ")
        .unwrap_or(message);
    let end = detail.floor_char_boundary(MAX_MESSAGE);
    detail.get(..end).unwrap_or_default().to_owned()
}
