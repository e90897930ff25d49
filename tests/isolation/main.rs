//! Nothing of one tenant reaches another: every operation of the interface with one tenant's credential on the other's
//! names, and what upstreams, end users and odd requests get to see.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod confusion;
mod door;
mod end_users;
mod every_operation;
mod framing;
mod mix_up;
mod operations;
mod patience;
mod privileges;
mod upstream_view;
mod world;
