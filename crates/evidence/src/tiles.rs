//! A log as static files: C2SP tlog-tiles paths and bytes, for any client that knows that format.

use crate::log::{self, HashReader, MAX_SIZE, stored_hash_index};
use crate::{Error, MAX_RECORD_BYTES};
use std::ops::Range;

/// The number of hashes or entries in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// The longest tile path that is looked at, in bytes.
pub const MAX_PATH_BYTES: usize = 64;

/// Levels above this hold nothing in a log of at most [`MAX_SIZE`] records.
const MAX_LEVEL: u32 = 6;

/// A tile: up to 256 neighbouring hashes of every eighth level of the tree, or as many records.
///
/// ```
/// use evidence::tiles::Tile;
/// let tile: Tile = "tile/0/x001/x234/067.p/8".parse().unwrap();
/// assert_eq!((tile.level(), tile.index(), tile.width()), (Some(0), 1_234_067, 8));
/// assert_eq!(tile.to_string(), "tile/0/x001/x234/067.p/8");
/// assert!("tile/entries/256.p/256".parse::<Tile>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    level: Option<u32>,
    index: u64,
    width: u64,
}

impl Tile {
    /// The level of a hash tile, counted in eights; `None` for a tile of entries.
    #[must_use]
    pub fn level(&self) -> Option<u32> {
        self.level
    }

    /// The tile's place among those of its level, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds: 256, or 1 to 255 for a partial one.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The nodes (or records) it holds, counted within their level.
    #[must_use]
    pub fn nodes(&self) -> Range<u64> {
        let first = self.index * TILE_WIDTH;
        first..first + self.width
    }

    /// Whether a log of `size` records has everything that this tile holds.
    #[must_use]
    pub fn within(&self, size: u64) -> bool {
        self.nodes().end <= size >> (8 * self.level.unwrap_or(0))
    }

    /// The tile's bytes, from the log of `size` records.
    ///
    /// A hash tile is its hashes of 32 bytes each, out of `hashes`. A tile of entries is its records, each behind its
    /// length in two bytes (big endian), which `records` fetches by the range of their indexes.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideLog`] where the log is not that large, [`Error::StoredHashes`] where `hashes` fails or
    /// `records` returns another number of records than asked for or one above [`MAX_RECORD_BYTES`]; and what
    /// `records` returns as error.
    pub fn bytes<R: HashReader>(
        &self,
        size: u64,
        hashes: &R,
        records: impl FnOnce(Range<u64>) -> Result<Vec<Vec<u8>>, Error>,
    ) -> Result<Vec<u8>, Error> {
        if size > MAX_SIZE || !self.within(size) {
            return Err(Error::OutsideLog { size });
        }
        match self.level {
            Some(level) => {
                let level = u8::try_from(8 * level).map_err(|_| Error::NotATilePath)?;
                let places: Vec<u64> = self.nodes().map(|n| stored_hash_index(level, n)).collect();
                let read = log::read_exactly(hashes, &places)?;
                Ok(read.iter().flat_map(|hash| hash.0).collect())
            }
            None => entries(&records(self.nodes())?, self.width),
        }
    }
}

fn entries(records: &[Vec<u8>], width: u64) -> Result<Vec<u8>, Error> {
    let wrong = |reason: &str| Error::StoredHashes {
        reason: reason.to_owned(),
    };
    if records.len() as u64 != width {
        return Err(wrong("the store returned a wrong number of records"));
    }
    let mut bytes = Vec::new();
    for record in records {
        let len = u16::try_from(record.len())
            .ok()
            .filter(|_| record.len() <= MAX_RECORD_BYTES);
        let len = len.ok_or_else(|| wrong("the store returned a record that is too long"))?;
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(record);
    }
    Ok(bytes)
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        let groups = std::iter::successors(Some(self.index), |n| (*n >= 1000).then_some(n / 1000));
        let groups: Vec<u64> = groups.map(|n| n % 1000).collect();
        for (place, group) in groups.iter().enumerate().rev() {
            match place {
                0 => write!(f, "{group:03}")?,
                _ => write!(f, "x{group:03}/")?,
            }
        }
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Tile {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::NotATilePath`] where `path` is not the one spelling of a tile that a log of at most [`MAX_SIZE`]
    /// records can have.
    fn from_str(path: &str) -> Result<Self, Error> {
        let read = || {
            let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
            let level = match level {
                "entries" => None,
                number => Some(number.parse().ok().filter(|level| *level <= MAX_LEVEL)?),
            };
            let (index, width) = match rest.split_once(".p/") {
                Some((index, width)) => (index, width.parse().ok()?),
                None => (rest, TILE_WIDTH),
            };
            let index = index.split('/').try_fold(0_u64, |sum, group| {
                let group: u64 = group.trim_start_matches('x').parse().ok()?;
                sum.checked_mul(1000)?.checked_add(group)
            })?;
            let valid = (1..=TILE_WIDTH).contains(&width) && index < MAX_SIZE / TILE_WIDTH;
            valid.then_some(Self {
                level,
                index,
                width,
            })
        };
        if path.len() > MAX_PATH_BYTES {
            return Err(Error::NotATilePath);
        }
        read()
            .filter(|tile| tile.to_string() == path)
            .ok_or(Error::NotATilePath)
    }
}
