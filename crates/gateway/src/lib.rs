//! The gateway: listeners, the flow of a request, upstreams, the steward and control APIs.
//!
//! [`listen::serve`] turns connections into requests, [`data_plane::router`] says which flow answers them, and a flow
//! is one straight function from the credential to the settled answer.

mod administration;
pub mod app;
mod call;
pub mod config;
pub mod control;
pub mod data_plane;
mod flow;
mod intake;
pub mod listen;
mod metrics;
mod openapi;
pub mod refusal;
mod reply;
mod steward;
mod upstream;

pub use openapi::openapi;
