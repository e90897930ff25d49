//! The keyring: every wrapped key, in a file of its own, apart from the data.

use super::{KeyError, KeyProvider, RootKey, Secret32, Wrapped};
use crate::{id::TenantId, seal::fields};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::{
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

const FILE: &str = "keyring.db";
const VERSION: i64 = 1;
const DOMAIN: &[u8] = b"cofferdam/keyring/1";
/// The name that the provider knows the deployment's own key by. No tenant's name can equal it: those start with `ten_`.
const DEPLOYMENT: &str = "deployment";

const SCHEMA: &str = "
    CREATE TABLE meta (provider TEXT NOT NULL) STRICT;
    CREATE TABLE roots (name TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT;
    CREATE TABLE subjects (
        tenant TEXT NOT NULL REFERENCES roots (name),
        subject BLOB NOT NULL,
        wrapped BLOB NOT NULL,
        PRIMARY KEY (tenant, subject)
    ) STRICT;";

/// What a destruction destroyed. All zero where there was nothing left to destroy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Root keys: one or none.
    pub roots: u64,
    /// Keys of end users.
    pub subjects: u64,
}

/// Wrapped root keys and wrapped subject keys, in one SQLite file of mode 0600.
///
/// The file is apart from the data and has its own, short-lived backups, so that a key that is destroyed here is soon
/// gone everywhere while old backups of the data stay unreadable. One process has it open at a time.
///
/// Every method blocks on the disk, and on the provider where it says so. Nothing is cached: a provider that fails is
/// asked again with the next call.
pub struct Keyring {
    pub(super) connection: Mutex<Connection>,
    provider: Arc<dyn KeyProvider>,
}

impl Keyring {
    /// Opens the keyring in the folder `dir`, or makes folder (mode 0700), file and the deployment's root key where
    /// there is none yet. Proves that `provider` opens what is in it.
    ///
    /// # Errors
    ///
    /// [`KeyError::OtherProvider`] or [`KeyError::DoesNotOpen`] for a provider that does not fit;
    /// [`KeyError::ProviderUnavailable`]; [`KeyError::InUse`]; [`KeyError::Exposed`] where others have rights on the
    /// file; [`KeyError::Malformed`] for a file that is no keyring.
    pub fn open(dir: &Path, provider: Arc<dyn KeyProvider>) -> Result<Self, KeyError> {
        let path = dir.join(FILE);
        prepare(dir, &path)?;
        let connection = Connection::open(&path)?;
        configure(&connection)?;
        let keyring = Self {
            connection: Mutex::new(connection),
            provider,
        };
        keyring.migrate()?;
        // What a destruction that was cut off may have left in the write-ahead log.
        keyring.erase(|_| Ok(()))?;
        match keyring.deployment_root() {
            Err(KeyError::NoSuchKey) => keyring.create(None).map(drop)?,
            opened => drop(opened?),
        }
        Ok(keyring)
    }

    /// The deployment's own root key. Asks the provider.
    ///
    /// # Errors
    ///
    /// [`KeyError::ProviderUnavailable`], [`KeyError::DoesNotOpen`], [`KeyError::Keyring`].
    pub(crate) fn deployment_root(&self) -> Result<RootKey, KeyError> {
        self.read(None)
    }

    /// Makes a tenant's root key. Asks the provider.
    ///
    /// # Errors
    ///
    /// [`KeyError::KeyExists`], [`KeyError::ProviderUnavailable`], [`KeyError::NoRandomness`], [`KeyError::Keyring`].
    pub(crate) fn create_root(&self, tenant: &TenantId) -> Result<RootKey, KeyError> {
        self.create(Some(tenant))
    }

    /// Opens a tenant's root key. Asks the provider.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoSuchKey`], [`KeyError::ProviderUnavailable`], [`KeyError::DoesNotOpen`], [`KeyError::Keyring`].
    pub(crate) fn open_root(&self, tenant: &TenantId) -> Result<RootKey, KeyError> {
        self.read(Some(tenant))
    }

    /// Destroys a tenant's root key for good, first at the provider, then here, and with it every key of its end users.
    /// It may be repeated until it succeeds.
    ///
    /// # Errors
    ///
    /// [`KeyError::ProviderUnavailable`]: nothing was destroyed here. [`KeyError::Keyring`].
    #[cfg_attr(
        not(test),
        allow(
            dead_code,
            reason = "erasing a tenant will call it; a keyring that cannot destroy is none"
        )
    )]
    pub(crate) fn destroy_root(&self, tenant: &TenantId) -> Result<Destroyed, KeyError> {
        let name = tenant.to_string();
        self.provider.destroy(&name)?;
        self.erase(|transaction| {
            transaction.execute(
                "UPDATE subjects SET wrapped = zeroblob(length(wrapped)) WHERE tenant = ?1",
                [&name],
            )?;
            transaction.execute(
                "UPDATE roots SET wrapped = zeroblob(length(wrapped)) WHERE name = ?1",
                [&name],
            )?;
            let subjects =
                transaction.execute("DELETE FROM subjects WHERE tenant = ?1", [&name])?;
            let roots = transaction.execute("DELETE FROM roots WHERE name = ?1", [&name])?;
            Ok(Destroyed {
                roots: roots as u64,
                subjects: subjects as u64,
            })
        })
    }

    /// Wraps every root key under another provider, all or none, and goes on with that one. Asks both providers. The old
    /// provider's keys still open old backups of the keyring.
    ///
    /// # Errors
    ///
    /// As opening and making root keys. After an error the keyring is as it was.
    pub fn rewrap(mut self, provider: Arc<dyn KeyProvider>) -> Result<Self, KeyError> {
        let mut names = Vec::new();
        {
            let connection = self.connection.lock();
            let mut select = connection.prepare("SELECT name FROM roots")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                names.push(row.get::<_, String>(0)?);
            }
        }
        let mut wrapped = Vec::with_capacity(names.len());
        for name in names {
            let root = self.unwrap(&name)?;
            wrapped.push((provider.wrap(&name, &place(&name), &root)?, name));
        }
        self.erase(|transaction| {
            for (wrapped, name) in &wrapped {
                transaction.execute(
                    "UPDATE roots SET wrapped = ?1 WHERE name = ?2",
                    params![wrapped.as_bytes(), name],
                )?;
            }
            transaction.execute("UPDATE meta SET provider = ?1", [provider.id()])?;
            Ok(())
        })?;
        self.provider = provider;
        Ok(self)
    }

    /// Whether the provider could be asked just now.
    ///
    /// # Errors
    ///
    /// What it would answer.
    pub fn check(&self) -> Result<(), KeyError> {
        self.provider.check()
    }

    fn create(&self, owner: Option<&TenantId>) -> Result<RootKey, KeyError> {
        let name = name(owner);
        let root = Secret32::random()?;
        let wrapped = self.provider.wrap(&name, &place(&name), &root)?;
        let inserted = self.connection.lock().execute(
            "INSERT INTO roots (name, wrapped) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![name, wrapped.as_bytes()],
        )?;
        if inserted == 0 {
            Err(KeyError::KeyExists)
        } else {
            Ok(RootKey::new(owner.copied(), root))
        }
    }

    fn read(&self, owner: Option<&TenantId>) -> Result<RootKey, KeyError> {
        self.unwrap(&name(owner))
            .map(|root| RootKey::new(owner.copied(), root))
    }

    fn unwrap(&self, name: &str) -> Result<Secret32, KeyError> {
        // The lock is free again before the provider is asked: it may be slow, and others' keys must not wait for it.
        let wrapped: Option<Vec<u8>> = self
            .connection
            .lock()
            .query_row("SELECT wrapped FROM roots WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()?;
        let wrapped = Wrapped::new(wrapped.ok_or(KeyError::NoSuchKey)?)?;
        self.provider.unwrap(name, &place(name), &wrapped)
    }

    /// Runs a transaction that overwrites keys, then empties the write-ahead log, which may still hold what they were.
    pub(super) fn erase<T>(
        &self,
        erase: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, KeyError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let erased = erase(&transaction)?;
        transaction.commit()?;
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            Ok(erased)
        } else {
            Err(KeyError::InUse)
        }
    }

    fn migrate(&self) -> Result<(), KeyError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.execute(
                    "INSERT INTO meta (provider) VALUES (?1)",
                    [self.provider.id()],
                )?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            _ => return Err(KeyError::Malformed { what: "keyring" }),
        }
        let made_with: String =
            transaction.query_row("SELECT provider FROM meta", [], |row| row.get(0))?;
        transaction.commit()?;
        if made_with == self.provider.id() {
            Ok(())
        } else {
            Err(KeyError::OtherProvider {
                made_with,
                given: self.provider.id().to_owned(),
            })
        }
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("provider", &self.provider.id())
            .finish_non_exhaustive()
    }
}

fn name(owner: Option<&TenantId>) -> String {
    owner.map_or_else(|| DEPLOYMENT.to_owned(), TenantId::to_string)
}

/// The associated data of a wrapped root key.
fn place(name: &str) -> Vec<u8> {
    fields(&[DOMAIN, b"root", name.as_bytes()])
}

/// Makes the folder and an empty file before SQLite would make one with rights of its own choosing.
fn prepare(dir: &Path, path: &Path) -> Result<(), KeyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::File { path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed(dir))?;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(failed(path))?;
    if file.metadata().map_err(failed(path))?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
        });
    }
    file.sync_all().map_err(failed(path))?;
    std::fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(dir))
}

fn configure(connection: &Connection) -> Result<(), KeyError> {
    connection.busy_timeout(Duration::from_secs(1))?;
    // Exclusive: no second process, and no shared-memory file beside this one.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(())
}
