//! The lines of an export.

use super::Finding;
use crate::deployment::HeadProof;
use crate::{Id, VerifierKey};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Read};

/// The version of the format, in the header.
pub const FORMAT: u32 = 1;

/// The longest line, in bytes, its newline included.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What every line that holds a record begins with; no other line does.
pub(crate) const RECORD_PREFIX: &[u8] = b"{\"seq\":";

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// The journal's name, which is also the name of its key.
    pub origin: Id,
    /// The key that signs the journal's checkpoints. Worth something only once it is compared with a pinned one.
    pub vkey: VerifierKey,
    /// Proof that some head of this journal stands in the deployment log; `None` where there is no such log.
    pub deployment: Option<HeadProof>,
}

/// Every line that is not a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Frame {
    /// First line.
    Header(Box<Header>),
    /// The leaf hashes of the records since the last such line, base64, 32 bytes each.
    Tile(String),
    /// A signed checkpoint of the log as it is up to here.
    Checkpoint(String),
    /// Last line.
    End {
        /// The number of records in the file.
        records: u64,
    },
}

/// Reads lines of bounded length.
pub(crate) struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next line without its newline, or `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Finding> {
        self.number += 1;
        let line = self.number;
        let mut bytes = Vec::new();
        let mut bounded = self.input.by_ref().take(MAX_LINE_BYTES as u64);
        if bounded.read_until(b'\n', &mut bytes).is_err() {
            return Err(Finding::BadLine {
                line,
                what: "it cannot be read",
            });
        }
        match bytes.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(bytes)),
            Some(_) if bytes.len() + 1 == MAX_LINE_BYTES => Err(Finding::BadLine {
                line,
                what: "it is longer than any line of an export",
            }),
            Some(_) => Err(Finding::CutOff { line }),
        }
    }

    /// The number of the line that [`Lines::next`] returned last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads `bytes` as a line that is not a record.
    pub(crate) fn frame(&self, bytes: &[u8]) -> Result<Frame, Finding> {
        serde_json::from_slice(bytes).map_err(|_| self.bad("it is no line of this format"))
    }

    /// A finding about the current line.
    pub(crate) fn bad(&self, what: &'static str) -> Finding {
        Finding::BadLine {
            line: self.number,
            what,
        }
    }
}
