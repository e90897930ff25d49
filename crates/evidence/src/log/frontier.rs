//! The right edge of the tree: all that appending and computing the root need.

use super::{EMPTY_ROOT, Hash, MAX_SIZE};
use crate::Error;
use tlog_tiles::node_hash;

/// The roots of the complete subtrees that a log of some size is made of, from left (largest) to right. At most 54
/// hashes, so a log's writer keeps it in memory and appends without reading anything.
///
/// ```
/// use evidence::{EMPTY_ROOT, Frontier, leaf_hash};
/// let mut frontier = Frontier::new();
/// assert_eq!(frontier.root(), EMPTY_ROOT);
/// assert_eq!(frontier.append(leaf_hash(b"a")).len(), 1);
/// // The second leaf completes a subtree of two: its own hash and the parent are to be stored.
/// assert_eq!(frontier.append(leaf_hash(b"b")).len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frontier {
    size: u64,
    // INVARIANT: one hash for every 1 bit of `size`, the highest bit's first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The places, in the store of hashes, of the hashes that [`Frontier::from_hashes`] wants for a log of `size`.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideLog`] above [`MAX_SIZE`].
    pub fn stored_indexes(size: u64) -> Result<Vec<u64>, Error> {
        if size > MAX_SIZE {
            return Err(Error::OutsideLog { size });
        }
        Ok(tlog_tiles::sub_tree_index(0, size, Vec::new()))
    }

    /// Takes up a log of `size` from the hashes stored at [`Frontier::stored_indexes`], in that order.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideLog`] above [`MAX_SIZE`], [`Error::StoredHashes`] where their number is not the one `size`
    /// demands. Whether they are the right ones shows when the root is compared with a checkpoint.
    pub fn from_hashes(size: u64, hashes: Vec<Hash>) -> Result<Self, Error> {
        if size > MAX_SIZE {
            return Err(Error::OutsideLog { size });
        }
        if hashes.len() != size.count_ones() as usize {
            let reason = format!("{} hashes for a log of {size}", hashes.len());
            return Err(Error::StoredHashes { reason });
        }
        Ok(Self {
            size,
            peaks: hashes,
        })
    }

    /// Appends a leaf and returns the hashes to store, in order, starting at [`super::stored_from`]`(old size)`: the
    /// leaf, then the roots of the subtrees that it completes.
    pub fn append(&mut self, leaf: Hash) -> Vec<Hash> {
        let mut stored = vec![leaf];
        self.append_seen(leaf, |_, _, parent| stored.push(parent));
        stored
    }

    /// Appends a leaf and shows every pair that is joined, lowest level first: left, right, parent.
    pub(super) fn append_seen(&mut self, leaf: Hash, mut seen: impl FnMut(Hash, Hash, Hash)) {
        let mut hash = leaf;
        // As in adding one to a binary number, each trailing 1 bit carries.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            let parent = node_hash(left, hash);
            seen(left, hash, parent);
            hash = parent;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash of the whole log, RFC 6962 section 2.1.
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.peaks).unwrap_or(EMPTY_ROOT)
    }

    pub(super) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

/// Joins the roots of complete subtrees, smallest first, into the root over all of them.
pub(super) fn join(peaks: &[Hash]) -> Option<Hash> {
    peaks
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(left, right))
}
