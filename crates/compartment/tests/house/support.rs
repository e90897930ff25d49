//! A deployment in a temporary folder, with a key provider that can be taken away.

use crate::server::{Database, PASSWORD, server};
use compartment::PostgresAddress;
use compartment::{
    Administration, Ask, Compartment, Ended, Engine, House, HouseConfig, Models, Operator, Outcome,
    Permit, Principal, Refused, Route, TenantId,
    administration::{MintKey, MintedKey},
    credential::{FetchError, FetchJwks},
    keys::{FileKeyProvider, KeyError, KeyProvider, Secret32, Wrapped},
};
use jiff::Timestamp;
use policy::{Bounds, LimitSet, Limits, Nanos, Price, Pricing, Right, Rights, Task, TokenUse};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempDir;
use wire::openai::AskFacts;

/// 2026-11-24T12:00:00Z and so many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_521_600 + seconds).unwrap()
}

pub fn now() -> Timestamp {
    at(0)
}

/// A provider that can be gone.
pub struct Switched {
    inner: FileKeyProvider,
    pub down: AtomicBool,
}

impl Switched {
    fn check_up(&self) -> Result<(), KeyError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(KeyError::ProviderUnavailable {
                provider: "test".into(),
                reason: "switched off".into(),
            });
        }
        Ok(())
    }
}

impl KeyProvider for Switched {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn wrap(&self, name: &str, aad: &[u8], key: &Secret32) -> Result<Wrapped, KeyError> {
        self.check_up()?;
        self.inner.wrap(name, aad, key)
    }

    fn unwrap(&self, name: &str, aad: &[u8], wrapped: &Wrapped) -> Result<Secret32, KeyError> {
        self.check_up()?;
        self.inner.unwrap(name, aad, wrapped)
    }

    fn destroy(&self, name: &str) -> Result<(), KeyError> {
        self.check_up()?;
        self.inner.destroy(name)
    }

    fn check(&self) -> Result<(), KeyError> {
        self.check_up()
    }
}

/// Everything of a deployment: dropped, the folder goes too.
pub struct Site {
    pub house: Arc<House>,
    pub operator: Operator,
    pub operator_key: String,
    pub keys: Arc<Switched>,
    pub folder: TempDir,
    pub config: HouseConfig,
}

pub fn config(folder: &Path, keys: Arc<Switched>, fetch_jwks: FetchJwks) -> HouseConfig {
    HouseConfig {
        store: Engine::Embedded,
        data_dir: folder.join("data"),
        keyring_dir: folder.join("keyring"),
        provider: keys,
        fetch_jwks,
        open_compartments: 8,
    }
}

pub fn no_issuer() -> FetchJwks {
    Arc::new(|_| Box::pin(async { Err(FetchError::Unreachable) }))
}

/// The provider of a deployment in `folder`; its key is beside the folders.
pub fn provider(folder: &Path) -> Arc<Switched> {
    let path = folder.join("master.key");
    let inner = if path.exists() {
        FileKeyProvider::open(&path)
    } else {
        FileKeyProvider::create(&path)
    };
    Arc::new(Switched {
        inner: inner.unwrap(),
        down: AtomicBool::new(false),
    })
}

/// A database as a store.
pub fn engine(database: &Database) -> Engine {
    Engine::Postgres(PostgresAddress::parse(&database.address, Some(PASSWORD)).unwrap())
}

/// Where `COFFERDAM_TEST_STORE` is `postgres`, all tests of the house are run on that.
fn engine_of_this_run() -> Engine {
    if std::env::var("COFFERDAM_TEST_STORE").is_ok_and(|store| store == "postgres") {
        let made = || server().map(|server| engine(&server.database()));
        // the client of the database waits, which a thread of a runtime must not do
        let made = std::thread::scope(|scope| scope.spawn(made).join().unwrap());
        made.expect("a Postgres server for the tests")
    } else {
        Engine::Embedded
    }
}

impl Site {
    pub fn new() -> Self {
        Self::fetching(no_issuer())
    }

    pub fn fetching(fetch_jwks: FetchJwks) -> Self {
        Self::on(engine_of_this_run(), fetch_jwks)
    }

    /// A deployment in files, for what is about files.
    pub fn in_files() -> Self {
        Self::on(Engine::Embedded, no_issuer())
    }

