//! Writing a tenant's journal out, for people who do not trust us.

use std::io::Write;

use evidence::deployment::HeadProof;
use evidence::export::Writer;

use super::JournalKeys;
use crate::store::{Connection, StoreError, records};

/// Records read at once.
const PAGE: u32 = 256;

/// Writes every record up to the newest checkpoint, with checkpoints between them about every 256 records: where
/// somebody changed the store, they narrow down where. Memory stays bounded whatever the journal's length.
///
/// # Errors
///
/// Faults of the store, or of `out`. What was written until then verifies as truncated.
pub(crate) fn export<W: Write>(connection: &Connection, keys: &JournalKeys, head: Option<HeadProof>, out: W) -> Result<W, StoreError> {
    let mut writer = Writer::begin(out, keys.vkey().clone(), head).map_err(unwritten)?;
    let mut done = 0;
    while let Some((size, note)) = next_checkpoint(connection, done)? {
        while done < size {
            let page = records::page(connection, done, size, PAGE)?;
            if page.is_empty() {
                return Err(StoreError::Corrupt("journal: records are missing".to_owned()));
            }
            for record in page {
                writer.record(&record.body, record.leaf).map_err(unwritten)?;
                done += 1;
            }
        }
        writer.checkpoint(&note).map_err(unwritten)?;
    }
    writer.finish().map_err(unwritten)
}

/// The last checkpoint of the next [`PAGE`] records, or else the first one after them.
fn next_checkpoint(connection: &Connection, done: u64) -> Result<Option<(u64, String)>, StoreError> {
    let near = records::checkpoint_within(connection, done.saturating_add(u64::from(PAGE)))?;
    match near.filter(|(size, _)| *size > done) {
        Some(near) => Ok(Some(near)),
        None => records::checkpoint_after(connection, done),
    }
}

fn unwritten(error: evidence::Error) -> StoreError {
    match error {
        evidence::Error::Write(error) => error.into(),
        other => other.into(),
    }
}
