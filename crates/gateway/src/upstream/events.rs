//! The pieces of a streamed answer, read when they are asked for.

use std::{marker::PhantomData, time::Duration};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{self, Instant};
use wire::{
    openai::{
        chat::{ChatChunk, ChunkChoice},
        completions::{CompletionChoice, CompletionResponse},
        usage::Usage,
    },
    sse,
};

use super::Fault;

/// Bytes of one event at most; the largest seen are whole tool calls.
const EVENT_BYTES: usize = 1024 * 1024;

/// The finish reason of an answer that was cut.
const LENGTH: &str = "length";

/// One piece of a streamed answer.
pub(crate) trait Piece: Sized + Send + Unpin + 'static {
    /// Reads one event's data; tolerant, as upstreams differ.
    fn read(data: &str) -> Option<Self>;
    /// Puts our id and the caller's name of the model in place of the upstream's.
    fn stamp(&mut self, id: &str, model: &str);
    /// What the upstream has counted so far.
    fn usage(&self) -> Option<&Usage>;
    /// Takes the counts out, for a caller who did not ask for them. Whether anything is left to show.
    fn without_usage(&mut self) -> bool;
    /// Each choice it belongs to, and whether it finishes that choice.
    fn each_choice(&self, f: &mut dyn FnMut(u32, bool));
    /// The same with nothing in it but the end of one choice, for its length.
    fn cut_off(&self, index: u32) -> Self;
    /// Output tokens it holds at least, over all choices.
    fn tokens_at_least(&self) -> u32;
    /// Bytes of output text in it.
    fn output_bytes(&self) -> usize;
    /// Its JSON.
    fn write(&self) -> Vec<u8>;
}

/// A streamed answer of an upstream.
///
/// Pull-based: nothing is read from the connection before it is asked for, so a slow caller slows its upstream and fills no memory.
/// Dropping it drops the connection.
pub(crate) struct Events<P> {
    body: Incoming,
    decoder: sse::Decoder,
    idle: Duration,
    deadline: Instant,
    /// Bytes that may still come.
    left: usize,
    /// `[DONE]` was read.
    done: bool,
    /// Comes after the pieces that were read before it.
    fault: Option<Fault>,
    pieces: PhantomData<fn() -> P>,
}

impl<P: Piece> Events<P> {
    pub(super) fn new(
        body: Incoming,
        idle: Duration,
        deadline: Instant,
        most_bytes: usize,
    ) -> Events<P> {
        Events {
            body,
            decoder: sse::Decoder::new(EVENT_BYTES),
            idle,
            deadline,
            left: most_bytes,
            done: false,
            fault: None,
            pieces: PhantomData,
        }
    }

    /// The pieces that came in one read; none once the upstream has said that it is done.
    ///
    /// # Errors
    /// The connection ended first, fell silent, or carried something else than pieces.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<P>>, Fault> {
        loop {
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            if self.done {
                return Ok(None);
            }
            let until = self.deadline.min(Instant::now() + self.idle);
            let frame = match time::timeout_at(until, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                // an end without `[DONE]` is a cut: what was read may be half an answer
                Ok(Some(Err(_)) | None) => return Err(Fault::Broken),
                Err(_) => return Err(Fault::TimedOut),
            };
            let Ok(bytes) = frame.into_data() else {
                continue; // trailers say nothing here
            };
            self.left = self
                .left
                .checked_sub(bytes.len())
                .ok_or(Fault::Unreadable)?;
            let pieces = self.read(&bytes);
            if !pieces.is_empty() {
                return Ok(Some(pieces));
            }
        }
    }

    /// What is good before a fault is still passed on; the fault follows.
    fn read(&mut self, bytes: &[u8]) -> Vec<P> {
        let (mut pieces, mut done, mut fault) = (Vec::new(), false, None);
        let pushed = self.decoder.push(bytes, &mut |event| {
            if done || fault.is_some() {
                return;
            }
            match &*event.data {
                sse::DONE_DATA => done = true,
                data => match P::read(data) {
                    Some(piece) => pieces.push(piece),
                    None => fault = Some(Fault::Unreadable),
                },
            }
        });
        self.done = done;
        self.fault = fault.or(pushed.err().map(|_| Fault::Unreadable));
        pieces
    }
}

impl Piece for ChatChunk {
    fn read(data: &str) -> Option<ChatChunk> {
        ChatChunk::parse(data).ok()
    }

    fn stamp(&mut self, id: &str, model: &str) {
        self.set_id(id);
        self.set_model(model);
    }

    fn usage(&self) -> Option<&Usage> {
        self.usage()
    }

    fn without_usage(&mut self) -> bool {
        self.take_usage();
        !self.has_no_choices()
    }

    fn each_choice(&self, f: &mut dyn FnMut(u32, bool)) {
        self.choices
            .iter()
            .for_each(|choice| f(choice.index, choice.finish_reason.is_some()));
    }

    fn cut_off(&self, index: u32) -> ChatChunk {
        let choice = ChunkChoice {
            index,
            finish_reason: Some(LENGTH.to_owned()),
            ..ChunkChoice::default()
        };
        ChatChunk {
            choices: vec![choice],
            usage: None,
            obfuscation: None,
            ..self.clone()
        }
    }

    fn tokens_at_least(&self) -> u32 {
        self.delta_tokens_at_least()
    }

    fn output_bytes(&self) -> usize {
        usize::try_from(self.output_bytes()).unwrap_or(usize::MAX)
    }

    fn write(&self) -> Vec<u8> {
        self.write()
    }
}

impl Piece for CompletionResponse {
    fn read(data: &str) -> Option<CompletionResponse> {
        CompletionResponse::parse(data.as_bytes()).ok()
    }

    fn stamp(&mut self, id: &str, model: &str) {
        self.set_id(id);
        self.set_model(model);
    }

    fn usage(&self) -> Option<&Usage> {
        self.usage()
    }

    fn without_usage(&mut self) -> bool {
        self.take_usage();
        !self.has_no_choices()
    }

    fn each_choice(&self, f: &mut dyn FnMut(u32, bool)) {
        self.choices
            .iter()
            .for_each(|choice| f(choice.index, choice.finish_reason.is_some()));
    }

    fn cut_off(&self, index: u32) -> CompletionResponse {
        let choice = CompletionChoice {
            index,
            finish_reason: Some(LENGTH.to_owned()),
            ..CompletionChoice::default()
        };
        CompletionResponse {
            choices: vec![choice],
            usage: None,
            ..self.clone()
        }
    }

    fn tokens_at_least(&self) -> u32 {
        self.delta_tokens_at_least()
    }

    fn output_bytes(&self) -> usize {
        usize::try_from(self.output_bytes()).unwrap_or(usize::MAX)
    }

    fn write(&self) -> Vec<u8> {
        self.write()
    }
}
