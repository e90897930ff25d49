//! Why a key was not made, opened or destroyed.

use crate::{id::NoRandomness, seal::SealError};
use std::path::PathBuf;

/// What went wrong with a key. For whoever runs the deployment: messages name files and providers, never a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The provider cannot be asked. Nothing remembers that: the next call asks again.
    #[error(
        "the key provider {provider} cannot be used ({reason}); no key was opened; bring it back and try again"
    )]
    ProviderUnavailable {
        /// The provider's [`id`](super::KeyProvider::id).
        provider: String,
        /// What it ran into.
        reason: String,
    },
    /// The provider answers, but with a key that is not the one that wrapped this.
    #[error(
        "the key provider's key does not open this keyring; no key was opened; use the key file or passphrase that \
         the keyring was made with"
    )]
    DoesNotOpen,
    /// The passphrase is not the one that the header was made with.
    #[error(
        "the passphrase is wrong; no key was opened; use the one that the deployment was made with"
    )]
    WrongPassphrase,
    /// The passphrase cannot be used at all.
    #[error(
        "the passphrase has fewer than 12 or more than 1024 bytes; nothing was made; choose another"
    )]
    UnfitPassphrase,
    /// The keyring was made with another kind of provider.
    #[error(
        "the keyring was made with the key provider {made_with}, not {given}; no key was opened; configure \
         {made_with} or re-wrap the keyring"
    )]
    OtherProvider {
        /// The provider that wraps the keys in it.
        made_with: String,
        /// The one that was given.
        given: String,
    },
    /// Others than the owner have rights on the file.
    #[error("others have rights on {}; it was not used; take them away (chmod 600) and think of it as seen", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file is there already, and a key is never overwritten.
    #[error("{} exists; it was left as it is; remove it first or use it", path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("{} cannot be used ({source}); no key was opened; check that it exists and is this user's own", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What was read is not what should be there.
    #[error(
        "the {what} is damaged or of a later version; no key was opened; restore it from its backup"
    )]
    Malformed {
        /// What it should have been, in fixed words.
        what: &'static str,
    },
    /// There is no such key: never made, or destroyed.
    #[error(
        "there is no such key; nothing was opened; it was never made or it is destroyed for good"
    )]
    NoSuchKey,
    /// There is such a key already.
    #[error("there is such a key already; it was left as it is; open it instead")]
    KeyExists,
    /// Another process has the keyring open.
    #[error("the keyring is in use by another process; no key was opened; stop that process first")]
    InUse,
    /// The keyring's file failed.
    #[error("the keyring failed ({0}); no key was opened; check the disk and try again")]
    Keyring(#[source] rusqlite::Error),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The process could not be closed to debuggers and core dumps.
    #[error(
        "the process cannot be closed to debuggers and core dumps ({0}); keys would be exposed; run without a debugger"
    )]
    NotHardened(String),
}

impl From<rusqlite::Error> for KeyError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::InUse
            }
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Malformed { what: "keyring" }
            }
            _ => Self::Keyring(error),
        }
    }
}

impl From<SealError> for KeyError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NoRandomness(error) => Self::NoRandomness(error),
            SealError::DoesNotOpen | SealError::TooLong => Self::DoesNotOpen,
        }
    }
}
