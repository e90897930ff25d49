//! Files that only their owner may read.

use super::KeyError;
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};
use zeroize::Zeroizing;

/// Makes a file that only its owner may read (mode 0600), whole or not at all: it is written beside its place, brought
/// to the disk, linked into place and the folder brought to the disk too. What is there is never overwritten.
///
/// # Errors
///
/// [`KeyError::FileExists`], [`KeyError::File`].
pub fn create_private(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let failed = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let tag = hex::encode(crate::id::random::<8>()?);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{tag}.new"));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::hard_link(&beside, path)
    };
    let written = write();
    let removed = std::fs::remove_file(&beside);
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(KeyError::FileExists {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(failed(error)),
    }
    removed
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(failed)
}

/// Reads a file of at most `max` bytes that only its owner may read. The content is zeroized when dropped.
///
/// # Errors
///
/// [`KeyError::Exposed`] where the group or others have any right on it; [`KeyError::Malformed`] above `max`;
/// [`KeyError::File`].
pub fn read_private(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
        });
    }
    // Room for everything at once: a vector that grows leaves copies of its content behind.
    let mut content = Zeroizing::new(Vec::with_capacity(max.saturating_add(1)));
    file.take(max as u64 + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() > max {
        return Err(KeyError::Malformed { what: "key file" });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_its_owners_alone_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_private(&path, b"secret").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(
            create_private(&path, b"other"),
            Err(KeyError::FileExists { .. })
        ));
        assert_eq!(**read_private(&path, 6).unwrap(), *b"secret");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        assert!(matches!(
            read_private(&path, 5),
            Err(KeyError::Malformed { .. })
        ));
        for mode in [0o640, 0o604, 0o610, 0o602] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert!(
                matches!(read_private(&path, 6), Err(KeyError::Exposed { .. })),
                "{mode:o}"
            );
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        assert!(read_private(&path, 6).is_ok());
        let nowhere = folder.path().join("no/such");
        assert!(matches!(
            create_private(&nowhere, b""),
            Err(KeyError::File { .. })
        ));
        assert!(matches!(
            read_private(&nowhere, 6),
            Err(KeyError::File { .. })
        ));
    }
}
