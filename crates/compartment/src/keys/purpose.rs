//! What a derived key is for: one purpose, one label, one key.

use super::Secret32;
use hkdf::Hkdf;
use sha2::Sha256;

/// The HKDF salt. It separates these keys from any other use of the same root.
const DOMAIN: &[u8] = b"cofferdam/root/1";

/// What a key derived from a root key is for. Two purposes never share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Seals values in the store.
    Store,
    /// Wraps the keys of end users.
    SubjectWrap,
    /// Derives cache salts and identity fields for upstreams.
    Salt,
    /// Keys exact caches.
    Cache,
    /// Blind indexes: look-ups by a name that the store must not see.
    Index,
    /// Pseudonyms of redacted values.
    Pseudonym,
    /// Fingerprints of high-entropy values for the sentinel.
    Fingerprint,
    /// Blinds subjects, sessions and heads in the journal and the deployment log.
    JournalBlind,
    /// Salts the journal's commitments to requests and answers.
    JournalCommit,
    /// The seed of the key that signs checkpoints.
    JournalSign,
    /// Seals session tokens.
    SessionToken,
    /// Hashes API keys.
    CredentialHash,
    /// Seals model weights.
    Weights,
}

impl Purpose {
    /// Every purpose there is.
    pub const ALL: [Self; 13] = [
        Self::Store,
        Self::SubjectWrap,
        Self::Salt,
        Self::Cache,
        Self::Index,
        Self::Pseudonym,
        Self::Fingerprint,
        Self::JournalBlind,
        Self::JournalCommit,
        Self::JournalSign,
        Self::SessionToken,
        Self::CredentialHash,
        Self::Weights,
    ];

    /// The HKDF label. Changing one loses everything under that key.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::SubjectWrap => "subject-wrap",
            Self::Salt => "salt",
            Self::Cache => "cache",
            Self::Index => "index",
            Self::Pseudonym => "pseudonym",
            Self::Fingerprint => "fingerprint",
            Self::JournalBlind => "journal-blind",
            Self::JournalCommit => "journal-commit",
            Self::JournalSign => "journal-sign",
            Self::SessionToken => "session-token",
            Self::CredentialHash => "credential-hash",
            Self::Weights => "weights",
        }
    }
}

/// HKDF-SHA256 (RFC 5869) with a fixed salt; `info` is the label alone.
#[expect(
    clippy::expect_used,
    reason = "HKDF refuses only outputs above 255 blocks, and this is one"
)]
pub(super) fn derive(root: &Secret32, label: &str) -> Secret32 {
    let mut key = Secret32::zeroed();
    Hkdf::<Sha256>::new(Some(DOMAIN), root.expose())
        .expand(label.as_bytes(), key.as_mut())
        .expect("one block");
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_purposes_share_a_label_or_a_key() {
        let root = Secret32::from_bytes([7; 32]);
        let labels: BTreeSet<_> = Purpose::ALL.iter().map(|p| p.label()).collect();
        let keys: BTreeSet<_> = Purpose::ALL
            .iter()
            .map(|p| *derive(&root, p.label()).expose())
            .collect();
        assert_eq!(
            (labels.len(), keys.len()),
            (Purpose::ALL.len(), Purpose::ALL.len())
        );
        assert!(!keys.contains(&[7; 32]));
        let other = Secret32::from_bytes([8; 32]);
        assert_ne!(derive(&root, "store"), derive(&other, "store"));
    }
}
