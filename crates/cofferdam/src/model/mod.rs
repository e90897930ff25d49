//! Getting a model onto this machine: a pinned manifest, and sources tried in order.

pub mod fetch;
pub mod manifest;
