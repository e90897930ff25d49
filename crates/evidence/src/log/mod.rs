//! The append-only Merkle log of RFC 6962, with hashes stored in the order of C2SP tiles (`tlog_tiles`).

mod frontier;
mod memory;
mod path;
mod proof;
mod tree;

pub use frontier::Frontier;
pub use memory::MemoryLog;
pub(crate) use path::Tracer;
pub use proof::{MAX_PROOF_HASHES, verify_consistency, verify_inclusion};
pub(crate) use proof::{hash_list, hash_text};
pub use tlog_tiles::{
    EMPTY_HASH as EMPTY_ROOT, Hash, HashReader, split_stored_hash_index, stored_hash_index,
};
pub(crate) use tree::read_exactly;
pub use tree::{Appended, Tree};

/// The most records in one log: 2^53, so that every size and index is exact in any JSON reader.
pub const MAX_SIZE: u64 = 1 << 53;

/// The hash of a leaf: SHA-256(0x00 ‖ record), RFC 6962 section 2.1.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    tlog_tiles::record_hash(record)
}

/// The place, in the store of hashes, of the first hash that comes with the record at `index`: its leaf hash. The
/// others follow it without a gap.
#[must_use]
pub fn stored_from(index: u64) -> u64 {
    stored_hash_index(0, index.min(MAX_SIZE))
}
