//! A whole log's hashes in memory.

use super::{Frontier, Hash, HashReader};

/// A log that keeps all its hashes in memory, two for each record on average: for small logs and for tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    frontier: Frontier,
    hashes: Vec<Hash>,
}

impl MemoryLog {
    /// The empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf and returns its index.
    pub fn append(&mut self, leaf: Hash) -> u64 {
        let index = self.frontier.size();
        self.hashes.extend(self.frontier.append(leaf));
        index
    }

    /// Size and root.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

impl HashReader for MemoryLog {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let read = |index: &u64| self.hashes.get(usize::try_from(*index).ok()?).copied();
        indexes
            .iter()
            .map(read)
            .collect::<Option<_>>()
            .ok_or(tlog_tiles::Error::IndexesNotInTree)
    }
}
