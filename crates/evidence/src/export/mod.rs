//! The export: one file of JSON lines that holds a whole journal and everything needed to verify it offline.
//!
//! `FORMAT.md`, "Export", has the format. [`Writer`] writes it, [`verify`] checks it, [`prove`] takes single records
//! out of it together with their proof. All three work in one pass and in bounded memory.

mod calls;
mod finding;
mod line;
mod page;
mod proof;
mod report;
mod verify;
mod writer;

pub use calls::{MAX_OPEN_CALLS, SETTLED_WINDOW};
pub use finding::{Finding, Signed};
pub use line::{FORMAT, Header, MAX_LINE_BYTES};
pub use proof::{
    MAX_PROOF_BYTES, Part, Proof, ProofReport, ProvedRecord, Wanted, prove, verify_proof,
};
pub use report::{
    DeploymentReport, MAX_LISTED_MODELS, MAX_LISTED_OPEN_CALLS, OTHER_MODELS, OpenCall, Report,
    Sums,
};
pub use verify::{CLOCK_SLACK, Trust, verify};
pub use writer::Writer;
