//! The journal's edge: what appending needs, and how it is read back from a store that may have been tampered with.

use evidence::log::{Hash, Tree};
use evidence::{Frontier, Record, RecordKind};
use jiff::Timestamp;

use super::StoreError;
use super::records::Nodes;
use super::tables::Log;

/// Records hashed at once.
const PAGE: u32 = 256;

/// The journal's edge, in memory beside what writes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge {
    pub(super) frontier: Frontier,
    /// The last record's time. Records never go back in time, whatever the clock does.
    pub(super) last: Option<Timestamp>,
}

impl Edge {
    /// Puts a record at the end; gives it with its canonical form and the hashes that it brings to the tree.
    pub(super) fn append(
        &mut self,
        kind: RecordKind,
        now: Timestamp,
    ) -> (Record, Vec<u8>, Vec<Hash>) {
        let time = self.last.map_or(now, |last| last.max(now));
        let record = Record::new(self.frontier.size(), time, kind);
        let body = record.canonical();
        let hashes = self.frontier.append(evidence::leaf_hash(&body));
        self.last = Some(time);
        (record, body, hashes)
    }
}

/// Rebuilds the edge of a tenant's journal.
///
/// # Errors
///
/// [`StoreError::Corrupt`] where records, tree and checkpoint do not fit each other.
pub(super) fn edge(log: &dyn Log) -> Result<Edge, StoreError> {
    let frontier = frontier(log)?;
    let last = last(log, frontier.size())?;
    Ok(Edge { frontier, last })
}

/// Rebuilds a log's frontier. What the newest checkpoint covers is compared with its root, without reading the records;
/// each record after it is hashed again. Whether the checkpoint is ours is for `journal::check` to say.
///
/// # Errors
///
/// [`StoreError::Corrupt`] where records, tree and checkpoint do not fit each other.
pub(super) fn frontier(log: &dyn Log) -> Result<Frontier, StoreError> {
    let size = log.size()?;
    let (signed, note) = log.checkpoint_within(u64::MAX)?.unwrap_or_default();
    if signed > size {
        return Err(damaged(
            "there are fewer records than the newest checkpoint says",
        ));
    }
    let nodes = Nodes(log);
    let mut frontier = Tree::new(signed, &nodes)?.frontier()?;
    // the third line of the note (C2SP tlog-checkpoint)
    if signed > 0 && note.lines().nth(2) != Some(&frontier.root().to_string()) {
        return Err(damaged("the tree is not the one of the newest checkpoint"));
    }
    while frontier.size() < size {
        let page = log.records(frontier.size(), size, PAGE)?;
        if page.is_empty() {
            return Err(damaged("a record is missing"));
        }
        for record in page {
            if frontier.append(evidence::leaf_hash(&record.body)) != record.hashes {
                return Err(damaged("a record is not the one its hash was made of"));
            }
        }
    }
    Ok(frontier)
}

/// The time of the last record of `size`.
fn last(log: &dyn Log, size: u64) -> Result<Option<Timestamp>, StoreError> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(None);
    };
    let stored = log
        .record(last)?
        .ok_or_else(|| damaged("the last record is missing"))?;
    let record = Record::parse(&stored.body)?;
    if evidence::leaf_hash(&stored.body) != stored.leaf()? || record.seq() != last {
        return Err(damaged(
            "the last record is not the one its hash was made of",
        ));
    }
    Ok(Some(record.time()))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("log: {what}"))
}
