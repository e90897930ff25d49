//! The child's side: frames in on standard input, frames out on the same socket, one answer at a time.
//!
//! Three threads: this one reads frames (so a cancel is seen at once), one generates, one counts. The end of the input
//! ends the process, whatever it is doing.

mod queue;

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::de::DeserializeOwned;
use wire::cell::{
    CountTokens, Done, Failed, Finish, FromCell, Load, PREFIX, ToCell, body_length, decode, encode,
};

use crate::CellError;
use crate::engine::{Engine, Prompter};
use queue::{Cancelled, Queue, Refusal};

/// Counts that may wait.
const COUNTS: usize = 64;
/// Generations that may wait, whatever the gateway asks for.
const MAX_QUEUE: u32 = 1024;

/// Runs a cell on standard input until it closes. Called by the program's hidden `cell` command.
///
/// A panic anywhere ends the process and names only the place: a panic's message may quote what somebody said.
#[must_use]
pub fn serve() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(io::stderr(), "cell: stopped by a fault at {place}");
        end(101);
    }));
    let socket = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(descriptor) => UnixStream::from(descriptor),
        Err(_) => return ExitCode::FAILURE,
    };
    match run(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cell: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What threads share: the socket to write to, and the generations.
struct Shared {
    socket: Mutex<UnixStream>,
    queue: Queue,
}

impl Shared {
    fn send(&self, message: &FromCell) -> Result<(), CellError> {
        let bytes = encode(message).map_err(|_| CellError::Protocol)?;
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.write_all(&bytes).map_err(|_| CellError::Died)
    }

    fn fail(&self, id: Option<u64>, error: &CellError) -> Result<(), CellError> {
        self.send(&FromCell::Failed(Failed {
            id,
            kind: error.kind(),
            message: error.to_string(),
        }))
    }

    fn cancelled(&self, id: u64) -> Result<(), CellError> {
        self.send(&FromCell::Done(Done {
            id,
            finish: Finish::Cancelled,
            prompt_tokens: 0,
            completion_tokens: 0,
        }))
    }
}

fn run(socket: &UnixStream) -> Result<(), CellError> {
    let mut reader = socket;
    let Some(first) = receive::<ToCell>(&mut reader)? else {
        return Ok(());
    };
    let ToCell::Load(load) = first else {
        return Err(CellError::Protocol);
    };
    let writer = socket.try_clone().map_err(CellError::Start)?;
    let shared = Arc::new(Shared {
        socket: Mutex::new(writer),
        queue: Queue::new(1 + load.queue.min(MAX_QUEUE) as usize),
    });
    let counts = match start(&load, &shared) {
        Ok(counts) => counts,
        Err(error) => {
            shared.fail(None, &error)?;
            return Err(error);
        }
    };
    while let Some(message) = receive::<ToCell>(&mut reader)? {
        match message {
            ToCell::Load(_) => return Err(CellError::Protocol),
            ToCell::Cancel { id } => {
                if shared.queue.cancel(id) == Cancelled::Waiting {
                    shared.cancelled(id)?;
                }
            }
            ToCell::Generate(request) => {
                let id = request.id;
                match shared.queue.add(request) {
                    Ok(()) => {}
                    Err(Refusal::Full) => shared.fail(Some(id), &CellError::Busy)?,
                    Err(Refusal::Known) => return Err(CellError::Protocol),
                }
            }
            ToCell::CountTokens(request) => {
                let id = request.id;
                match counts.try_send(request) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => shared.fail(Some(id), &CellError::Busy)?,
                    Err(TrySendError::Disconnected(_)) => return Err(CellError::Died),
                }
            }
        }
    }
    Ok(())
}

/// Loads the model and starts the two working threads.
fn start(load: &Load, shared: &Arc<Shared>) -> Result<SyncSender<CountTokens>, CellError> {
    let engine = Engine::load(Path::new(&load.model), load.context_limit)?;
    let prompter = engine.prompter();
    let facts = engine.facts().clone();
    let (counts, count_queue) = sync_channel(COUNTS);
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        thread::Builder::new()
            .name(name.into())
            .spawn(work)
            .map(drop)
            .map_err(CellError::Start)
    };
    let generating = Arc::clone(shared);
    // on one of rayon's own threads, so that sharing out a product needs no switch to another
    let generate = move || end_if_deaf(rayon::scope(|_| generate_all(engine, &generating)));
    spawn("generate", Box::new(generate))?;
    let counting = Arc::clone(shared);
    spawn(
        "count",
        Box::new(move || end_if_deaf(count_all(&prompter, &count_queue, &counting))),
    )?;
    shared.send(&FromCell::Loaded(facts))?;
    Ok(counts)
}

/// A thread that can no longer answer has no reason to live, nor has the process.
fn end_if_deaf(outcome: Result<(), CellError>) {
    if outcome.is_err() {
        end(1);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the main thread waits in a read that only the gateway can end"
)]
fn end(code: i32) {
    std::process::exit(code);
}

fn generate_all(mut engine: Engine, shared: &Shared) -> Result<(), CellError> {
    loop {
        let (request, cancelled) = shared.queue.next();
        let outcome = engine.generate(&request, &cancelled, &mut |event| shared.send(&event));
        // before the end is announced, so that an id is never known twice
        shared.queue.finish();
        match outcome {
            Ok(done) => shared.send(&FromCell::Done(done))?,
            Err(error @ CellError::Died) => return Err(error),
            Err(error) => shared.fail(Some(request.id), &error)?,
        }
    }
}

fn count_all(
    prompter: &Prompter,
    counts: &Receiver<CountTokens>,
    shared: &Shared,
) -> Result<(), CellError> {
    for request in counts {
        match prompter.count(&request.prompt) {
            Ok(tokens) => shared.send(&FromCell::Counted {
                id: request.id,
                tokens,
            })?,
            Err(error) => shared.fail(Some(request.id), &error)?,
        }
    }
    Ok(())
}

/// The next message; `None` at the end of the input.
fn receive<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, CellError> {
    let mut prefix = [0; PREFIX];
    match reader.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(source) => {
            return Err(CellError::File {
                action: "read a request",
                source,
            });
        }
    }
    let length = body_length(prefix).map_err(|_| CellError::Protocol)?;
    let mut body = vec![0; length];
    reader
        .read_exact(&mut body)
        .map_err(|source| CellError::File {
            action: "read a request",
            source,
        })?;
    decode(&body).map(Some).map_err(|_| CellError::Protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::cell::FailureKind;

    #[test]
    fn a_broken_frame_is_refused_and_the_end_of_input_is_not_an_error() {
        let mut nothing: &[u8] = &[];
        assert!(matches!(receive::<ToCell>(&mut nothing), Ok(None)));
        for bad in [
            &[255u8, 255, 255, 255][..],
            &[2, 0, 0, 0, b'{', b'x'],
            &[9, 0, 0, 0, b'{'],
        ] {
            let mut bad = bad;
            let error = receive::<ToCell>(&mut bad).unwrap_err();
            assert_eq!(error.kind(), FailureKind::Internal);
        }
    }
}
