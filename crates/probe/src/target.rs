//! The gateway under test, as one tenant reaches it.

mod answer;
mod budget;
mod client;
mod raw;
mod stream;

pub use answer::Answer;
pub use budget::Budget;
pub use client::{Ask, Client};
pub use raw::{Dial, RawAnswer, Socket};
pub(crate) use stream::said;
pub use stream::{Piece, Stream};
