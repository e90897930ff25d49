//! The journal's records, the hashes of its tree, its checkpoints.

use evidence::log::{Hash, HashReader, split_stored_hash_index};
use evidence::tiles::TILE_WIDTH;
use jiff::Timestamp;

use super::StoreError;
use super::tables::{Answer, Log};

/// One record as it stands: its canonical bytes, and the hashes that were stored with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRecord {
    pub(crate) body: Vec<u8>,
    pub(super) hashes: Vec<Hash>,
}

/// One record on its way: its number, its canonical bytes, and the hashes that it brings to the tree, its leaf first and
/// then the roots of the subtrees that it completes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRecord<'a> {
    pub(super) seq: u64,
    pub(super) body: &'a [u8],
    pub(super) hashes: &'a [Hash],
}

impl StoredRecord {
    /// As a back end keeps it. What is no whole hash is left out, and missed by whoever counts them.
    pub(super) fn new(body: Vec<u8>, hashes: &[u8]) -> Self {
        Self {
            body,
            hashes: hashes.as_chunks().0.iter().copied().map(Hash).collect(),
        }
    }

    /// Its leaf hash, as it was stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where there is none.
    pub(crate) fn leaf(&self) -> Result<Hash, StoreError> {
        let leaf = self.hashes.first().copied();
        leaf.ok_or_else(|| StoreError::Corrupt("log: a record has no hash".to_owned()))
    }
}

impl NewRecord<'_> {
    /// Its hashes, one after the other.
    pub(super) fn hashes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }
}

/// Keeps a signed checkpoint, and forgets the earlier ones of the same 256 records: one a second would take more room
/// than the records, and a proof leads from any earlier one to the newest.
pub(crate) fn put_checkpoint(
    log: &dyn Log,
    size: u64,
    at: Timestamp,
    note: &str,
) -> Result<(), StoreError> {
    let tile = size.saturating_sub(1) / TILE_WIDTH * TILE_WIDTH;
    log.replace_checkpoint(tile, size, at, note)
}

/// When a checkpoint says that it was signed: the fourth line of its note.
pub(crate) fn signed_at(note: &str) -> Option<Timestamp> {
    note.lines().nth(3)?.strip_prefix("time ")?.parse().ok()
}

/// The tree's hashes, read from the store.
pub(crate) struct Nodes<'a>(pub(crate) &'a dyn Log);

impl HashReader for Nodes<'_> {
    fn read_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let nodes: Vec<_> = places
            .iter()
            .map(|place| {
                // a subtree of 2^level records is complete with its last one
                let (level, n) = split_stored_hash_index(*place);
                let seq = (n.saturating_add(1) << level).saturating_sub(1);
                (seq, level)
            })
            .collect();
        let read: Answer<_> = self.0.hashes(&nodes);
        read.map_err(|_| tlog_tiles::Error::IndexesNotInTree)
    }
}
