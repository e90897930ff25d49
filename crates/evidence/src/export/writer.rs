//! Writing an export.

use super::line::{FORMAT, Frame, Header, MAX_LINE_BYTES, RECORD_PREFIX};
use crate::deployment::HeadProof;
use crate::{Error, Hash, MAX_NOTE_BYTES, MAX_RECORD_BYTES, VerifierKey};
use crate::{log, tiles::TILE_WIDTH};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::io::Write;

/// Writes an export line by line: [`Writer::begin`], then every record in order with checkpoints where they belong,
/// then [`Writer::finish`].
///
/// The writer does not judge: what the store holds is exported, and [`super::verify`] says what is wrong with it.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    records: u64,
    leaves: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins the export of the journal that `vkey` signs for. `deployment` proves one of its heads to be in the
    /// deployment log.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn begin(out: W, vkey: VerifierKey, deployment: Option<HeadProof>) -> Result<Self, Error> {
        let header = Header {
            format: FORMAT,
            origin: vkey.origin().clone(),
            vkey,
            deployment,
        };
        let mut writer = Self {
            out,
            records: 0,
            leaves: Vec::new(),
        };
        writer.frame(&Frame::Header(Box::new(header)))?;
        Ok(writer)
    }

    /// Writes the next record as it is stored, with the leaf hash that was stored for it. A stored hash (rather than
    /// one computed now) is what later tells which record was edited in the store.
    ///
    /// # Errors
    ///
    /// [`Error::NotALine`] where `record` is longer than [`MAX_RECORD_BYTES`], holds a newline or does not begin like
    /// a record; [`Error::Write`].
    pub fn record(&mut self, record: &[u8], leaf: Hash) -> Result<(), Error> {
        let fits = record.len() <= MAX_RECORD_BYTES && !record.contains(&b'\n');
        if !fits || !record.starts_with(RECORD_PREFIX) {
            return Err(Error::NotALine);
        }
        self.line(record)?;
        self.leaves.extend_from_slice(&leaf.0);
        self.records += 1;
        if self.records.is_multiple_of(TILE_WIDTH) {
            self.tile()
        } else {
            Ok(())
        }
    }

    /// Writes a signed checkpoint whose size is the number of records so far. The log's last checkpoint must come
    /// after the last record; earlier ones are optional and narrow down where a later edit happened. Checkpoints
    /// signed with a key other than the header's (from before a rotation) are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NotALine`] where the note is longer than [`MAX_NOTE_BYTES`]; [`Error::Write`].
    pub fn checkpoint(&mut self, note: &str) -> Result<(), Error> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(Error::NotALine);
        }
        self.frame(&Frame::Checkpoint(note.to_owned()))
    }

    /// Ends the export and returns what it was written to.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.tile()?;
        self.frame(&Frame::End {
            records: self.records,
        })?;
        self.out.flush().map_err(Error::Write)?;
        Ok(self.out)
    }

    fn tile(&mut self) -> Result<(), Error> {
        let leaves = std::mem::take(&mut self.leaves);
        if leaves.is_empty() {
            return Ok(());
        }
        self.frame(&Frame::Tile(BASE64_STANDARD.encode(leaves)))
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), Error> {
        let bytes = serde_json::to_vec(frame).map_err(|e| Error::Write(e.into()))?;
        if bytes.len() >= MAX_LINE_BYTES {
            return Err(Error::NotALine);
        }
        self.line(&bytes)
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(Error::Write)
    }
}

/// The leaf hashes of a tile line, or `None` where it is not one.
pub(super) fn read_tile(text: &str) -> Option<Vec<Hash>> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let (chunks, rest) = bytes.as_chunks();
    (rest.is_empty() && !chunks.is_empty() && chunks.len() as u64 <= TILE_WIDTH)
        .then(|| chunks.iter().map(|chunk| log::Hash(*chunk)).collect())
}
