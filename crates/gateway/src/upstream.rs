//! Where completions come from.

mod breaker;
mod cell;
mod events;
mod line;
mod openai;
mod send;

use std::time::Duration;

use compartment::{Clean, Compartment, Ended};
use wire::openai::{
    chat::{ChatChunk, ChatRequest, ChatResponse},
    completions::{CompletionRequest, CompletionResponse},
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    error::ApiError,
};

use cell::CellPieces;
use events::Events;

pub(crate) use cell::Cells;
pub(crate) use events::Piece;
pub(crate) use openai::OpenAi;

/// Why an upstream did not answer as it should.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A breaker is open; nothing was sent.
    Resting {
        /// When a probe may go.
        retry_after: Duration,
    },
    /// No connection could be made; nothing was sent.
    Unreachable,
    /// No answer, or no next piece of it, in time.
    TimedOut,
    /// The connection ended before the answer did.
    Broken,
    /// The answer is not what the API promises: garbage, another type, too large.
    Unreadable,
    /// It refused the request; this is what the caller learns of it.
    Refused(Box<ApiError>),
}

impl Fault {
    /// A refusal of which the caller learns this.
    fn refused(error: ApiError) -> Fault {
        Fault::Refused(Box::new(error))
    }

    /// How a call ends with this fault, for its bill.
    pub(crate) fn ended(&self) -> Ended {
        match self {
            Fault::Resting { .. } | Fault::Unreachable => Ended::NotSent,
            Fault::Refused(_) => Ended::UpstreamRefused,
            Fault::TimedOut | Fault::Broken | Fault::Unreadable => Ended::UpstreamFailed,
        }
    }
}

/// One place where completions come from.
pub(crate) enum Upstream {
    /// A server that speaks the OpenAI API.
    OpenAi(Box<OpenAi>),
    /// The built-in engine.
    Cell(Cells),
}

/// For whom, and under which names, one call goes to an upstream.
pub(crate) struct Errand<'a> {
    /// Whose connections, cells and credential it uses.
    pub(crate) compartment: &'a Compartment,
    /// Our id of the call.
    pub(crate) call_id: String,
    /// The upstream's name of the model.
    pub(crate) model: &'a str,
}

/// A streamed answer. Dropping it frees the upstream at once.
pub(crate) enum Pieces<P> {
    /// From a server.
    OpenAi(Events<P>),
    /// From a cell.
    Cell(CellPieces<P>),
}

impl<P: Piece> Pieces<P> {
    /// The pieces that came together; none once the upstream is done.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<P>>, Fault> {
        match self {
            Pieces::OpenAi(events) => events.next().await,
            Pieces::Cell(pieces) => pieces.next().await,
        }
    }
}

impl Upstream {
    /// Body fields beyond the OpenAI API that it takes.
    pub(crate) fn extra_fields(&self) -> &[String] {
        match self {
            Upstream::OpenAi(server) => server.extra_fields(),
            Upstream::Cell(_) => &[],
        }
    }

    pub(crate) async fn chat(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<ChatRequest>,
    ) -> Result<ChatResponse, Fault> {
        match self {
            Upstream::OpenAi(server) => server.chat(errand, clean).await,
            Upstream::Cell(cells) => cells.chat(errand, clean).await,
        }
    }

    pub(crate) async fn chat_stream(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<ChatRequest>,
    ) -> Result<Pieces<ChatChunk>, Fault> {
        match self {
            Upstream::OpenAi(server) => server.chat_stream(errand, clean).await.map(Pieces::OpenAi),
            Upstream::Cell(cells) => cells.chat_stream(errand, clean).await.map(Pieces::Cell),
        }
    }

    pub(crate) async fn completion(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<CompletionRequest>,
    ) -> Result<CompletionResponse, Fault> {
        match self {
            Upstream::OpenAi(server) => server.completion(errand, clean).await,
            Upstream::Cell(cells) => cells.completion(errand, clean).await,
        }
    }

    pub(crate) async fn completion_stream(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<CompletionRequest>,
    ) -> Result<Pieces<CompletionResponse>, Fault> {
        match self {
            Upstream::OpenAi(server) => server
                .completion_stream(errand, clean)
                .await
                .map(Pieces::OpenAi),
            Upstream::Cell(cells) => cells
                .completion_stream(errand, clean)
                .await
                .map(Pieces::Cell),
        }
    }

    pub(crate) async fn embeddings(
        &self,
        errand: &Errand<'_>,
        clean: &Clean<EmbeddingRequest>,
    ) -> Result<EmbeddingResponse, Fault> {
        match self {
            Upstream::OpenAi(server) => server.embeddings(errand, clean).await,
            Upstream::Cell(_) => Err(Cells::no_embeddings()),
        }
    }
}
