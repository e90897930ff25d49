//! A deliberately leaky gateway: small, OpenAI-compatible, two tenants, honest until a switch is turned.
//!
//! Each stage of a request is a file with its own switches; a switch that is on breaks exactly what one row of the
//! catalogue looks for. To add one: a field and a line of `SWITCHES` in the stage's file.

pub mod bodies;
pub mod caching;
pub mod framing;
pub mod headers;
pub mod identity;
pub mod memory;
pub mod objects;
mod proxy;
pub mod request_ids;
pub mod routes;
pub mod tokens;
pub mod traces;
mod upstream;

pub use identity::{KEY_A, KEY_B};
pub use proxy::Leaky;

/// What is broken; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    pub bodies: bodies::Switches,
    pub caching: caching::Switches,
    pub headers: headers::Switches,
    pub identity: identity::Switches,
    pub framing: framing::Switches,
    pub memory: memory::Switches,
    pub objects: objects::Switches,
    pub request_ids: request_ids::Switches,
    pub tokens: tokens::Switches,
    pub traces: traces::Switches,
    pub routes: routes::Switches,
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
        headers::SWITCHES,
        identity::SWITCHES,
        framing::SWITCHES,
        memory::SWITCHES,
        objects::SWITCHES,
        request_ids::SWITCHES,
        tokens::SWITCHES,
        traces::SWITCHES,
        routes::SWITCHES,
    ];
    stages.iter().copied().flatten()
}
