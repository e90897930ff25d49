//! The gateway's side: a running cell, and the answers that come out of it.
//!
//! One task per cell owns the child process and reads its frames, one writes to it. Whatever the child says is checked:
//! a frame too long, garbage, an unknown id or more output than was asked for ends the cell, and every waiting call
//! gets an error. Nothing the child says is logged.

mod driver;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::cell::{
    CountTokens, Done, Facts, FailureKind, Generate, Load, Prompt, Sampling, ToCell, Token, encode,
};

use crate::CellError;
use driver::{Driver, Order, Waiter};

/// How to start a cell.
#[derive(Debug, Clone)]
pub struct CellSpec {
    /// The program to run: this one.
    pub program: PathBuf,
    /// Arguments that make it call [`crate::serve`].
    pub args: Vec<OsString>,
    /// GGUF file to serve; its path must be UTF-8.
    pub model: PathBuf,
    /// Threads to compute with; at least 1.
    pub threads: usize,
    /// Tokens of context to allow at most; the model's own length if `None`.
    pub context_limit: Option<u32>,
    /// Generations that may wait behind the running one; more are refused as busy.
    pub queue: u32,
    /// How long loading the model may take.
    pub start_timeout: Duration,
}

/// A running cell. Dropping it kills the process.
#[derive(Debug)]
pub struct Cell {
    orders: mpsc::UnboundedSender<Order>,
    alive: Arc<AtomicBool>,
    slots: Arc<Semaphore>,
    counts: Arc<Semaphore>,
    next_id: AtomicU64,
    facts: Facts,
    /// Dropped with the cell, which tells the driver to kill the child.
    _leash: oneshot::Sender<()>,
}

/// Levels of nesting in a message or tool: serde_json reads 128, of which the frame takes a few.
const MAX_DEPTH: usize = 100;
/// Counts that may wait at a time.
const MAX_COUNTS: usize = 32;

impl Cell {
    /// Starts the process and waits until its model is loaded. Call inside a tokio runtime.
    ///
    /// The child's standard input is one end of a socketpair; its output goes nowhere, its errors to ours; its
    /// environment is empty but for the number of threads.
    ///
    /// # Errors
    /// [`CellError::Start`], [`CellError::StartTimeout`], [`CellError::Model`] if the child refuses the file,
    /// [`CellError::Died`] or [`CellError::Protocol`] if it is not a cell.
    pub async fn start(spec: CellSpec) -> Result<Self, CellError> {
        let model = spec.model.to_str().ok_or_else(|| {
            CellError::Model(
                "the path is not UTF-8; nothing was started; rename the file".to_owned(),
            )
        })?;
        let (ours, theirs) = StdUnixStream::pair().map_err(CellError::Start)?;
        ours.set_nonblocking(true).map_err(CellError::Start)?;
        let ours = UnixStream::from_std(ours).map_err(CellError::Start)?;
        let threads = spec.threads.max(1).to_string();
        let child = Command::new(&spec.program)
            .args(&spec.args)
            .env_clear()
            .env("RAYON_NUM_THREADS", threads)
            // candle's own pool stays idle (see the engine's `Linear`); a prompt is one text and is cut by one thread
            .envs([
                ("CANDLE_NUM_THREADS", "1"),
                ("TOKENIZERS_PARALLELISM", "false"),
            ])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(CellError::Start)?;

        let load = Load {
            model: model.to_owned(),
            context_limit: spec.context_limit,
            queue: spec.queue,
        };
        let (leash, released) = oneshot::channel();
        let (loaded, ready) = oneshot::channel();
        let (orders, order_queue) = mpsc::unbounded_channel();
        let alive = Arc::new(AtomicBool::new(true));
        let driver = Driver::new(child, ours, Arc::clone(&alive), loaded);
        tokio::spawn(driver.run(load, order_queue, released));
        let facts = match tokio::time::timeout(spec.start_timeout, ready).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(_)) => return Err(CellError::Died),
            Err(_) => return Err(CellError::StartTimeout),
        };
        let slots = 1 + spec.queue as usize;
        Ok(Self {
            orders,
            alive,
            slots: Arc::new(Semaphore::new(slots)),
            counts: Arc::new(Semaphore::new(MAX_COUNTS)),
            next_id: AtomicU64::new(1),
            facts,
            _leash: leash,
        })
    }

    /// What is worth knowing of the loaded model.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether the process still answers. Once false it stays false; start a new cell.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Queues a generation. Dropping the result cancels it and frees the cell at once.
    ///
    /// # Errors
    /// [`CellError::Busy`] if the queue is full, [`CellError::Died`] if the process is gone.
    pub fn generate(&self, prompt: Prompt, sampling: Sampling) -> Result<Generation, CellError> {
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| self.busy())?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (events, receiver) = mpsc::unbounded_channel();
        check_numbers(&sampling)?;
        let frame = frame(&ToCell::Generate(Box::new(Generate {
            id,
            prompt,
            sampling,
        })))?;
        self.order(Order::Ask {
            id,
            frame,
            waiter: Waiter::Generation(events),
            slot,
        })?;
        Ok(Generation {
            id,
            events: receiver,
            orders: self.orders.clone(),
            ended: false,
        })
    }

    /// Tokens a prompt takes, template and special tokens included. Does not wait for running generations.
    ///
    /// # Errors
    /// [`CellError::Failed`] if the prompt is refused, [`CellError::Busy`] if too many counts wait,
    /// [`CellError::Died`] if the process is gone.
    pub async fn count_tokens(&self, prompt: Prompt) -> Result<u32, CellError> {
        let slot = Arc::clone(&self.counts)
            .try_acquire_owned()
            .map_err(|_| self.busy())?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        let frame = frame(&ToCell::CountTokens(CountTokens { id, prompt }))?;
        self.order(Order::Ask {
            id,
            frame,
            waiter: Waiter::Count(answer),
            slot,
        })?;
        receiver.await.map_err(|_| CellError::Died)?
    }

    fn order(&self, order: Order) -> Result<(), CellError> {
        self.orders.send(order).map_err(|_| CellError::Died)
    }

    fn busy(&self) -> CellError {
        if self.is_alive() {
            CellError::Busy
        } else {
            CellError::Died
        }
    }
}

