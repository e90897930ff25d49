//! One deployment: its folders, its keys, its door, and the tenants that are open.

mod counters;
mod directory;
mod folder;
mod registry;
mod rounds;
mod tenants;
mod transfer;

pub(crate) use counters::Counters;
pub use counters::HouseStats;
pub(crate) use directory::Directory;
pub use transfer::Copied;

use crate::{
    administration::Operator,
    credential::{
        ApiKeyKind, Claims, FetchJwks, Presented, PresentedKey, SecretToken, keyed_hash, mint,
    },
    error::{AdmitError, HouseError, Refused},
    gatehouse::Gatehouse,
    id::{ApiKeyId, IssuerId, TenantId},
    journal::{self, JournalKeys},
    keys::{KeyProvider, Keyring, Secret32},
    keyset::{DeploymentKeys, TenantKeys},
    store::{Deployment, Engine, Ground, TenantState, Tenants},
    tenant::{Surroundings, Tenant},
};
use folder::Folder;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use registry::Registry;
use std::{collections::HashMap, fmt, path::PathBuf, sync::Arc};

/// Where a deployment is and what it needs from outside.
#[derive(Clone)]
pub struct HouseConfig {
    /// Which back end keeps what is stored.
    pub store: Engine,
    /// The folder of the data: `deployment.db` and `tenants/`. With Postgres it holds nothing but what says that the
    /// keyring is in use.
    pub data_dir: PathBuf,
    /// The folder of the wrapped keys; not inside `data_dir`, so that a copy of one is not a copy of both.
    pub keyring_dir: PathBuf,
    /// Who wraps root keys.
    pub provider: Arc<dyn KeyProvider>,
    /// Fetches the keys of token issuers.
    pub fetch_jwks: FetchJwks,
    /// The most tenants open at once, about 0.2 MiB and 3 descriptors each. At least 1.
    pub open_compartments: usize,
}

impl fmt::Debug for HouseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HouseConfig")
            .field("store", &self.store)
            .field("data_dir", &self.data_dir)
            .field("keyring_dir", &self.keyring_dir)
            .field("provider", &self.provider.id())
            .finish_non_exhaustive()
    }
}

/// What the house needs, and whether it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The deployment's store can be read and written.
    pub store: bool,
    /// The key provider answers. Tenants that are open go on without it.
    pub keys: bool,
}

/// A deployment, open. One process has it at a time.
pub struct House {
    fetch_jwks: FetchJwks,
    keyring: Arc<Keyring>,
    pub(crate) directory: Arc<Directory>,
    registry: Arc<Registry<Tenant>>,
    operators: RwLock<HashMap<ApiKeyId, [u8; 32]>>,
    pub(crate) decoy: Decoy,
    heads: Mutex<rounds::Heads>,
    pub(crate) counters: Arc<Counters>,
    /// Tenants are created and suspended one after another.
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    /// Last, so that what the others still queue is written.
    tenants: Box<dyn Tenants>,
    /// Held for as long as anything is written.
    _folder: Folder,
}

/// What a house is opened from.
struct Parts {
    folder: Folder,
    keyring: Keyring,
    ground: Ground,
    db: Box<dyn Deployment>,
    keys: DeploymentKeys,
}

/// Whether keys and data are of one deployment.
fn fit(keys: &DeploymentKeys, db: &dyn Deployment) -> Result<(), HouseError> {
    match db.tenants(None, 1)?.first() {
        Some(tenant) if keys.open_name(&tenant.id, &tenant.sealed_name).is_err() => {
            Err(HouseError::KeysDoNotFit)
        }
        _ => Ok(()),
    }
}

/// Runs what waits for a database on a thread of its own: a thread of a runtime must not wait.
fn aside<T: Send>(work: impl FnOnce() -> Result<T, HouseError> + Send) -> Result<T, HouseError> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

impl House {
    /// Makes the folders, the deployment's keys and the first operator key, where they are missing. The key is returned
    /// the one time that it is made; every later call changes nothing and returns `None`.
    ///
    /// # Errors
    ///
    /// [`HouseError`]. After one, it may be repeated.
    pub fn init(config: &HouseConfig, now: Timestamp) -> Result<Option<SecretToken>, HouseError> {
        aside(|| {
            let parts = Self::parts(config, true)?;
            if parts.db.operator_keys()?.is_empty() {
                Self::add_operator(&*parts.db, &parts.keys, now).map(Some)
            } else {
                Ok(None)
            }
        })
    }

