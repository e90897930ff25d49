//! A log seen through its stored hashes.

use super::{Frontier, Hash, HashReader, MAX_SIZE, leaf_hash, stored_from};
use crate::Error;

/// A log of a given size whose hashes some store holds. Reads at most about 2·log2(size) hashes per question.
#[derive(Debug)]
pub struct Tree<'r, R> {
    size: u64,
    reader: Counted<'r, R>,
}

/// What a database writer stores for one new record.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The record's leaf index, equal to the size before it.
    pub index: u64,
    /// The place of the first of `hashes` in the store; the others follow without a gap.
    pub stored_from: u64,
    /// The leaf's hash, then the roots of the subtrees it completes.
    pub hashes: Vec<Hash>,
}

impl<'r, R: HashReader> Tree<'r, R> {
    /// The log of `size` records behind `reader`.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideLog`] above [`MAX_SIZE`].
    pub fn new(size: u64, reader: &'r R) -> Result<Self, Error> {
        if size > MAX_SIZE {
            return Err(Error::OutsideLog { size });
        }
        Ok(Self {
            size,
            reader: Counted(reader),
        })
    }

    /// What to store so that `record` becomes the next leaf. A writer that appends often keeps a [`Frontier`] instead.
    ///
    /// # Errors
    ///
    /// [`Error::StoredHashes`] where the reader fails.
    pub fn append(&self, record: &[u8]) -> Result<Appended, Error> {
        let hashes =
            tlog_tiles::stored_hashes_for_record_hash(self.size, leaf_hash(record), &self.reader)
                .map_err(unreadable)?;
        Ok(Appended {
            index: self.size,
            stored_from: stored_from(self.size),
            hashes,
        })
    }

    /// The right edge, to go on appending from.
    ///
    /// # Errors
    ///
    /// [`Error::StoredHashes`] where the reader fails.
    pub fn frontier(&self) -> Result<Frontier, Error> {
        let indexes = Frontier::stored_indexes(self.size)?;
        Frontier::from_hashes(
            self.size,
            self.reader.read_hashes(&indexes).map_err(unreadable)?,
        )
    }

    /// The Merkle tree hash, RFC 6962 section 2.1.
    ///
    /// # Errors
    ///
    /// [`Error::StoredHashes`] where the reader fails.
    pub fn root(&self) -> Result<Hash, Error> {
        tlog_tiles::tree_hash(self.size, &self.reader).map_err(unreadable)
    }

    /// Proof that the record at `index` is in this log, RFC 6962 section 2.1.1.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideLog`] where `index` is not below the size, [`Error::StoredHashes`] where the reader fails.
    pub fn inclusion(&self, index: u64) -> Result<Vec<Hash>, Error> {
        if index >= self.size {
            return Err(Error::OutsideLog { size: self.size });
        }
        tlog_tiles::prove_record(self.size, index, &self.reader).map_err(unreadable)
    }

    /// Proof that the log of size `earlier` is a prefix of this one, RFC 6962 section 2.1.2. Empty for `earlier` 0.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideLog`] where `earlier` is above the size, [`Error::StoredHashes`] where the reader fails.
    pub fn consistency(&self, earlier: u64) -> Result<Vec<Hash>, Error> {
        match earlier {
            0 => Ok(Vec::new()),
            n if n <= self.size => {
                tlog_tiles::prove_tree(self.size, n, &self.reader).map_err(unreadable)
            }
            _ => Err(Error::OutsideLog { size: self.size }),
        }
    }
}

/// `tlog_tiles` panics where a reader returns fewer or more hashes than asked; this makes it an error.
#[derive(Debug)]
struct Counted<'r, R>(&'r R);

impl<R: HashReader> HashReader for Counted<'_, R> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let hashes = self.0.read_hashes(indexes)?;
        if hashes.len() == indexes.len() {
            Ok(hashes)
        } else {
            Err(tlog_tiles::Error::InvalidInput(
                "the reader returned a wrong number of hashes".into(),
            ))
        }
    }
}

/// Reads through `reader`, and insists on one hash for each index.
pub(crate) fn read_exactly<R: HashReader>(reader: &R, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
    Counted(reader).read_hashes(indexes).map_err(unreadable)
}

fn unreadable(error: tlog_tiles::Error) -> Error {
    Error::StoredHashes {
        reason: error.to_string(),
    }
}
