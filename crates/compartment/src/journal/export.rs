//! Writing a tenant's journal out, for people who do not trust us.

use std::io::Write;

use evidence::deployment::HeadProof;
use evidence::export::Writer;

use super::JournalKeys;
use crate::store::{Log, StoreError};

/// Records read at once.
const PAGE: u32 = 256;

/// Writes every record up to the newest checkpoint, with the checkpoints that are kept between them: where somebody
/// changed the store, they narrow down where. What is recorded meanwhile is for the next export, so this one ends. No
/// transaction stays open between two pages, because what is recorded never changes; memory stays bounded whatever the
/// journal's length.
///
/// # Errors
///
/// Faults of the store, or of `out`. What was written until then verifies as truncated.
pub(crate) fn export<W: Write>(
    log: &dyn Log,
    keys: &JournalKeys,
    head: Option<HeadProof>,
    out: W,
) -> Result<W, StoreError> {
    let mut writer = Writer::begin(out, keys.vkey().clone(), head).map_err(unwritten)?;
    // an empty journal has no checkpoint, and its export none either
    let Some((size, newest)) = log.checkpoint_within(u64::MAX)? else {
        return writer.finish().map_err(unwritten);
    };
    let mut done = 0;
    while done < size {
        let page = log.records(done, size, PAGE)?;
        if page.is_empty() {
            return Err(StoreError::Corrupt(
                "journal: records are missing".to_owned(),
            ));
        }
        let kept = log.checkpoints(done, size.min(done.saturating_add(u64::from(PAGE))))?;
        let mut kept = kept.into_iter().peekable();
        for record in page {
            writer
                .record(&record.body, record.leaf()?)
                .map_err(unwritten)?;
            done += 1;
            if let Some((_, note)) = kept.next_if(|(at, _)| *at == done && done < size) {
                writer.checkpoint(&note).map_err(unwritten)?;
            }
        }
    }
    writer.checkpoint(&newest).map_err(unwritten)?;
    writer.finish().map_err(unwritten)
}

fn unwritten(error: evidence::Error) -> StoreError {
    match error {
        evidence::Error::Write(error) => error.into(),
        other => other.into(),
    }
}