    /// A deployment that another engine keeps.
    pub fn on(store: Engine, fetch_jwks: FetchJwks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = provider(folder.path());
        let config = HouseConfig {
            store,
            ..config(folder.path(), Arc::clone(&keys), fetch_jwks)
        };
        let operator_key = House::init(&config, now())
            .unwrap()
            .unwrap()
            .expose()
            .to_owned();
        // a server that another test starts has every lock of this process until its own program runs
        let house = loop {
            match House::open(config.clone()) {
                Err(compartment::HouseError::InUse) => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        let operator = house.operator(&operator_key).unwrap();
        Self {
            house,
            operator,
            operator_key,
            keys,
            folder,
            config,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends everything properly and opens the same folders again.
    pub async fn reopened(self) -> Self {
        let Self {
            house,
            operator,
            operator_key,
            keys,
            folder,
            config,
        } = self;
        house.settled().await;
        drop(operator);
        drop(house);
        let house = open_again(&config).await;
        let operator = house.operator(&operator_key).unwrap();
        Self {
            house,
            operator,
            operator_key,
            keys,
            folder,
            config,
        }
    }

    /// A tenant with a key that may do everything.
    pub async fn tenant(&self, name: &str) -> Tenant {
        let (facts, _) = self.operator.create_tenant(name, now()).await.unwrap();
        let admin = self.operator.tenant(&facts.id, now()).await.unwrap();
        let all: Rights = Right::ALL.into_iter().collect();
        let key = mint(&admin, "all", all).await;
        Tenant {
            id: facts.id,
            admin,
            token: key.secret.expose().to_owned(),
            key,
        }
    }

    pub async fn admit(&self, token: &str) -> Result<(Compartment, Principal), Refused> {
        self.house.gatehouse().admit(token, now()).await
    }
}

/// The lock is free once the last task of the old house is over.
pub async fn open_again(config: &HouseConfig) -> Arc<House> {
    loop {
        match House::open(config.clone()) {
            Ok(house) => return house,
            Err(compartment::HouseError::InUse) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

pub struct Tenant {
    pub id: TenantId,
    pub admin: Administration,
    pub token: String,
    pub key: MintedKey,
}

pub fn wish(name: &str, scopes: Rights) -> MintKey {
    MintKey {
        name: name.to_owned(),
        scopes,
        models: Models::All,
        limits: Limits::NONE,
        expires: None,
    }
}

pub async fn mint(admin: &Administration, name: &str, scopes: Rights) -> MintedKey {
    admin.keys().mint(wish(name, scopes), now()).await.unwrap()
}

pub fn rights(list: &[Right]) -> Rights {
    list.iter().copied().collect()
}

pub fn money(text: &str) -> Nanos {
    text.parse().unwrap()
}

/// A token costs a thousandth, in or out.
pub fn priced() -> Bounds {
    Bounds {
        task: Task::Text,
        pricing: Pricing::Priced(Price::new(money("1000"), money("1000"))),
        max_output: 100,
    }
}

pub fn facts(input: u64, output: Option<u32>) -> AskFacts<'static> {
    AskFacts {
        model: "small",
        stream: false,
        choices: 1,
        input_token_bound: input,
        max_output: output,
        caller_identity: None,
    }
}

pub fn ask(input: u64, output: u32) -> Ask<'static> {
    Ask {
        route: Route::ChatCompletions,
        facts: facts(input, Some(output)),
        offered: Some(priced()),
        upstream: "up",
        caller_cache_key: None,
        request_bytes: b"{}",
    }
}

pub fn completed(input: u64, output: u64) -> Outcome {
    outcome(Ended::Completed, Some((input, output)))
}

pub fn outcome(ended: Ended, usage: Option<(u64, u64)>) -> Outcome {
    let usage = usage.map(|(input, output)| TokenUse {
        input,
        cached_input: 0,
        cache_written: 0,
        output,
    });
    Outcome {
        ended,
        status: 200,
        usage,
    }
}

/// Fit to be sent: what a test that sends nothing needs so that a call counts as sent.
pub fn sent(permit: &mut Permit) {
    permit.clean("text".to_owned()).unwrap();
}

pub fn tenant_limits(limits: Limits) -> LimitSet {
    LimitSet {
        tenant: limits,
        ..LimitSet::default()
    }
}

/// Exports a journal and verifies it as an outsider would.
pub async fn verified(admin: &Administration) -> evidence::export::Report {
    let mut export = admin.journal().export(at(100_000)).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    let trust = evidence::export::Trust {
        vkey: Some(admin.journal().verifier_key()),
        ..Default::default()
    };
    evidence::export::verify(&bytes[..], &trust).unwrap()
}
