//! The store: what the back ends share, and the traits that they keep.
//!
//! It is dumb. It sees ids, times, counts, blind indexes and sealed bytes; it never sees a name, a text or a key. SQL
//! stands here and nowhere else.

mod batch;
pub(crate) mod calls;
mod deployment;
mod edge;
mod embedded;
mod entry;
mod error;
pub(crate) mod keys;
mod line;
pub(crate) mod records;
mod tables;
mod tenant;
#[cfg(test)]
mod tests;
mod ticket;
mod transaction;
pub(crate) mod usage;
mod write;

pub(crate) use batch::Batch;
pub(crate) use deployment::{ClaimPlace, Deployment, LoggedHead, TenantRow, TenantState};
pub(crate) use entry::{Begun, Note};
pub use error::StoreError;
pub(crate) use tables::{Log, Tables, spends};
pub(crate) use tenant::{TenantDb, Tenants};
pub(crate) use ticket::{Noted, Ticket};
pub(crate) use transaction::Transaction;

use std::path::Path;

use jiff::Timestamp;

/// Opens the deployment's own file in a data folder, makes it if it is not there. Blocks.
///
/// # Errors
///
/// Faults of the disk.
pub(crate) fn deployment(folder: &Path) -> Result<Box<dyn Deployment>, StoreError> {
    Ok(Box::new(embedded::DeploymentFile::open(
        &folder.join("deployment.db"),
    )?))
}

/// Opens what the tenants of a data folder have. Blocks.
///
/// # Errors
///
/// Faults of the disk.
pub(crate) fn tenants(folder: &Path) -> Result<Box<dyn Tenants>, StoreError> {
    Ok(Box::new(embedded::TenantFiles::open(folder)?))
}

/// Times are kept as milliseconds since 1970.
fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Counts are kept in signed integers of 64 bits; what does not fit is clamped, and no count of ours comes near.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
