//! Audit paths taken while a log streams past, in memory that grows with the logarithm of the log only.

use super::frontier::{Frontier, join};
use super::{Hash, MAX_PROOF_HASHES};

/// A frontier that also notes the audit path (RFC 6962 section 2.1.1) of chosen leaves.
#[derive(Debug, Default)]
pub(crate) struct Tracer {
    frontier: Frontier,
    paths: Vec<(u64, Vec<Hash>)>,
}

impl Tracer {
    /// Appends a leaf; `chosen` says whether a path for it is wanted.
    pub(crate) fn append(&mut self, leaf: Hash, chosen: bool) {
        let index = self.frontier.size();
        if chosen {
            self.paths.push((index, Vec::new()));
        }
        let paths = &mut self.paths;
        let mut level = 0_u32;
        self.frontier.append_seen(leaf, |left, right, _| {
            // The pair that is joined holds the nodes `node - 1` and `node` of this level.
            let node = index >> level;
            for (leaf, path) in paths.iter_mut() {
                match *leaf >> level {
                    n if n == node => path.push(left),
                    n if n + 1 == node => path.push(right),
                    _ => {}
                }
            }
            level += 1;
        });
    }

    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The audit paths in the log as it is now, leaf by leaf, each from the leaf upwards.
    pub(crate) fn into_paths(self) -> Vec<Vec<Hash>> {
        let Self { frontier, paths } = self;
        paths
            .into_iter()
            .map(|(leaf, path)| complete(&frontier, leaf, path))
            .collect()
    }
}

/// Leads a path from the root of its complete subtree to the root of the log.
fn complete(frontier: &Frontier, leaf: u64, mut path: Vec<Hash>) -> Vec<Hash> {
    let mut end = 0;
    let mut peak = 0;
    for bit in (0..u64::BITS)
        .rev()
        .filter(|bit| frontier.size() >> bit & 1 == 1)
    {
        end += 1_u64 << bit;
        if leaf < end {
            break;
        }
        peak += 1;
    }
    let (left, right) = frontier.peaks().split_at(peak.min(frontier.peaks().len()));
    path.extend(right.get(1..).and_then(join));
    path.extend(left.iter().rev());
    debug_assert!(path.len() <= MAX_PROOF_HASHES);
    path
}
