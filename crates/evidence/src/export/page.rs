//! Up to 256 records, held until the line with their hashes has said whether they are the right ones.

use super::Finding;
use super::line::Lines;
use super::writer::read_tile;
use crate::tiles::TILE_WIDTH;
use crate::{Error, Hash, Record, leaf_hash};
use std::io::BufRead;

/// The most lines in a page: its records, and twice as many checkpoints among them.
const MAX_ITEMS: usize = 3 * 256;

/// What stands in a page, in order.
pub(super) enum Item {
    /// A record in canonical form.
    Record {
        record: Box<Record>,
        text: Vec<u8>,
        leaf: Hash,
    },
    /// A checkpoint note, not verified yet.
    Checkpoint(String),
}

/// The records since the last tile line. At most about 16 MiB.
#[derive(Default)]
pub(super) struct Page {
    first: u64,
    records: u64,
    items: Vec<Item>,
    closed: bool,
}

impl Page {
    /// Takes the next record.
    pub(super) fn record(&mut self, text: Vec<u8>) -> Result<(), Finding> {
        let expected = self.first + self.records;
        let record = Record::parse(&text).map_err(|error| match error {
            Error::NotCanonical { reason } => Finding::NotCanonical {
                seq: expected,
                reason,
            },
            _ => Finding::NotCanonical {
                seq: expected,
                reason: error.to_string(),
            },
        })?;
        let found = record.seq();
        if found > expected {
            return Err(Finding::Missing {
                from: expected,
                to: found - 1,
            });
        }
        if found < expected {
            return Err(Finding::OutOfPlace { expected, found });
        }
        if self.closed || self.records == TILE_WIDTH {
            return Err(Finding::Unlisted { from: self.first });
        }
        let leaf = leaf_hash(&text);
        let record = Box::new(record);
        self.items.push(Item::Record { record, text, leaf });
        self.records += 1;
        Ok(())
    }

    /// Takes a checkpoint.
    pub(super) fn checkpoint<R: BufRead>(
        &mut self,
        note: String,
        lines: &Lines<R>,
    ) -> Result<(), Finding> {
        if self.items.len() >= MAX_ITEMS {
            return Err(lines.bad("more checkpoints than records"));
        }
        self.items.push(Item::Checkpoint(note));
        Ok(())
    }

    /// Compares the records with the hashes that the journal lists for them.
    pub(super) fn tile<R: BufRead>(&mut self, text: &str, lines: &Lines<R>) -> Result<(), Finding> {
        let listed = read_tile(text).ok_or_else(|| lines.bad("it is no tile of hashes"))?;
        let leaves = self.items.iter().filter_map(|item| match item {
            Item::Record { record, leaf, .. } => Some((record.seq(), leaf)),
            Item::Checkpoint(_) => None,
        });
        for ((seq, leaf), listed) in leaves.zip(&listed) {
            if leaf != listed {
                return Err(Finding::Edited { seq });
            }
        }
        let width = listed.len() as u64;
        let next = self.first + self.records;
        if width > self.records {
            return Err(Finding::Missing {
                from: next,
                to: self.first + width - 1,
            });
        }
        if width < self.records {
            return Err(Finding::Unlisted {
                from: self.first + width,
            });
        }
        self.first = next;
        self.records = 0;
        self.closed = width < TILE_WIDTH;
        Ok(())
    }

    /// The items, once no record among them waits for its hash.
    pub(super) fn take(&mut self) -> Vec<Item> {
        if self.records == 0 {
            std::mem::take(&mut self.items)
        } else {
            Vec::new()
        }
    }

    /// Makes sure that no record still waits for its hash.
    pub(super) fn finish(&self) -> Result<(), Finding> {
        if self.records == 0 {
            Ok(())
        } else {
            Err(Finding::Unlisted { from: self.first })
        }
    }
}
