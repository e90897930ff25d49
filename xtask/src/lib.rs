//! The house rules, as code: `cargo run -p xtask -- tidy`, and as an ordinary test.
//!
//! Each rule is a pure function from a [`Tree`] of texts to [`Finding`]s, in a file of its own under `rules/`, with
//! tests that make it fail. `tests/tidy.rs` runs all of them over the real tree and shows everything it finds at once.

mod finding;
mod rules;
mod source;
mod tree;

pub use finding::Finding;
pub use rules::check;
pub use tree::Tree;
