//! Everything one tenant owns, and the only door to it.
//!
//! ```text
//! credential ──▶ Gatehouse::admit ──▶ Compartment + Principal ──▶ permit ──▶ Permit ──▶ clean ──▶ Clean ──▶ settle
//! ```
//!
//! A [`House`] is one deployment. Its [`Gatehouse`] turns a credential into a [`Compartment`], the open handle on what one
//! tenant owns, and a [`Principal`], who is calling. Neither can be made in any other way, and nothing that is called on
//! them takes the id of a tenant: a neighbour cannot be named. [`Compartment::permit`] admits one call: decided, paid
//! for and recorded before anything leaves. [`Permit::clean`] makes the only thing that an upstream accepts.
//! [`Permit::settle`] ends the call; dropping the permit does so too.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = |name| folder.path().join(name);
//! # use compartment::{administration::MintKey, credential::FetchError, keys::FileKeyProvider, *};
//! # use policy::{Bounds, Limits, Price, Pricing, Right, Task, TokenUse};
//! # use std::sync::Arc;
//! # let now = "2026-11-24T12:00:00Z".parse()?;
//! let config = HouseConfig {
//!     store: Engine::Embedded,
//!     data_dir: path("data"),
//!     keyring_dir: path("keyring"),
//!     provider: Arc::new(FileKeyProvider::create(&path("master.key"))?),
//!     fetch_jwks: Arc::new(|_| Box::pin(async { Err(FetchError::Unreachable) })),
//!     open_compartments: 256,
//! };
//! let operator_key = House::init(&config, now)?.ok_or("made before")?;
//! let house = House::open(config)?;
//!
//! // The operator makes a tenant and its first key, and sees nothing of what is said with it.
//! let operator = house.operator(operator_key.expose())?;
//! let (tenant, _) = operator.create_tenant("Acme", now).await?;
//! let wish = MintKey {
//!     name: "app".into(),
//!     scopes: [Right::Infer].into_iter().collect(),
//!     models: Models::All,
//!     limits: Limits::NONE,
//!     expires: None,
//! };
//! let key = operator.tenant(&tenant.id, now).await?.keys().mint(wish, now).await?.secret;
//!
//! // A caller shows the key, and nothing else says who it is.
//! let (compartment, who) = house.gatehouse().admit(key.expose(), now).await?;
//! let ask = Ask {
//!     route: Route::ChatCompletions,
//!     facts: wire::openai::AskFacts {
//!         model: "small", stream: false, choices: 1, input_token_bound: 5, max_output: Some(10), caller_identity: None,
//!     },
//!     offered: Some(Bounds {
//!         task: Task::Text,
//!         pricing: Pricing::Priced(Price::new("1".parse()?, "2".parse()?)),
//!         max_output: 100,
//!     }),
//!     upstream: "up",
//!     caller_cache_key: None,
//!     request_bytes: b"hello",
//! };
//! let mut permit = compartment.permit(&who, ask, now).await?;
//! let clean = permit.clean("hello".to_owned())?;
//! assert_eq!(clean.max_output(), 10);
//! // … the upstream gets `clean`; before the first byte of its answer goes out:
//! permit.durable().await?;
//! let usage = TokenUse { input: 2, cached_input: 0, cache_written: 0, output: 3 };
//! let settled = permit.settle(Outcome { ended: Ended::Completed, status: 200, usage: Some(usage) });
//! assert_eq!(settled.cost, "0.000008".parse()?);
//! # house.settled().await;
//! # Ok(())
//! # }
//! ```
//!
//! Whoever runs the deployment gets an [`Operator`] and with it an [`Administration`] of a tenant, which reads no content;
//! never a `Compartment`.
//!
//! What is stored is ids, times, counts, blind indexes and sealed bytes. Blocking work (disk, key provider) is done on
//! threads that may block; everything public that waits is `async` and needs a tokio runtime, except dropping and
//! settling a [`Permit`], which work anywhere.

pub mod administration;
pub mod credential;
pub mod id;
pub mod keys;
mod seal;

mod calls;
mod clean;
mod compartment;
mod credentials;
mod error;
mod gatehouse;
mod house;
mod issuers;
mod journal;
mod keyset;
mod meter;
mod permit;
mod principal;
mod store;
mod tenant;
mod vault;

pub use administration::{Administration, JournalView, MintSession, MintedSession, Operator};
pub use calls::{CallEnd, CallFacts, Calls};
pub use clean::{Clean, Derived};
pub use compartment::Compartment;
pub use credential::SecretToken;
pub use error::{AdmitError, HouseError, Refused};
pub use gatehouse::Gatehouse;
pub use house::{Copied, Health, House, HouseConfig, HouseStats};
pub use id::{ApiKeyId, CallId, IssuerId, TenantId};
pub use permit::{Ask, Ended, Outcome, Permit, Route, Settled};
pub use principal::{CredentialKind, MAX_MODEL_BYTES, MAX_MODELS, Models, Principal};
pub use store::{Engine, PostgresAddress, StoreError};
pub use vault::{
    MAX_UPSTREAM_CREDENTIAL_BYTES, MAX_UPSTREAM_CREDENTIALS, UpstreamCredential, Vault,
};
