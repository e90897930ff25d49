//! What can go wrong with the disk, in the kinds that callers act upon.

use std::io;

/// A fault of the store. Every waiting call gets a copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room on the disk. Nothing of the transaction is kept; the next one tries again.
    #[error("the disk is full; nothing was recorded; make room, and the next call works again")]
    Full,
    /// As much is queued for the disk as may be.
    #[error("too much is queued for the disk; nothing was recorded; try again in a moment")]
    Busy,
    /// A sync failed, so nobody knows what the disk holds. The tenant has to be opened anew, from what is really there.
    #[error("the disk failed to sync; this tenant takes no more writes until it is opened anew")]
    Poisoned,
    /// The store is closed, or its writer is gone.
    #[error("the store is closed; nothing was recorded")]
    Closed,
    /// What the file holds cannot be: it was changed from outside, or the disk is failing.
    #[error(
        "the store holds what it cannot hold ({0}); nothing was changed; restore this tenant from a backup"
    )]
    Corrupt(String),
    /// The file of a tenant that exists is not there.
    #[error(
        "the tenant's file is missing; nothing was made in its place; bring it back, or restore it from a backup"
    )]
    Missing,
    /// It was written by a later version.
    #[error("the store was written by a later version; nothing was changed; use that version")]
    TooNew,
    /// The database does not answer, or the session that says who serves is lost. It is tried again all the time.
    #[error(
        "the database cannot be reached; nothing was recorded; calls work again as soon as it answers"
    )]
    Unreachable,
    /// The connection broke while a transaction was being committed. What calls noted is looked after; whoever changed
    /// something has to look whether it was done.
    #[error(
        "the connection to the database broke during a commit; it may be recorded or not; look before trying again"
    )]
    Unclear,
    /// Another process has taken over the deployment, or has written to this tenant's journal: what is in memory here is
    /// no longer true.
    #[error(
        "another process serves this deployment now; nothing was recorded; let only one run, and start it anew"
    )]
    Overtaken,
    /// Another process has the database.
    #[error(
        "another process serves from this database; nothing was opened; stop it first: one may serve at a time"
    )]
    InUse,
    /// The role may see every tenant's rows whatever a transaction says.
    #[error(
        "the database role is a superuser or may bypass row-level security; nothing was opened; use a role that may not"
    )]
    MightyRole,
    /// Anything else that the database or the system says.
    #[error("the store failed ({0}); nothing was recorded; check the disk or the database")]
    Failed(String),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<evidence::Error> for StoreError {
    fn from(error: evidence::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
