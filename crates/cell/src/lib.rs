//! One tenant's inference process, and the handle to it.
//!
//! [`Cell::start`] runs a second process of the same program, whose hidden command calls [`serve`]. The two talk over a
//! socketpair that is the child's standard input, in [`wire::cell`] frames; the child gets no environment, no
//! arguments it does not need and no other descriptor. A cell serves one tenant and is never given to another.
//!
//! Inside, [`engine`] runs a GGUF chat model on the CPU with candle: the file's own tokenizer and chat template, the
//! sampling of the OpenAI API, stop strings, tool calls, log probabilities, cancellation before the next token.
//! [`import`] turns a model file as shipped into the form the engine is fast with.
//!
//! Text from a request never becomes a special token, whatever it looks like: `<|im_start|>` in a message is text
//! (see [`engine::template`]).

pub mod engine;
mod error;
mod gguf;
mod handle;
pub mod import;
mod serve;

pub use error::CellError;
pub use handle::{Cell, CellSpec, Event, Generation};
pub use serve::serve;
