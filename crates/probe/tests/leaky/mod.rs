//! A deliberately leaky gateway: small, OpenAI-compatible, two tenants, honest until a switch is turned.
//!
//! Each stage of a request is a file with its own switches; a switch that is on breaks exactly what one row of the
//! catalogue looks for. To add one: a field and a line of `SWITCHES` in the stage's file.

pub mod bodies;
pub mod caching;
mod engine;
pub mod framing;
pub mod headers;
pub mod identity;
pub mod memory;
pub mod meter;
pub mod models;
pub mod neighbours;
pub mod objects;
pub mod pool;
mod proxy;
pub mod pseudonyms;
pub mod request_ids;
pub mod routes;
pub mod salts;
pub mod streams;
pub mod tokens;
pub mod traces;
mod upstream;

pub use engine::Engine;
pub use identity::{KEY_A, KEY_B};
pub use meter::OPERATOR;
pub use proxy::Leaky;

/// What is broken; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    pub bodies: bodies::Switches,
    pub caching: caching::Switches,
    pub framing: framing::Switches,
    pub headers: headers::Switches,
    pub identity: identity::Switches,
    pub memory: memory::Switches,
    pub meter: meter::Switches,
    pub models: models::Switches,
    pub neighbours: neighbours::Switches,
    pub objects: objects::Switches,
    pub pool: pool::Switches,
    pub pseudonyms: pseudonyms::Switches,
    pub request_ids: request_ids::Switches,
    pub tokens: tokens::Switches,
    pub traces: traces::Switches,
    pub routes: routes::Switches,
    pub salts: salts::Switches,
    pub streams: streams::Switches,
}

/// One switch, for the matrix.
pub struct Switch {
    pub name: &'static str,
    /// The row that it must turn to FAIL.
    pub row: u8,
    pub turn: fn(&mut Switches),
}

/// Every switch there is.
pub fn all() -> impl Iterator<Item = &'static Switch> {
    let stages: &[&[Switch]] = &[
        bodies::SWITCHES,
        caching::SWITCHES,
        framing::SWITCHES,
        headers::SWITCHES,
        identity::SWITCHES,
        memory::SWITCHES,
        meter::SWITCHES,
        models::SWITCHES,
        neighbours::SWITCHES,
        objects::SWITCHES,
        pool::SWITCHES,
        pseudonyms::SWITCHES,
        request_ids::SWITCHES,
        tokens::SWITCHES,
        traces::SWITCHES,
        routes::SWITCHES,
        salts::SWITCHES,
        streams::SWITCHES,
    ];
    stages.iter().copied().flatten()
}
