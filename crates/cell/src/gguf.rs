//! Opening a GGUF file without trusting it: every count, length, shape and offset of the header is checked against a
//! bound and the file's size before anything is allocated for it. Only then does candle read the same bytes.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little endian.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};

use crate::CellError;

/// Largest model file, in bytes (64 GiB).
pub const MAX_FILE: u64 = 64 << 30;
/// Largest header, in bytes: vocabularies of the largest models take about 10 MiB.
const MAX_HEADER: u64 = 256 << 20;
const MAX_TENSORS: u64 = 1 << 16;
const MAX_ENTRIES: u64 = 1 << 12;
/// Array elements in the whole header.
const MAX_ELEMENTS: u64 = 1 << 22;
const MAX_KEY: u64 = 1 << 10;
const MAX_STRING: u64 = 1 << 22;
const MAX_DIMENSION: u64 = 1 << 32;

/// A model file, opened and checked.
pub struct Gguf {
    /// Metadata and tensor table as candle reads them.
    pub content: Content,
    /// The file, for the tensors.
    pub file: BufReader<File>,
}

impl Gguf {
    /// Opens and checks `path`.
    ///
    /// # Errors
    /// [`CellError::File`] if it cannot be read, [`CellError::Model`] if its header is not sound.
    pub fn open(path: &Path) -> Result<Self, CellError> {
        let unreadable = |source| CellError::File {
            action: "open the model file",
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        Scan {
            reader: &mut file,
            size,
            at: 0,
            elements: 0,
        }
        .check()?;
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let content = Content::read(&mut file).map_err(|_| broken("the header cannot be read"))?;
        Ok(Self { content, file })
    }

    /// A text in the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.content
            .metadata
            .get(key)
            .and_then(|value| value.to_string().ok())
            .map(String::as_str)
    }

    /// A whole number in the metadata, whatever its width; negative ones are `None`.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.content.metadata.get(key)? {
            Value::I8(n) => u64::try_from(*n).ok(),
            Value::I16(n) => u64::try_from(*n).ok(),
            Value::I32(n) => u64::try_from(*n).ok(),
            Value::I64(n) => u64::try_from(*n).ok(),
            value => value.to_u64().ok(),
        }
    }

    /// A 32-bit float in the metadata.
    pub fn float(&self, key: &str) -> Option<f32> {
        self.content
            .metadata
            .get(key)
            .and_then(|value| value.to_f32().ok())
    }

    /// A flag in the metadata.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.content
            .metadata
            .get(key)
            .and_then(|value| value.to_bool().ok())
    }

    /// A list in the metadata.
    pub fn list(&self, key: &str) -> Option<&[Value]> {
        self.content
            .metadata
            .get(key)
            .and_then(|value| value.to_vec().ok())
            .map(Vec::as_slice)
    }
}

fn broken(detail: impl std::fmt::Display) -> CellError {
    CellError::Model(format!(
        "{detail}; nothing was loaded; get the file again from where it is published"
    ))
}

/// Elements and bytes of one block of a tensor type candle can read; `None` for others.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),
        1 | 30 => (1, 2),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        _ => return None,
    })
}

/// One pass over the header that keeps nothing but names.
struct Scan<'a, R> {
    reader: &'a mut R,
    size: u64,
    at: u64,
    elements: u64,
}

