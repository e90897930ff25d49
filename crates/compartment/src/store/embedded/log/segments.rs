//! The files of the commit log: numbered, written one after the other, read again after a crash, removed when nothing
//! depends on them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::line::{self, Left, MAX_LINE};
use crate::id::TenantId;
use crate::store::StoreError;
use crate::store::embedded::connection;

/// What an earlier process left, by tenant, in the order of the journal.
pub(super) type Leftovers = HashMap<TenantId, Vec<Left>>;

/// The files that are there, oldest first, and the number of the next one.
pub(super) fn list(folder: &Path) -> Result<(Vec<PathBuf>, u64), StoreError> {
    connection::folder(folder)?;
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".log")?.parse::<u64>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    let next = found.last().map_or(1, |(last, _)| last.saturating_add(1));
    Ok((found.into_iter().map(|(_, path)| path).collect(), next))
}

/// Makes the file with this number, so that its name survives a loss of power.
pub(super) fn make(folder: &Path, number: u64) -> Result<(PathBuf, File), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(format!("{number:020}.log"));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    File::open(folder)?.sync_all()?;
    Ok((path, file))
}

/// Reads what the files hold. A line that is not whole was never durable, wherever it stands, and is left out: what
/// follows it of the same tenant then has a gap before it, and is left out as well when the tenant is opened.
pub(super) fn read(files: &[PathBuf]) -> Result<Leftovers, StoreError> {
    let mut left = Leftovers::new();
    let mut torn = 0_u64;
    for path in files {
        let mut file = BufReader::new(File::open(path)?);
        while let Some(bytes) = next_line(&mut file)? {
            match line::read(&bytes) {
                Some((tenant, note)) => left.entry(tenant).or_default().push(note),
                None => torn = torn.saturating_add(1),
            }
        }
    }
    if torn > 0 {
        tracing::warn!(
            lines = torn,
            "the commit log has lines that are not whole, as after a loss of power; they were left out"
        );
    }
    for notes in left.values_mut() {
        // a note stands twice where it was carried over
        notes.sort_by_key(|note| note.record.seq());
        notes.dedup_by_key(|note| note.record.seq());
    }
    Ok(left)
}

/// The next line without its end. A longer one than there can be is cut, so that it is not whole.
fn next_line(file: &mut impl BufRead) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_LINE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    if file.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Some(bytes))
}
