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
pub(crate) mod parts;
mod postgres;
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
pub use postgres::PostgresAddress;
pub(crate) use tables::{Log, Tables, spends};
pub(crate) use tenant::{TenantDb, Tenants};
pub(crate) use ticket::{Noted, Ticket};
pub(crate) use transaction::Transaction;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Which back end keeps what a deployment stores.
#[derive(Clone, Debug, Default)]
pub enum Engine {
    /// SQLite files in the data folder, one for each tenant.
    #[default]
    Embedded,
    /// A Postgres database. One process serves from it at a time.
    Postgres(PostgresAddress),
}

/// What a store stands on, taken for this process.
pub(crate) struct Ground(Taken);

enum Taken {
    Folder(PathBuf),
    Database(postgres::Database),
}

impl Ground {
    /// Takes what the engine stands on. `folder` is the data folder, which belongs to this process already. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where another process has the database, [`StoreError::MightyRole`]; faults of the store.
    pub(crate) fn take(engine: &Engine, folder: &Path) -> Result<Self, StoreError> {
        Ok(Self(match engine {
            Engine::Embedded => Taken::Folder(folder.to_owned()),
            Engine::Postgres(address) => Taken::Database(postgres::take(address)?),
        }))
    }

    /// Opens the deployment's own tables, makes them if they are not there. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn deployment(&self) -> Result<Box<dyn Deployment>, StoreError> {
        Ok(match &self.0 {
            Taken::Folder(folder) => Box::new(embedded::DeploymentFile::open(
                &folder.join("deployment.db"),
            )?),
            Taken::Database(database) => {
                Box::new(postgres::DeploymentTables::open(database.clone())?)
            }
        })
    }

    /// Opens what the tenants have, and starts the threads that write. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub(crate) fn tenants(&self) -> Result<Box<dyn Tenants>, StoreError> {
        Ok(match &self.0 {
            Taken::Folder(folder) => Box::new(embedded::TenantFiles::open(folder)?),
            Taken::Database(database) => Box::new(postgres::TenantTables::open(database.clone())?),
        })
    }
}

/// Times are kept as milliseconds since 1970.
fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Counts are kept in signed integers of 64 bits; what does not fit is clamped, and no count of ours comes near.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