impl<R: Read> Scan<'_, R> {
    fn check(&mut self) -> Result<(), CellError> {
        if self.size > MAX_FILE {
            return Err(broken(format_args!("the file is over {MAX_FILE} bytes")));
        }
        if self.bytes::<4>()? != *b"GGUF" {
            return Err(broken("the file is not GGUF"));
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(broken(format_args!("GGUF version {version} is not 2 or 3")));
        }
        let tensors = self.bounded(MAX_TENSORS, "tensors")?;
        let entries = self.bounded(MAX_ENTRIES, "metadata entries")?;
        let mut alignment = 32;
        let mut keys = HashSet::new();
        for _ in 0..entries {
            let key = self.string(MAX_KEY)?;
            let kind = self.u32()?;
            if key == b"general.alignment" {
                if kind != 4 {
                    return Err(broken("the alignment is not a u32"));
                }
                alignment = u64::from(self.u32()?);
                if !alignment.is_power_of_two() || !(8..=1 << 16).contains(&alignment) {
                    return Err(broken(format_args!(
                        "an alignment of {alignment} is absurd"
                    )));
                }
            } else {
                self.value(kind)?;
            }
            if !keys.insert(key) {
                return Err(broken("a metadata key stands twice"));
            }
        }
        self.tensors(tensors, alignment)
    }

    fn tensors(&mut self, count: u64, alignment: u64) -> Result<(), CellError> {
        let mut names = HashSet::new();
        let mut end = 0;
        for _ in 0..count {
            if !names.insert(self.string(MAX_KEY)?) {
                return Err(broken("a tensor name stands twice"));
            }
            let dimensions = self.u32()?;
            if !(1..=4).contains(&dimensions) {
                return Err(broken(format_args!("a tensor has {dimensions} dimensions")));
            }
            let mut elements: u64 = 1;
            let mut row = 0;
            for index in 0..dimensions {
                let extent = self.u64()?;
                if extent == 0 || extent > MAX_DIMENSION {
                    return Err(broken(format_args!(
                        "a tensor dimension of {extent} is absurd"
                    )));
                }
                row = if index == 0 { extent } else { row };
                elements = elements
                    .checked_mul(extent)
                    .ok_or_else(|| broken("a tensor is absurdly large"))?;
            }
            let kind = self.u32()?;
            let (per_block, bytes) = block(kind)
                .ok_or_else(|| broken(format_args!("tensor type {kind} is not supported")))?;
            let offset = self.u64()?;
            let needed = (elements / per_block)
                .checked_mul(bytes)
                .and_then(|bytes| offset.checked_add(bytes));
            match needed {
                Some(needed)
                    if row.is_multiple_of(per_block) && offset.is_multiple_of(alignment) =>
                {
                    end = end.max(needed);
                }
                _ => return Err(broken("a tensor does not fit its type or place")),
            }
        }
        let start = self.at.next_multiple_of(alignment);
        if end > self.size.saturating_sub(start) {
            return Err(broken("the file is shorter than its tensors"));
        }
        Ok(())
    }

    fn value(&mut self, kind: u32) -> Result<(), CellError> {
        match kind {
            8 => self.string(MAX_STRING).map(drop),
            9 => {
                let kind = self.u32()?;
                let length = self.u64()?;
                self.elements = self.elements.saturating_add(length);
                if self.elements > MAX_ELEMENTS {
                    return Err(broken(format_args!(
                        "a metadata list of {length} is absurd"
                    )));
                }
                match kind {
                    9 => Err(broken("a metadata list holds lists")),
                    8 => (0..length).try_for_each(|_| self.string(MAX_STRING).map(drop)),
                    _ => {
                        let each =
                            width(kind).ok_or_else(|| broken("a metadata type is unknown"))?;
                        self.skip(length.saturating_mul(each))
                    }
                }
            }
            _ => {
                let bytes = width(kind).ok_or_else(|| broken("a metadata type is unknown"))?;
                self.skip(bytes)
            }
        }
    }

    fn bounded(&mut self, most: u64, what: &str) -> Result<u64, CellError> {
        let count = self.u64()?;
        if count > most {
            Err(broken(format_args!("{count} {what} are absurd")))
        } else {
            Ok(count)
        }
    }

    /// Accounts for `length` bytes that must lie inside the file and the header bound.
    fn advance(&mut self, length: u64) -> Result<(), CellError> {
        self.at = self.at.saturating_add(length);
        if self.at > self.size.min(MAX_HEADER) {
            return Err(broken("the header ends early or is absurdly long"));
        }
        Ok(())
    }

    fn string(&mut self, most: u64) -> Result<Vec<u8>, CellError> {
        let length = self.u64()?;
        if length > most {
            return Err(broken(format_args!("a text of {length} bytes is absurd")));
        }
        self.advance(length)?;
        let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
        self.reader
            .read_exact(&mut text)
            .map_err(|_| broken("the header ends early"))?;
        Ok(text)
    }

    fn skip(&mut self, length: u64) -> Result<(), CellError> {
        self.advance(length)?;
        let skipped = std::io::copy(&mut self.reader.by_ref().take(length), &mut std::io::sink());
        if skipped.is_ok_and(|n| n == length) {
            Ok(())
        } else {
            Err(broken("the header ends early"))
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], CellError> {
        self.advance(N as u64)?;
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|_| broken("the header ends early"))?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, CellError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, CellError> {
        self.bytes().map(u64::from_le_bytes)
    }
}

/// Bytes of a metadata scalar; `None` for texts, lists and unknown types.
fn width(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}
