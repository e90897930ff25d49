//! What outsiders verify without trusting us: the journal's records, its Merkle log, signed checkpoints, the blinded
//! deployment log, and the export that an auditor checks offline.
//!
//! The crate is pure: no clock, socket, file, async runtime or randomness. Time, keys and salts are arguments; the
//! export is read from and written to `std::io` traits. The byte formats are documented in `FORMAT.md`, next to this
//! crate's `Cargo.toml`, well enough to write a second verifier from it.
//!
//! ```
//! use evidence::{Actor, Admin, AdminAction, Frontier, Id, Record, RecordKind, leaf_hash};
//!
//! # fn main() -> Result<(), evidence::Error> {
//! let record = Record::new(0, "2026-03-01T12:00:00Z".parse().unwrap(), RecordKind::Admin(Admin {
//!     actor: Actor::Operator,
//!     action: AdminAction::KeyMinted,
//!     object: Some(Id::new("key_7f3a")?),
//! }));
//! let text = record.canonical();
//! assert_eq!(Record::parse(&text)?, record);
//!
//! let mut frontier = Frontier::new();
//! let to_store = frontier.append(leaf_hash(&text));
//! assert_eq!((frontier.size(), to_store.len()), (1, 1));
//! # Ok(())
//! # }
//! ```

mod blinded;
mod checkpoint;
mod commitment;
pub mod deployment;
mod error;
pub mod export;
mod id;
mod key;
pub mod log;
mod moment;
mod record;
pub mod tiles;

pub use blinded::Blinded;
pub use checkpoint::{Checkpoint, MAX_NOTE_BYTES};
pub use commitment::{ANSWER_LABEL, Commitment, Committer, Opening, REQUEST_LABEL, commit};
pub use error::Error;
pub use id::{Id, MAX_ID_BYTES};
pub use key::{JournalSigner, VerifierKey};
pub use log::{EMPTY_ROOT, Frontier, Hash, HashReader, leaf_hash};
pub use record::{
    Actor, Admin, AdminAction, Basis, CallIntent, CallRefused, CallSettled, Hits, MAX_HITS,
    MAX_RECORD_BYTES, Outcome, Record, RecordKind,
};
