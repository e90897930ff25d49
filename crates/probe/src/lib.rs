//! Proves tenant isolation from outside: a conformance suite that works against any OpenAI-compatible gateway.
//!
//! [`run`] walks the [`catalogue`] of 38 attacks. It holds the keys of two tenants, A (the victim) and B (the attacker),
//! and in echo mode it is also the upstream behind the gateway ([`echo`]), so that it sees what the gateway forwards.
//! Every row shows first that the effect exists inside A, and only then says that B cannot reach it: a leak that could
//! not have shown proves nothing. One printed seed replays a run.
//!
//! The crate knows HTTP and `wire`, and nothing else of ours: it tests Cofferdam as it tests any other gateway.

pub mod canary;
pub mod catalogue;
pub mod chance;
pub mod echo;
pub mod http1;
pub mod stats;
pub mod target;

mod options;
mod report;
mod row;
mod rows;
mod run;
mod verdict;

pub use options::{Admin, Key, Limits, Mode, Options, ProbeError, Scale};
pub use report::{Report, RowReport, SCHEMA, Summary};
pub use row::{Bench, Row, Work};
pub use rows::all as rows;
pub use run::{Progress, run};
pub use verdict::{Control, Distribution, Finding, Series, Trouble, Verdict};
