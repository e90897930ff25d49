//! A passphrase as the key provider.

use super::{
    KeyError, KeyProvider, Passphrase, Secret32, Wrapped, create_private, local, read_private,
};
use crate::seal::blind;
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use std::path::Path;
use subtle::ConstantTimeEq;

const MAX_HEADER_BYTES: usize = 4096;

/// What deriving the key from the passphrase costs, and what guessing costs an attacker per try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2Cost {
    /// Memory, in KiB: 19,456 (OWASP's least for argon2id) to 4,194,304.
    pub memory_kib: u32,
    /// Passes over the memory: 1 to 64.
    pub passes: u32,
    /// Lanes: 1 to 16.
    pub lanes: u32,
}

impl Default for Argon2Cost {
    /// RFC 9106 §4, second recommendation: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        Self {
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 4,
        }
    }
}

impl Argon2Cost {
    fn params(self) -> Option<Params> {
        let fits = (19_456..=4 << 20).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
            && (1..=16).contains(&self.lanes);
        fits.then(|| Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok())
            .flatten()
    }
}

/// What is beside the keyring, in a file of its own: how the key comes from the passphrase, and a value that tells a
/// wrong passphrase from a right one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    kdf: String,
    cost: Argon2Cost,
    #[serde(with = "hex::serde")]
    salt: [u8; 16],
    #[serde(with = "hex::serde")]
    check: [u8; 32],
}

const KDF: &str = "argon2id";
const FORMAT: u32 = 1;

/// Wraps root keys under a key made from a passphrase by argon2id (RFC 9106). The key is made once, on opening, and
/// stays in memory; the passphrase does not.
///
/// It has no key per name that it could destroy. Destruction is the keyring's: it overwrites the only wrapped copy.
#[derive(Debug)]
pub struct PassphraseProvider {
    kek: Secret32,
}

impl PassphraseProvider {
    /// The provider's [`id`](KeyProvider::id).
    pub const ID: &'static str = "passphrase";

    /// Makes a header for `passphrase` with a fresh salt in `header`, where there is no file yet.
    ///
    /// # Errors
    ///
    /// [`KeyError::FileExists`], [`KeyError::File`], [`KeyError::NoRandomness`]; [`KeyError::Malformed`] for a `cost`
    /// out of its bounds.
    pub fn create(
        header: &Path,
        passphrase: &Passphrase,
        cost: Argon2Cost,
    ) -> Result<Self, KeyError> {
        let salt = crate::id::random()?;
        let kek = stretch(passphrase, &salt, cost)?;
        let check = check_value(&kek, &salt, cost);
        let content = Header {
            format: FORMAT,
            kdf: KDF.to_owned(),
            cost,
            salt,
            check,
        };
        let content = serde_json::to_vec_pretty(&content).map_err(|_| MALFORMED)?;
        create_private(header, &content)?;
        Ok(Self { kek })
    }

    /// Opens the provider that [`PassphraseProvider::create`] made.
    ///
    /// # Errors
    ///
    /// [`KeyError::WrongPassphrase`]; [`KeyError::Malformed`] for a header that is none; as [`read_private`].
    pub fn open(header: &Path, passphrase: &Passphrase) -> Result<Self, KeyError> {
        let content = read_private(header, MAX_HEADER_BYTES)?;
        let header: Header = serde_json::from_slice(&content).map_err(|_| MALFORMED)?;
        if (header.format, header.kdf.as_str()) != (FORMAT, KDF) {
            return Err(MALFORMED);
        }
        let kek = stretch(passphrase, &header.salt, header.cost)?;
        // Cost and salt are in the check value, so a header that was changed does not pass for a right one.
        let check = check_value(&kek, &header.salt, header.cost);
        if bool::from(check.ct_eq(&header.check)) {
            Ok(Self { kek })
        } else {
            Err(KeyError::WrongPassphrase)
        }
    }
}