    /// Adds an operator key, for a deployment whose last one is lost. Whoever can call this has the folders and the key
    /// provider, and so everything already.
    ///
    /// # Errors
    ///
    /// [`HouseError`]; [`HouseError::InUse`] while the house is open.
    pub fn add_operator_key(
        config: &HouseConfig,
        now: Timestamp,
    ) -> Result<SecretToken, HouseError> {
        aside(|| {
            let parts = Self::parts(config, false)?;
            Self::add_operator(&*parts.db, &parts.keys, now)
        })
    }

    /// Opens a deployment that [`House::init`] made. Tenants are opened when they are needed.
    ///
    /// # Errors
    ///
    /// [`HouseError`]; [`HouseError::InUse`] where another process has it open.
    pub fn open(config: HouseConfig) -> Result<Arc<Self>, HouseError> {
        aside(|| Self::open_here(config))
    }

    fn open_here(config: HouseConfig) -> Result<Arc<Self>, HouseError> {
        let Parts {
            folder,
            keyring,
            ground,
            db,
            keys,
        } = Self::parts(&config, false)?;
        let operators = db.operator_keys()?.into_iter().collect();
        let signer = JournalKeys::deployment(&keyring.deployment_root()?)?;
        db.check_log(&|log| journal::check(log, signer.vkey()))?;
        let tenants = ground.tenants()?;
        Ok(Arc::new(Self {
            fetch_jwks: config.fetch_jwks,
            keyring: Arc::new(keyring),
            directory: Arc::new(Directory::new(db, keys, signer)),
            registry: Arc::new(Registry::new(config.open_compartments, Tenant::finish)),
            operators: RwLock::new(operators),
            decoy: Decoy::new()?,
            heads: Mutex::default(),
            counters: Arc::default(),
            changing: Arc::default(),
            tenants,
            _folder: folder,
        }))
    }

    fn parts(config: &HouseConfig, make: bool) -> Result<Parts, HouseError> {
        let folder = Folder::lock(&config.data_dir, &config.keyring_dir, make)?;
        if !make && matches!(config.store, Engine::Embedded) && !folder.has_deployment() {
            return Err(HouseError::NotInitialised);
        }
        let keyring = Keyring::open(&config.keyring_dir, Arc::clone(&config.provider))?;
        let ground = Ground::take(&config.store, folder.path())?;
        let db = ground.deployment()?;
        // the last thing that is made, by `init` as by a copy
        if !make && db.operator_keys()?.is_empty() {
            return Err(HouseError::NotInitialised);
        }
        let keys = DeploymentKeys::derive(&keyring.deployment_root()?);
        fit(&keys, &*db)?;
        Ok(Parts {
            folder,
            keyring,
            ground,
            db,
            keys,
        })
    }

    fn add_operator(
        db: &dyn Deployment,
        keys: &DeploymentKeys,
        now: Timestamp,
    ) -> Result<SecretToken, HouseError> {
        let (id, secret) =
            mint(ApiKeyKind::Operator).map_err(|error| HouseError::Keys(error.into()))?;
        db.add_operator_key(
            &id,
            &keyed_hash(&keys.credential_hash, secret.expose()),
            now,
        )?;
        Ok(secret)
    }

    /// The door for tenants.
    #[must_use]
    pub fn gatehouse(self: &Arc<Self>) -> Gatehouse {
        Gatehouse::new(Arc::clone(self))
    }

    /// The door for the operator.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthorized`] for everything but an operator key of this deployment.
    pub fn operator(self: &Arc<Self>, authorization: &str) -> Result<Operator, AdmitError> {
        let Ok(Presented::Key(key)) = Presented::parse(authorization) else {
            return Err(Refused::Unauthorized);
        };
        let stored = self.operators.read().get(&key.id()).copied();
        let proven = key.matches(
            &self.directory.keys.credential_hash,
            stored.as_ref().unwrap_or(self.decoy.hash()),
        );
        if proven && stored.is_some() && key.kind() == ApiKeyKind::Operator {
            Ok(Operator::new(Arc::clone(self)))
        } else {
            self.counters.refused(&Refused::Unauthorized);
            Err(Refused::Unauthorized)
        }
    }

