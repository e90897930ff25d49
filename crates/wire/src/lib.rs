//! Shapes that cross a socket: OpenAI, admin, steward, cell. Parse only; no IO, clock or randomness.
//!
//! Everything a caller sends is read into a typed, strict allow-list ([`openai`]): a field that is not documented is
//! refused by name, and what a field may hold has a bound. Everything an upstream answers is read tolerantly and
//! written strictly. So no byte passes from one side to the other without this crate knowing what it is.

pub mod admin;
pub mod cell;
pub mod json;
pub mod openai;
pub mod sse;
pub mod steward;
