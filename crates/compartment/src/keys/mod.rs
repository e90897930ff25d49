//! Keys: where they come from, how they are kept and what each is for.
//!
//! ```text
//! key provider ── wraps ──▶ root key (one per tenant, one for the deployment; random)
//!                             ├─ HKDF, one label per purpose ──▶ the keys that seal, blind and sign
//!                             └─ subject-wrap ── wraps ──▶ subject keys (one per end user; random)
//! ```
//!
//! Wrapped keys are in the [`Keyring`], apart from the data. Destroying one there makes unreadable all that it seals.
//!
//! Secrets are zeroized on drop, never serialised and never in `Debug`. They are not locked in memory: `mlock` needs a
//! raised limit and covers neither registers nor the stack, so whoever runs this turns swap off or encrypts it.
//! [`harden_process`] keeps them out of core dumps and other processes' reach.

mod error;
mod file_provider;
mod harden;
mod keyring;
mod local;
mod passphrase;
mod passphrase_provider;
mod private_file;
mod provider;
mod purpose;
mod root;
mod secret;
mod subjects;

#[cfg(test)]
mod keyring_tests;

pub use error::KeyError;
pub use file_provider::FileKeyProvider;
pub use harden::harden_process;
pub use keyring::{Destroyed, Keyring};
pub use passphrase::{MAX_PASSPHRASE_BYTES, MIN_PASSPHRASE_BYTES, Passphrase};
pub use passphrase_provider::{Argon2Cost, PassphraseProvider};
pub use private_file::{create_private, read_private};
pub use provider::{KeyProvider, MAX_WRAPPED_BYTES, Wrapped};
pub use purpose::Purpose;
pub use root::RootKey;
pub use secret::Secret32;
