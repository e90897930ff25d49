//! The promises of the house, tested through its public face alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod administration;
mod budget;
mod door;
mod faults;
mod issuers;
mod plaintext;
mod postgres;
#[path = "../postgres/mod.rs"]
mod server;
mod settlement;
mod support;
mod transfer;
