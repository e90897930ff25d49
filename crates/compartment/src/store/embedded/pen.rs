//! Who numbers the records of one tenant, and what calls noted that does not stand in the tenant's file yet.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::store::edge::Edge;
use crate::store::entry::{Entry, Note};

/// One tenant's pen. Whoever holds it decides what comes next in the journal.
///
/// INVARIANT: `edge` is what the tenant's file, `taken` and `waiting` make of the journal together.
pub(super) struct Pen {
    pub(super) edge: Edge,
    /// Whether the journal grew since it was signed in a round. It is set where the journal grows, under one lock with
    /// it, because a round that misses a note would let the commit log forget it.
    pub(super) unsigned: bool,
    waiting: VecDeque<Entry>,
    /// How many are being brought into the file.
    taken: usize,
    /// Transactions with records of their own since the file was opened, and how many of them are synced.
    committed: u64,
    synced: u64,
}

impl Pen {
    pub(super) fn new(edge: Edge) -> Self {
        Self {
            edge,
            unsigned: true,
            waiting: VecDeque::new(),
            taken: 0,
            committed: 0,
            synced: 0,
        }
    }

    /// Gives a note the next place in the journal, and shows it to `told` before anybody else gets one.
    pub(super) fn number<T>(
        &mut self,
        note: Note,
        now: Timestamp,
        told: impl FnOnce(&Entry) -> T,
    ) -> T {
        let (record, body, hashes) = self.edge.append(note.record, now);
        let entry = Entry {
            record,
            begun: note.begun,
            body,
            hashes,
        };
        let answer = told(&entry);
        self.unsigned = true;
        self.waiting.push_back(entry);
        answer
    }

    /// How many do not stand in the file.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len().saturating_add(self.taken)
    }

    /// What is to be brought into the file now.
    pub(super) fn take(&mut self) -> Vec<Entry> {
        let entries: Vec<_> = self.waiting.drain(..).collect();
        self.taken = entries.len();
        entries
    }

    /// What was taken stands in the file.
    pub(super) fn brought(&mut self) {
        self.taken = 0;
    }

    /// What was taken does not stand in the file.
    pub(super) fn put_back(&mut self, entries: Vec<Entry>) {
        self.taken = 0;
        for entry in entries.into_iter().rev() {
            self.waiting.push_front(entry);
        }
    }

    /// A transaction with records of its own is committed.
    pub(super) fn committed(&mut self) {
        self.committed = self.committed.saturating_add(1);
        self.unsigned = true;
    }

    pub(super) fn commits(&self) -> u64 {
        self.committed
    }

    /// The first `commits` of them are synced.
    pub(super) fn synced(&mut self, commits: u64) {
        self.synced = self.synced.max(commits);
    }

    /// Whether a record that stands in the file could still be lost with the power, while one after it, in the commit
    /// log, is not.
    pub(super) fn is_behind(&self) -> bool {
        self.synced < self.committed
    }
}
