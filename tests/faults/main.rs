//! What happens when things break: the process, its upstreams, its disk, its keys, its files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod broken_upstream;
mod budget;
mod disk;
mod keys;
mod kills;
mod one_process;
mod tampering;
mod upstreams;
