//! A key file as the key provider.

use super::{KeyError, KeyProvider, Secret32, Wrapped, create_private, local, read_private};
use std::path::{Path, PathBuf};

/// Wraps root keys under the 32 bytes in a file of mode 0600.
///
/// The file is read for each wrap and unwrap rather than kept in memory: the key is there only while it is used, and
/// taking the file away (a removed volume, say) closes the house until it is back.
///
/// It has no key per name that it could destroy. Destruction is the keyring's: it overwrites the only wrapped copy.
#[derive(Debug)]
pub struct FileKeyProvider {
    path: PathBuf,
}

impl FileKeyProvider {
    /// The provider's [`id`](KeyProvider::id).
    pub const ID: &'static str = "file";

    /// Uses the key in `path`.
    ///
    /// # Errors
    ///
    /// As [`KeyProvider::check`]: the file is missing, is not 32 bytes, or others have rights on it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let provider = Self {
            path: path.to_owned(),
        };
        provider.check()?;
        Ok(provider)
    }

    /// Makes a fresh random key in `path`, where there is no file yet, and uses it.
    ///
    /// # Errors
    ///
    /// [`KeyError::FileExists`], [`KeyError::File`], [`KeyError::NoRandomness`].
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        create_private(path, Secret32::random()?.expose())?;
        Self::open(path)
    }

    fn key(&self) -> Result<Secret32, KeyError> {
        match read_private(&self.path, 32) {
            Ok(bytes) => {
                Secret32::from_slice(&bytes).ok_or(KeyError::Malformed { what: "key file" })
            }
            Err(KeyError::File { path, source }) => Err(KeyError::ProviderUnavailable {
                provider: Self::ID.to_owned(),
                reason: format!("{}: {source}", path.display()),
            }),
            Err(error) => Err(error),
        }
    }
}

impl KeyProvider for FileKeyProvider {
    fn id(&self) -> &str {
        Self::ID
    }

    fn wrap(&self, name: &str, aad: &[u8], key: &Secret32) -> Result<Wrapped, KeyError> {
        local::wrap(&self.key()?, name, aad, key)
    }

    fn unwrap(&self, name: &str, aad: &[u8], wrapped: &Wrapped) -> Result<Secret32, KeyError> {
        local::unwrap(&self.key()?, name, aad, wrapped)
    }

    fn destroy(&self, _name: &str) -> Result<(), KeyError> {
        Ok(())
    }

    fn check(&self) -> Result<(), KeyError> {
        self.key().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_keys_open_under_their_own_name_and_place_only() {
        let folder = tempfile::tempdir().unwrap();
        let provider = FileKeyProvider::create(&folder.path().join("one")).unwrap();
        let other = FileKeyProvider::create(&folder.path().join("two")).unwrap();
        let key = Secret32::random().unwrap();
        let wrapped = provider.wrap("ten_a", b"aad", &key).unwrap();
        assert_eq!(provider.unwrap("ten_a", b"aad", &wrapped).unwrap(), key);
        for (who, name, aad) in [
            (&other, "ten_a", "aad"),
            (&provider, "ten_b", "aad"),
            (&provider, "ten_a", "aae"),
            (&provider, "ten_", "aaad"),
        ] {
            assert!(matches!(
                who.unwrap(name, aad.as_bytes(), &wrapped),
                Err(KeyError::DoesNotOpen)
            ));
        }
        for at in 0..wrapped.as_bytes().len() {
            let mut bytes = wrapped.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(
                provider
                    .unwrap("ten_a", b"aad", &Wrapped::new(bytes).unwrap())
                    .is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_key_file_that_goes_away_closes_the_house_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("key"), folder.path().join("away"));
        let provider = FileKeyProvider::create(&path).unwrap();
        let key = Secret32::random().unwrap();
        let wrapped = provider.wrap("n", b"", &key).unwrap();
        std::fs::rename(&path, &away).unwrap();
        assert!(matches!(
            provider.check(),
            Err(KeyError::ProviderUnavailable { .. })
        ));
        assert!(matches!(
            provider.unwrap("n", b"", &wrapped),
            Err(KeyError::ProviderUnavailable { .. })
        ));
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(provider.unwrap("n", b"", &wrapped).unwrap(), key);
    }

    #[test]
    fn only_exactly_thirty_two_bytes_are_a_key() {
        let folder = tempfile::tempdir().unwrap();
        for (name, length, fits) in [
            ("a", 31, false),
            ("b", 33, false),
            ("c", 0, false),
            ("d", 32, true),
        ] {
            let path = folder.path().join(name);
            create_private(&path, &vec![1; length]).unwrap();
            assert_eq!(FileKeyProvider::open(&path).is_ok(), fits, "{length}");
        }
    }
}