const MALFORMED: KeyError = KeyError::Malformed {
    what: "passphrase header",
};

fn stretch(
    passphrase: &Passphrase,
    salt: &[u8; 16],
    cost: Argon2Cost,
) -> Result<Secret32, KeyError> {
    let params = cost.params().ok_or(MALFORMED)?;
    let mut kek = Secret32::zeroed();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose(), salt, kek.as_mut())
        .map_err(|_| MALFORMED)?;
    Ok(kek)
}

fn check_value(kek: &Secret32, salt: &[u8; 16], cost: Argon2Cost) -> [u8; 32] {
    let numbers = [cost.memory_kib, cost.passes, cost.lanes].map(u32::to_be_bytes);
    blind(
        kek,
        "passphrase-check",
        &[KDF.as_bytes(), salt, numbers.as_flattened()],
    )
}

impl KeyProvider for PassphraseProvider {
    fn id(&self) -> &str {
        Self::ID
    }

    fn wrap(&self, name: &str, aad: &[u8], key: &Secret32) -> Result<Wrapped, KeyError> {
        local::wrap(&self.kek, name, aad, key)
    }

    fn unwrap(&self, name: &str, aad: &[u8], wrapped: &Wrapped) -> Result<Secret32, KeyError> {
        local::unwrap(&self.kek, name, aad, wrapped)
    }

    fn destroy(&self, _name: &str) -> Result<(), KeyError> {
        Ok(())
    }

    fn check(&self) -> Result<(), KeyError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that is taken, so that tests are quick.
    const CHEAP: Argon2Cost = Argon2Cost {
        memory_kib: 19_456,
        passes: 1,
        lanes: 1,
    };

    fn phrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_wrong_passphrase_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("header");
        let right = phrase("correct horse battery");
        let made = PassphraseProvider::create(&path, &right, CHEAP).unwrap();
        let key = Secret32::random().unwrap();
        let wrapped = made.wrap("n", b"a", &key).unwrap();
        let opened = PassphraseProvider::open(&path, &right).unwrap();
        assert_eq!(opened.unwrap("n", b"a", &wrapped).unwrap(), key);
        for wrong in [
            "correct horse batterz",
            "Correct horse battery",
            "correct horse battery ",
        ] {
            assert!(matches!(
                PassphraseProvider::open(&path, &phrase(wrong)),
                Err(KeyError::WrongPassphrase)
            ));
        }
        assert!(matches!(
            PassphraseProvider::create(&path, &right, CHEAP),
            Err(KeyError::FileExists { .. })
        ));
        assert!(
            !String::from_utf8(std::fs::read(&path).unwrap())
                .unwrap()
                .contains("horse")
        );
    }

    #[test]
    fn a_header_that_was_changed_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("header");
        let right = phrase("correct horse battery");
        PassphraseProvider::create(&path, &right, CHEAP).unwrap();
        let content = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        for (at, (from, to)) in [
            ("\"passes\": 1", "\"passes\": 2"),
            ("\"passes\": 1", "\"passes\": 0"),
            ("\"memory_kib\": 19456", "\"memory_kib\": 8"),
            ("\"memory_kib\": 19456", "\"memory_kib\": 4294967295"),
            ("\"format\": 1", "\"format\": 2"),
            ("argon2id", "argon2i"),
            ("\"kdf\"", "\"kdg\""),
            ("\"salt\": \"", "\"salt\": \"00"),
            ("{", ""),
        ]
        .into_iter()
        .enumerate()
        {
            assert!(content.contains(from), "{from}");
            let changed = folder.path().join(at.to_string());
            create_private(&changed, content.replacen(from, to, 1).as_bytes()).unwrap();
            assert!(
                PassphraseProvider::open(&changed, &right).is_err(),
                "{from} -> {to}"
            );
        }
        assert!(PassphraseProvider::open(&path, &right).is_ok());
    }
}
