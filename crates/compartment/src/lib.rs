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
pub use house::{Health, House, HouseConfig, HouseStats};
pub use id::{ApiKeyId, CallId, IssuerId, TenantId};
pub use permit::{Ask, Ended, Outcome, Permit, Route, Settled};
pub use principal::{CredentialKind, MAX_MODEL_BYTES, MAX_MODELS, Models, Principal};
pub use vault::{
    MAX_UPSTREAM_CREDENTIAL_BYTES, MAX_UPSTREAM_CREDENTIALS, UpstreamCredential, Vault,
};