    /// How the house does.
    #[must_use]
    pub fn stats(&self) -> HouseStats {
        let open = self.registry.ids();
        let waiting = |id| self.registry.peek(id).map_or(0, |tenant| tenant.waiting());
        HouseStats {
            open_compartments: open.len(),
            settlements_waiting: self.tenants.unwritten(),
            writes_waiting: open.iter().map(waiting).sum(),
            ..self.counters.stats()
        }
    }

    /// Whether the deployment's store and the key provider could be used just now.
    pub async fn health(self: &Arc<Self>) -> Health {
        let this = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || Health {
            store: this.directory.db.check().is_ok() && this.tenants.has_room(),
            keys: this.keyring.check().is_ok(),
        });
        looked.await.unwrap_or(Health {
            store: false,
            keys: false,
        })
    }

    /// Brings what the calls of every open tenant noted into its file. For the end of a process: the next one then finds
    /// nothing to catch up on.
    pub async fn settled(&self) {
        if let Err(error) = self.tenants.flush() {
            tracing::warn!(%error, "settlements wait for the disk");
        }
        for id in self.registry.ids() {
            if let Some(tenant) = self.registry.peek(&id)
                && let Err(why) = tenant.bring_in().await
            {
                tracing::warn!(
                    code = why.code(),
                    "the commit log keeps calls for the next start"
                );
            }
        }
    }

    pub(crate) async fn tenant_of_key(
        self: &Arc<Self>,
        key: ApiKeyId,
        now: Timestamp,
    ) -> Result<Option<Arc<Tenant>>, Refused> {
        match self.directory.tenant_of_key(key).await? {
            Some(id) => self.tenant(id, now).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn tenant_of_token(
        self: &Arc<Self>,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Option<(Arc<Tenant>, IssuerId)>, Refused> {
        match self.directory.tenant_of_token(claims).await? {
            Some((id, issuer)) => {
                let tenant = self.tenant(id, now).await?;
                if tenant.issuers.get(&issuer).is_none() {
                    self.directory.forget_claims();
                }
                Ok(Some((tenant, issuer)))
            }
            None => Ok(None),
        }
    }

    /// The tenant, opened if it was not.
    pub(crate) async fn tenant(
        self: &Arc<Self>,
        id: TenantId,
        now: Timestamp,
    ) -> Result<Arc<Tenant>, Refused> {
        let this = Arc::clone(self);
        let tenant = self
            .registry
            .get(id, move || this.open_tenant(id, now))
            .await?;
        if !tenant.is_poisoned() {
            return Ok(tenant);
        }
        // Opened anew as soon as nobody holds it any more.
        drop(tenant);
        let registry = Arc::clone(&self.registry);
        tokio::task::spawn_blocking(move || registry.close_idle(&id))
            .await
            .map_err(|_| Refused::Internal)?;
        Err(Refused::StoreUnavailable)
    }

    /// Blocks on the key provider and the disk.
    fn open_tenant(&self, id: TenantId, now: Timestamp) -> Result<Tenant, Refused> {
        let row = self
            .directory
            .db
            .tenant(&id)?
            .ok_or(Refused::NotFound { what: "tenant" })?;
        let root = self.keyring.open_root(&id)?;
        let signer = JournalKeys::derive(&root, &id)?;
        let logged = self.directory.db.logged_size(&id)?;
        let db = self.tenants.open(
            id,
            &|log| journal::check(log, signer.vkey()),
            Box::new(move |transaction| journal::resume(transaction, logged, now)),
        )?;
        let around = Surroundings {
            directory: Arc::clone(&self.directory),
            counters: Arc::clone(&self.counters),
            fetch_jwks: Arc::clone(&self.fetch_jwks),
        };
        let keys = TenantKeys::derive(&root, &id);
        Tenant::load(
            id,
            db,
            keys,
            signer,
            around,
            row.state == TenantState::Suspended,
        )
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").finish_non_exhaustive()
    }
}

/// Stands in for a key that there is not, so that looking for one takes the same work.
pub(crate) struct Decoy {
    key: Secret32,
    hash: [u8; 32],
}

impl Decoy {
    fn new() -> Result<Self, HouseError> {
        let random = || Secret32::random().map_err(|error| HouseError::Keys(error.into()));
        Ok(Self {
            key: random()?,
            hash: *random()?.expose(),
        })
    }

    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub(crate) fn compare(&self, key: &PresentedKey<'_>) {
        std::hint::black_box(key.matches(&self.key, &self.hash));
    }
}