/// A question as bytes, sure to be understood by the child: what it could not read would cost the cell its life.
fn frame(question: &ToCell) -> Result<Vec<u8>, CellError> {
    let prompt = match question {
        ToCell::Generate(generate) => &generate.prompt,
        ToCell::CountTokens(count) => &count.prompt,
        ToCell::Load(_) | ToCell::Cancel { .. } => &Prompt::Raw(String::new()),
    };
    if let Prompt::Chat { messages, tools } = prompt
        && messages
            .iter()
            .chain(tools)
            .any(|value| deeper_than(value, MAX_DEPTH))
    {
        return Err(invalid("a message or tool is nested too deep"));
    }
    encode(question).map_err(|_| invalid("the request is too large for a cell"))
}

/// JSON knows no infinities: a float beyond its range would arrive as nothing.
fn check_numbers(sampling: &Sampling) -> Result<(), CellError> {
    let Sampling {
        temperature,
        top_p,
        frequency_penalty,
        presence_penalty,
        logit_bias,
        ..
    } = sampling;
    let mut numbers = [temperature, top_p, frequency_penalty, presence_penalty]
        .into_iter()
        .chain(logit_bias.values());
    if numbers.all(|number| number.is_finite()) {
        Ok(())
    } else {
        Err(invalid("a sampling setting is not a finite number"))
    }
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, levels)),
        Value::Object(fields) => fields.values().any(|field| deeper_than(field, levels)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn invalid(detail: &str) -> CellError {
    CellError::failed(
        FailureKind::InvalidRequest,
        format!("{detail}; nothing was generated; send less"),
    )
}

/// Something that happened in a generation.
#[derive(Debug)]
pub enum Event {
    /// The prompt was accepted; so many tokens will be read.
    Started {
        /// Tokens of the prompt, template and special tokens included.
        prompt_tokens: u32,
    },
    /// A piece of the answer.
    Token(Token),
    /// The end, with usage. Nothing follows.
    Done(Done),
}

/// A running generation: a stream of events that ends after [`Event::Done`] or an error.
#[derive(Debug)]
pub struct Generation {
    id: u64,
    events: mpsc::UnboundedReceiver<Result<Event, CellError>>,
    orders: mpsc::UnboundedSender<Order>,
    ended: bool,
}

impl Generation {
    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Result<Event, CellError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Stops the generation before its next token and waits for what it used. Pieces on the way are dropped.
    ///
    /// # Errors
    /// As [`Generation::next`]; [`CellError::Died`] if it had already ended.
    pub async fn cancel(mut self) -> Result<Done, CellError> {
        let _ = self.orders.send(Order::Cancel {
            id: self.id,
            abandon: false,
        });
        while let Some(event) = self.next().await {
            if let Event::Done(done) = event? {
                return Ok(done);
            }
        }
        Err(CellError::Died)
    }
}

impl Stream for Generation {
    type Item = Result<Event, CellError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = match self.events.poll_recv(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(event) => event.unwrap_or(Err(CellError::Died)),
        };
        self.ended = matches!(event, Ok(Event::Done(_)) | Err(_));
        Poll::Ready(Some(event))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.orders.send(Order::Cancel {
                id: self.id,
                abandon: true,
            });
        }
    }
}
