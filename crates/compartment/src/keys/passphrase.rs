//! A passphrase, wherever it comes from.

use super::{KeyError, read_private};
use std::{fmt, path::Path};
use zeroize::Zeroizing;

/// The fewest bytes of a passphrase.
pub const MIN_PASSPHRASE_BYTES: usize = 12;
/// The most bytes of a passphrase.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// A passphrase of [`MIN_PASSPHRASE_BYTES`] to [`MAX_PASSPHRASE_BYTES`] bytes. Zeroized when dropped, never printed.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes a passphrase, such as the value of an environment variable.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnfitPassphrase`] where it is too short or too long.
    pub fn new(text: String) -> Result<Self, KeyError> {
        Self::from_bytes(Zeroizing::new(text.into_bytes()))
    }

    /// Reads a passphrase from a file of mode 0600, without the line end that editors add.
    ///
    /// # Errors
    ///
    /// As [`read_private`], and [`KeyError::UnfitPassphrase`].
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let mut bytes = read_private(path, MAX_PASSPHRASE_BYTES + 2)?;
        if bytes.ends_with(b"\n") {
            bytes.pop();
        }
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        if (MIN_PASSPHRASE_BYTES..=MAX_PASSPHRASE_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(KeyError::UnfitPassphrase)
        }
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::create_private;

    #[test]
    fn a_passphrase_from_a_file_is_the_line_without_its_end() {
        let folder = tempfile::tempdir().unwrap();
        for (at, (content, expected)) in [
            ("correct horse", Some("correct horse")),
            ("correct horse\n", Some("correct horse")),
            ("correct horse\r\n", Some("correct horse")),
            (" correct horse \n\n", Some(" correct horse \n")),
            ("too short\n", None),
            ("", None),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(at.to_string());
            create_private(&path, content.as_bytes()).unwrap();
            let read = Passphrase::from_file(&path).ok();
            assert_eq!(
                read.as_ref().map(Passphrase::expose),
                expected.map(str::as_bytes),
                "{content:?}"
            );
        }
        assert!(
            Passphrase::new("x".repeat(1024)).is_ok() && Passphrase::new("x".repeat(1025)).is_err()
        );
        assert_eq!(
            format!("{:?}", Passphrase::new("correct horse".into()).unwrap()),
            "Passphrase"
        );
    }
}
