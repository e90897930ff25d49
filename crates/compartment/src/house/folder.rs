//! The data folder: who may use it, and where things are in it.

use crate::{error::HouseError, id::TenantId};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Bytes that must be free for the deployment to be called ready.
const ROOM: usize = 64 * 1024;

/// ```text
/// data_dir/
///   lock                  held by the process that has the deployment open
///   deployment.db         tenants by id, the directory, the deployment log
///   log/                  what calls noted lately; see `store::CommitLog`
///   tenants/<id>/store.db everything of one tenant, but for the last notes of its calls while it is open
/// ```
pub(super) struct Folder {
    path: PathBuf,
    /// Held until the process ends or the house is dropped; the operating system frees it when the process dies.
    _lock: File,
}

impl Folder {
    /// Takes the folder for this process; makes it first where `make` says so.
    pub(super) fn lock(path: &Path, keyring: &Path, make: bool) -> Result<Self, HouseError> {
        let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        if make {
            private(&path.join("tenants"))?;
            private(keyring)?;
        }
        let path = absolute(path)?;
        if absolute(keyring)?.starts_with(&path) {
            return Err(HouseError::KeyringInsideData);
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HouseError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let folder = Self { path, _lock: lock };
        if !make && !folder.deployment().exists() {
            return Err(HouseError::NotInitialised);
        }
        Ok(folder)
    }

    /// Whether there is room for some writes. What a database file has already it can still use on a full disk, so only a
    /// new file shows it.
    pub(super) fn has_room(&self) -> bool {
        let probe = self.path.join("room");
        let made = fs::write(&probe, [0; ROOM]);
        let removed = fs::remove_file(&probe);
        made.and(removed).is_ok()
    }

    pub(super) fn deployment(&self) -> PathBuf {
        self.path.join("deployment.db")
    }

    pub(super) fn commit_log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn tenant(&self, id: &TenantId) -> PathBuf {
        self.path.join("tenants").join(id.to_string())
    }
}

fn absolute(path: &Path) -> Result<PathBuf, HouseError> {
    fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => HouseError::NotInitialised,
        _ => error.into(),
    })
}
