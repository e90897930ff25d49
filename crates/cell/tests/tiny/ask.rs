//! Asking an engine in this process.

use std::sync::atomic::AtomicBool;

use cell::CellError;
use cell::engine::Engine;
use wire::cell::{Done, FailureKind, FromCell, Generate, Prompt, Sampling, Token};

use super::Tiny;

/// A whole answer.
pub struct Answer {
    pub text: String,
    pub tokens: Vec<Token>,
    pub done: Done,
}

/// Writes and loads a tiny model.
pub fn load(tiny: &Tiny) -> Engine {
    let folder = tempfile::tempdir().unwrap();
    Engine::load(&tiny.write(folder.path()), None).unwrap()
}

/// Generates one answer.
pub fn ask(engine: &mut Engine, prompt: Prompt, sampling: Sampling) -> Result<Answer, CellError> {
    let request = Generate {
        id: 9,
        prompt,
        sampling,
    };
    let mut tokens = Vec::new();
    let done = engine.generate(&request, &AtomicBool::new(false), &mut |event| {
        match event {
            FromCell::Token(token) => tokens.push(token),
            FromCell::Started { id, .. } => assert_eq!(id, 9),
            other => panic!("{other:?}"),
        }
        Ok(())
    })?;
    Ok(Answer {
        text: tokens.iter().map(|token| token.text.as_str()).collect(),
        tokens,
        done,
    })
}

/// The kind of refusal a request meets.
pub fn refused(engine: &mut Engine, prompt: Prompt, sampling: Sampling) -> FailureKind {
    ask(engine, prompt, sampling)
        .map(|answer| answer.done)
        .unwrap_err()
        .kind()
}
