//! The built-in engine: one process for each tenant and model, started when it is first asked.

mod answer;
mod ask;
mod room;

use std::sync::Arc;

use cell::{CellError, Event, Generation};
use compartment::{Clean, Compartment};
use jiff::Timestamp;
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};
use wire::{
    cell::{Done, FailureKind, Prompt, Sampling, TokenLogprob, ToolCall},
    openai::{
        chat::{ChatChunk, ChatRequest, ChatResponse},
        completions::{CompletionRequest, CompletionResponse},
        error::ApiError,
    },
};

use super::{Errand, Fault};
use crate::config::CellUpstream;
use answer::{ChatMaker, CompletionMaker};
use room::{Room, Rooms};

/// The cells of one configured upstream, for all tenants. No cell is ever handed from one tenant to another: each is in a
/// room of its tenant's compartment, and all that is shared is how many may run.
pub(crate) struct Cells {
    index: usize,
    count: usize,
    settings: Arc<CellUpstream>,
    slots: Arc<Semaphore>,
}

impl Cells {
    /// The upstream at `index` of `count`.
    pub(crate) fn new(index: usize, count: usize, settings: CellUpstream) -> Cells {
        let slots = Arc::new(Semaphore::new(settings.max_cells));
        Cells {
            index,
            count,
            settings: Arc::new(settings),
            slots,
        }
    }

    pub(crate) async fn chat(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<ChatRequest>,
    ) -> Result<ChatResponse, Fault> {
        let (prompt, sampling) = ask::chat(&clean.request().params, clean.max_output())?;
        let gathered = self.gather(errand, prompt, sampling).await?;
        Ok(ChatMaker::new(now(), errand.call_id.clone()).whole(gathered))
    }

    pub(crate) async fn chat_stream(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<ChatRequest>,
    ) -> Result<CellPieces<ChatChunk>, Fault> {
        let (prompt, sampling) = ask::chat(&clean.request().params, clean.max_output())?;
        let mut maker = ChatMaker::new(now(), errand.call_id.clone());
        let make = move |event| match event {
            Event::Started { .. } => vec![maker.first()],
            Event::Token(token) => vec![maker.piece(token)],
            Event::Done(done) => maker.last(done).into(),
        };
        self.pieces(errand, prompt, sampling, Box::new(make)).await
    }

    pub(crate) async fn completion(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<CompletionRequest>,
    ) -> Result<CompletionResponse, Fault> {
        let (prompt, sampling) = ask::completion(&clean.request().params, clean.max_output())?;
        let gathered = self.gather(errand, prompt, sampling).await?;
        Ok(CompletionMaker::new(now()).whole(gathered))
    }

    pub(crate) async fn completion_stream(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<CompletionRequest>,
    ) -> Result<CellPieces<CompletionResponse>, Fault> {
        let (prompt, sampling) = ask::completion(&clean.request().params, clean.max_output())?;
        let mut maker = CompletionMaker::new(now());
        let make = move |event| match event {
            Event::Started { .. } => Vec::new(),
            Event::Token(token) => vec![maker.piece(token)],
            Event::Done(done) => maker.last(done).into(),
        };
        self.pieces(errand, prompt, sampling, Box::new(make)).await
    }

    /// What a route answers that cells do not serve.
    pub(crate) fn no_embeddings() -> Fault {
        Fault::refused(ApiError::new(
            400,
            "model_not_for_route",
            "This model makes no embeddings. Use another model.",
        ))
    }

    async fn gather(
        &self,
        errand: &Errand<'_>,
        prompt: Prompt,
        sampling: Sampling,
    ) -> Result<Gathered, Fault> {
        let deadline = Instant::now() + self.settings.total_timeout;
        let mut generation = self
            .generate(errand.compartment, prompt, sampling, deadline)
            .await?;
        let (mut text, mut tool_calls, mut logprobs) = (String::new(), Vec::new(), Vec::new());
        loop {
            match next(&mut generation, deadline).await? {
                Event::Started { .. } => {}
                Event::Token(token) => {
                    text.push_str(&token.text);
                    tool_calls.extend(token.tool_calls);
                    logprobs.extend(token.logprobs);
                }
                Event::Done(done) => {
                    return Ok(Gathered {
                        text,
                        tool_calls,
                        logprobs,
                        done,
                    });
                }
            }
        }
    }

    async fn pieces<P>(
        &self,
        errand: &Errand<'_>,
        prompt: Prompt,
        sampling: Sampling,
        mut make: Box<dyn FnMut(Event) -> Vec<P> + Send>,
    ) -> Result<CellPieces<P>, Fault> {
        let deadline = Instant::now() + self.settings.total_timeout;
        let mut generation = self
            .generate(errand.compartment, prompt, sampling, deadline)
            .await?;
        // the first event is either the start or a refusal, which is still an answer with a status
        let first = make(next(&mut generation, deadline).await?);
        Ok(CellPieces {
            generation,
            deadline,
            first,
            make,
            done: false,
        })
    }

    async fn generate(
        &self,
        compartment: &Compartment,
        prompt: Prompt,
        sampling: Sampling,
        deadline: Instant,
    ) -> Result<Generation, Fault> {
        let rooms = compartment.resident(|| Rooms::new(self.count));
        let room = rooms.get(self.index).ok_or(Fault::Unreachable)?;
        let found = Room::cell(room, Arc::clone(&self.settings), Arc::clone(&self.slots));
        let cell = time::timeout_at(deadline, found)
            .await
            .map_err(|_| Fault::TimedOut)??;
        cell.generate(prompt, sampling).map_err(fault)
    }
}

/// A whole answer of a cell.
struct Gathered {
    text: String,
    tool_calls: Vec<ToolCall>,
    logprobs: Vec<TokenLogprob>,
    done: Done,
}

/// A streamed answer of a cell. Dropping it frees the cell before its next token.
pub(crate) struct CellPieces<P> {
    generation: Generation,
    deadline: Instant,
    first: Vec<P>,
    make: Box<dyn FnMut(Event) -> Vec<P> + Send>,
    done: bool,
}

impl<P> CellPieces<P> {
    /// The next pieces; none after the end.
    ///
    /// # Errors
    /// The cell failed, ended or took too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<P>>, Fault> {
        if !self.first.is_empty() {
            return Ok(Some(std::mem::take(&mut self.first)));
        }
        if self.done {
            return Ok(None);
        }
        let event = next(&mut self.generation, self.deadline).await?;
        self.done = matches!(event, Event::Done(_));
        Ok(Some((self.make)(event)))
    }
}

async fn next(generation: &mut Generation, deadline: Instant) -> Result<Event, Fault> {
    match time::timeout_at(deadline, generation.next()).await {
        Ok(Some(event)) => event.map_err(fault),
        Ok(None) => Err(Fault::Broken),
        Err(_) => Err(Fault::TimedOut),
    }
}

/// What a cell's error is to a caller; the text of the error stays here.
fn fault(error: CellError) -> Fault {
    match error {
        CellError::Start(_) | CellError::File { .. } | CellError::Model(_) => Fault::Unreachable,
        CellError::StartTimeout => Fault::TimedOut,
        CellError::Died | CellError::Protocol => Fault::Broken,
        CellError::Busy => answer::failure(FailureKind::Busy),
        CellError::Failed { kind, .. } => answer::failure(kind),
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}
