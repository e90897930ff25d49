//! What can go wrong with a cell.

use std::io;

use wire::cell::FailureKind;

/// What can go wrong with a cell, a model file or a generation. No variant carries prompt or answer text.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The model file is broken or of a kind this engine does not serve.
    #[error("model cannot be served: {0}")]
    Model(String),
    /// A file could not be read or written.
    #[error("could not {action}: {source}")]
    File {
        /// What was tried, for example `open the model file`.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The request was refused or failed; the cell goes on.
    #[error("{message}")]
    Failed {
        /// What kind of failure, for the caller's error code.
        kind: FailureKind,
        /// For people; never quotes prompt or answer.
        message: String,
    },
    /// As many generations run and wait as the cell takes.
    #[error("the cell's queue is full; the request was not started; try again shortly")]
    Busy,
    /// The process could not be started.
    #[error("cell could not be started: {0}; check that the program exists and may be run")]
    Start(io::Error),
    /// The model was not loaded in time.
    #[error(
        "cell did not load its model in time; it was ended; allow it longer or use a smaller model"
    )]
    StartTimeout,
    /// The process is gone.
    #[error("cell ended; unfinished requests were lost; start a new cell")]
    Died,
    /// The process said something it must not.
    #[error("cell broke its protocol; it was ended; start a new cell")]
    Protocol,
}

impl CellError {
    /// A refusal with its kind.
    pub(crate) fn failed(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            message: message.into(),
        }
    }

    /// The failure kind a caller of the API can tell apart.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Model(_) => FailureKind::UnsupportedModel,
            Self::Failed { kind, .. } => *kind,
            Self::Busy => FailureKind::Busy,
            Self::File { .. }
            | Self::Start(_)
            | Self::StartTimeout
            | Self::Died
            | Self::Protocol => FailureKind::Internal,
        }
    }
}

impl From<candle_core::Error> for CellError {
    /// Arithmetic failed. Candle's message (shapes, names of tensors) is kept to its first line.
    fn from(error: candle_core::Error) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Self::failed(FailureKind::Internal, format!("the engine failed: {line}"))
    }
}
