//! The embedded store: one SQLite file for each tenant, and one for the deployment; before the tenants' files a commit log
//! for what their calls note.

mod book;
pub(super) mod connection;
mod deployment;
mod desk;
mod fault;
mod file;
mod log;
mod noted;
mod pen;
mod schema;
mod scribes;
mod tables;
mod values;

pub(super) use deployment::DeploymentFile;
#[cfg(test)]
pub(super) use file::TenantFile;
#[cfg(test)]
pub(super) use log::CommitLog;
pub(super) use noted::InLog;
#[cfg(test)]
pub(super) use scribes::Scribes;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use super::tenant::{Check, First, TenantDb, Tenants};
use crate::id::TenantId;

/// Threads that write. More than disks serve at once gain nothing; fewer let one slow sync hold up the others.
const SCRIBES: usize = 4;

/// Bytes that must be free for the deployment to be called ready.
const ROOM: usize = 64 * 1024;

/// More threads than processors write no faster and group less.
fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(SCRIBES)
}

/// The tenants of a data folder:
///
/// ```text
/// deployment.db         tenants by id, the directory, the deployment log
/// log/                  what calls noted lately; see `CommitLog`
/// tenants/<id>/store.db everything of one tenant, but for the last notes of its calls while it is open
/// ```
pub(super) struct TenantFiles {
    folder: PathBuf,
    scribes: scribes::Scribes,
}

impl TenantFiles {
    /// Reads what an earlier process left in the commit log, and starts the threads that write.
    ///
    /// # Errors
    ///
    /// Faults of the disk.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let log = log::CommitLog::open(&folder.join("log"))?;
        Ok(Self {
            folder: folder.to_owned(),
            scribes: scribes::Scribes::start(threads(), log)?,
        })
    }

    fn of(&self, tenant: TenantId) -> PathBuf {
        self.folder.join("tenants").join(tenant.to_string())
    }
}

impl Tenants for TenantFiles {
    fn create(&self, tenant: TenantId, first: First) -> Result<TenantDb, StoreError> {
        let file = file::TenantFile::create(&self.of(tenant), tenant, &self.scribes, first)?;
        Ok(TenantDb::new(Arc::new(file)))
    }

    fn open(
        &self,
        tenant: TenantId,
        check: Check<'_>,
        first: First,
    ) -> Result<TenantDb, StoreError> {
        let file = file::TenantFile::open(&self.of(tenant), tenant, &self.scribes, check, first)?;
        Ok(TenantDb::new(Arc::new(file)))
    }

    fn discard(&self, tenant: TenantId) -> Result<(), StoreError> {
        match fs::remove_dir_all(self.of(tenant)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What a database file has already it can still use on a full disk, so only a new file shows it.
    fn has_room(&self) -> bool {
        let probe = self.folder.join("room");
        let made = fs::write(&probe, [0; ROOM]);
        let removed = fs::remove_file(&probe);
        made.and(removed).is_ok()
    }

    fn unwritten(&self) -> usize {
        self.scribes.log().unwritten()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.scribes.log().flush()
    }

    fn left(&self, most: usize, turn: usize) -> Vec<TenantId> {
        self.scribes.log().tenants_left(most, turn)
    }

    fn turn(&self, last: bool) -> Result<bool, StoreError> {
        self.scribes.log().turn(last)
    }

    fn turned(&self) -> Result<(), StoreError> {
        self.scribes.log().turned()
    }
}
