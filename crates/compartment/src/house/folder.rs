//! The data folder: who may use it, and where things are in it.

use crate::error::HouseError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A data folder. `lock` in it is held by the process that has the deployment open; the rest is the store's.
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
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the embedded store has been here.
    pub(super) fn has_deployment(&self) -> bool {
        self.path.join("deployment.db").exists()
    }
}

fn absolute(path: &Path) -> Result<PathBuf, HouseError> {
    fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => HouseError::NotInitialised,
        _ => error.into(),
    })
}
