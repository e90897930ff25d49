//! Salted commitments: proof of a text for whoever kept it, nothing for whoever did not.

use crate::{Error, blinded::from_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The label of a commitment to the bytes of a request body.
pub const REQUEST_LABEL: &str = "cofferdam/request/v1";
/// The label of a commitment to the bytes of an answer body.
pub const ANSWER_LABEL: &str = "cofferdam/answer/v1";

/// SHA-256(salt ‖ u64be(len(label)) ‖ label ‖ bytes), with a salt of 32 bytes. 64 lower-case hex digits in evidence.
///
/// The salt is what keeps a short or guessable text from being tried out against the journal, so it must be
/// unpredictable and stays with the tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// Takes 32 bytes that were read back from storage.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Commitment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Commitment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Commitment({self})")
    }
}

impl TryFrom<String> for Commitment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        from_hex(&text).map(Self)
    }
}

impl From<Commitment> for String {
    fn from(commitment: Commitment) -> Self {
        commitment.to_string()
    }
}

/// Commits to `bytes` in one go. See [`Commitment`] for the formula.
#[must_use]
pub fn commit(salt: &[u8; 32], label: &str, bytes: &[u8]) -> Commitment {
    let mut committer = Committer::new(salt, label);
    committer.update(bytes);
    committer.finish()
}

/// Commits to a text that arrives in pieces, such as a streamed answer, without keeping it.
///
/// ```
/// use evidence::{ANSWER_LABEL, Committer, commit};
/// let mut committer = Committer::new(&[7; 32], ANSWER_LABEL);
/// committer.update(b"hel");
/// committer.update(b"lo");
/// assert_eq!(committer.finish(), commit(&[7; 32], ANSWER_LABEL, b"hello"));
/// ```
#[derive(Clone)]
pub struct Committer(Sha256);

impl Committer {
    /// Starts a commitment under `salt` for the purpose `label`.
    #[must_use]
    pub fn new(salt: &[u8; 32], label: &str) -> Self {
        let start = Sha256::new()
            .chain_update(salt)
            .chain_update((label.len() as u64).to_be_bytes())
            .chain_update(label);
        Self(start)
    }

    /// Adds the next bytes of the text. Where the pieces are cut makes no difference.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The commitment to everything added.
    #[must_use]
    pub fn finish(self) -> Commitment {
        Commitment(self.0.finalize().into())
    }
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Committer")
    }
}

/// What opens a [`Commitment`]: the salt. Whoever has it and the text can show that the text is the committed one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The 32 bytes that the commitment was salted with; lower-case hex in JSON.
    #[serde(with = "hex_bytes")]
    pub salt: [u8; 32],
}

impl Opening {
    /// Whether `commitment` is to exactly these `bytes` under this `label`. Compared in constant time.
    #[must_use]
    pub fn check(&self, label: &str, bytes: &[u8], commitment: &Commitment) -> bool {
        commit(&self.salt, label, bytes)
            .0
            .ct_eq(&commitment.0)
            .into()
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opening(32 bytes)")
    }
}

/// Serde for 32 bytes as lower-case hex.
pub(crate) mod hex_bytes {
    use crate::blinded::from_hex;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        from_hex(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_opens_for_its_own_text_only() {
        let commitment = commit(&[1; 32], REQUEST_LABEL, b"text");
        let cases = [
            ([1; 32], REQUEST_LABEL, &b"text"[..], true),
            ([2; 32], REQUEST_LABEL, b"text", false),
            ([1; 32], ANSWER_LABEL, b"text", false),
            ([1; 32], REQUEST_LABEL, b"text ", false),
            ([1; 32], "cofferdam/request/v1t", b"ext", false),
        ];
        for (salt, label, text, opens) in cases {
            assert_eq!(
                Opening { salt }.check(label, text, &commitment),
                opens,
                "{label} {text:?}"
            );
        }
    }

    #[test]
    fn an_opening_does_not_print_its_salt() {
        assert_eq!(
            format!("{:?}", Opening { salt: [7; 32] }),
            "Opening(32 bytes)"
        );
    }
}
