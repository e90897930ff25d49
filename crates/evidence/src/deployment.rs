//! The deployment log: one leaf for each head of each tenant's journal, blinded, so that the operator can drop neither
//! records nor a whole tenant without it showing, and no tenant learns who else is there.

use crate::{
    Blinded, Checkpoint, Commitment, Error, Hash, Id, VerifierKey, leaf_hash, log, moment,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The label that a journal's name is blinded under.
pub const BLINDING_LABEL: &str = "cofferdam/deployment-head/v1";

/// The longest head in canonical form, in bytes.
pub const MAX_HEAD_BYTES: usize = 512;

/// A leaf of the deployment log: some journal had some head at some time.
///
/// The same journal always has the same `blinded_log`, so an auditor of the whole deployment sees that its sizes only
/// grow, without knowing whose it is. The 128 unknown bits also keep neighbours from guessing a leaf from the hash
/// beside theirs in a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    blinded_log: Blinded,
    size: u64,
    root_commitment: Commitment,
    #[serde(with = "moment")]
    time: Timestamp,
}

impl Head {
    /// The journal's blinded name.
    #[must_use]
    pub fn blinded_log(&self) -> Blinded {
        self.blinded_log
    }

    /// The number of records in the journal then.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256(salt ‖ u64be(size) ‖ root).
    #[must_use]
    pub fn root_commitment(&self) -> Commitment {
        self.root_commitment
    }

    /// When the head was taken, in whole milliseconds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The head's only encoding; the leaf hash is taken over it. At most [`MAX_HEAD_BYTES`].
    #[must_use]
    pub fn canonical(&self) -> String {
        #[expect(
            clippy::expect_used,
            reason = "INVARIANT: strings and integers only, written to memory: serialising cannot fail"
        )]
        serde_json::to_string(self).expect("a head is plain data")
    }

    /// Reads a head back. Accepts exactly what [`Head::canonical`] writes.
    ///
    /// # Errors
    ///
    /// [`Error::NotAHead`] for everything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(Error::NotAHead);
        }
        let head: Self = serde_json::from_slice(bytes).map_err(|_| Error::NotAHead)?;
        if head.canonical().as_bytes() != bytes || head.size > log::MAX_SIZE {
            return Err(Error::NotAHead);
        }
        Ok(head)
    }
}

/// What blinds one journal's heads, and opens them again: given to that tenant, it shows that a head is the tenant's
/// own and says nothing about anybody else's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadOpening {
    /// The journal's own blinding key: one random key for each journal, never shared between two.
    #[serde(with = "crate::commitment::hex_bytes")]
    pub blinding_key: [u8; 32],
    /// The salt of this head's root commitment, random or derived under a secret of that journal.
    #[serde(with = "crate::commitment::hex_bytes")]
    pub salt: [u8; 32],
}

impl HeadOpening {
    /// The blinded head of the journal `log` at `size` with `root`. `time` is cut to whole milliseconds.
    #[must_use]
    pub fn head(&self, log: &Id, size: u64, root: Hash, time: Timestamp) -> Head {
        let commitment = Sha256::new()
            .chain_update(self.salt)
            .chain_update(size.to_be_bytes())
            .chain_update(root.0)
            .finalize();
        Head {
            blinded_log: self.blinded_log(log),
            size,
            root_commitment: Commitment::from_bytes(commitment.into()),
            time: moment::to_millis(time),
        }
    }

    /// The blinded name of the journal `log`, the same for all its heads.
    #[must_use]
    pub fn blinded_log(&self, log: &Id) -> Blinded {
        Blinded::derive(&self.blinding_key, BLINDING_LABEL, log.as_str().as_bytes())
    }

    /// Whether `head` is that of the journal `log` with `root`. Compared in constant time.
    #[must_use]
    pub fn opens(&self, head: &Head, log: &Id, root: Hash) -> bool {
        let own = self.head(log, head.size, root, head.time);
        let name = own
            .blinded_log
            .as_bytes()
            .ct_eq(head.blinded_log.as_bytes());
        let commitment = own
            .root_commitment
            .as_bytes()
            .ct_eq(head.root_commitment.as_bytes());
        (name & commitment).into()
    }
}

impl std::fmt::Debug for HeadOpening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeadOpening(64 bytes)")
    }
}

/// Proof that a head stands in the deployment log, with what opens it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadProof {
    /// The key that signs the deployment log. Worth something only once it is compared with a pinned one.
    pub vkey: VerifierKey,
    /// The signed checkpoint of the deployment log.
    pub checkpoint: String,
    /// The head's leaf index in it.
    pub index: u64,
    /// The head, in canonical form.
    pub head: String,
    /// What opens the head.
    pub opening: HeadOpening,
    /// The audit path from the head to the deployment log's root.
    #[serde(with = "log::hash_list")]
    pub inclusion: Vec<Hash>,
}

impl HeadProof {
    /// Checks signature and inclusion with `key`; returns the deployment log's checkpoint and the head that is in it.
    /// Whether the head is a given journal's is asked of [`HeadOpening::opens`].
    ///
    /// # Errors
    ///
    /// [`Error::NotACheckpoint`], [`Error::BadSignature`], [`Error::NotAHead`] or [`Error::ProofFailed`], by what is
    /// wrong.
    pub fn verify(&self, key: &VerifierKey) -> Result<(Checkpoint, Head), Error> {
        let checkpoint = Checkpoint::parse_verify(self.checkpoint.as_bytes(), key)?;
        let head = Head::parse(self.head.as_bytes())?;
        let leaf = leaf_hash(self.head.as_bytes());
        log::verify_inclusion(
            checkpoint.size(),
            checkpoint.root(),
            self.index,
            leaf,
            &self.inclusion,
        )?;
        Ok((checkpoint, head))
    }
}
