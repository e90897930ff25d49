//! Checking proofs, and how hashes stand in JSON.

use super::{EMPTY_ROOT, Hash, MAX_SIZE};
use crate::Error;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most hashes in a proof that is looked at: no log of at most [`MAX_SIZE`] records needs more.
pub const MAX_PROOF_HASHES: usize = 64;

/// Checks that the log of `size` records with this `root` holds `leaf` at `index`, RFC 6962 section 2.1.1.
///
/// # Errors
///
/// [`Error::ProofFailed`] where it does not follow from `proof`.
pub fn verify_inclusion(
    size: u64,
    root: Hash,
    index: u64,
    leaf: Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if size > MAX_SIZE || proof.len() > MAX_PROOF_HASHES {
        return Err(Error::ProofFailed);
    }
    tlog_tiles::check_record(&proof.to_vec(), size, root, index, leaf)
        .map_err(|_| Error::ProofFailed)
}

/// Checks that the log `earlier` (size, root) is a prefix of the log `later`, RFC 6962 section 2.1.2. The empty log is
/// a prefix of every log.
///
/// # Errors
///
/// [`Error::ProofFailed`] where it does not follow from `proof`.
pub fn verify_consistency(
    earlier: (u64, Hash),
    later: (u64, Hash),
    proof: &[Hash],
) -> Result<(), Error> {
    let ((old_size, old_root), (new_size, new_root)) = (earlier, later);
    if new_size > MAX_SIZE || proof.len() > MAX_PROOF_HASHES {
        return Err(Error::ProofFailed);
    }
    if old_size == 0 {
        let holds = proof.is_empty() && old_root == EMPTY_ROOT;
        return if holds {
            Ok(())
        } else {
            Err(Error::ProofFailed)
        };
    }
    tlog_tiles::check_tree(&proof.to_vec(), new_size, new_root, old_size, old_root)
        .map_err(|_| Error::ProofFailed)
}

/// A hash from standard base64 with padding, as in a checkpoint.
pub(crate) fn from_base64(text: &str) -> Option<Hash> {
    Some(Hash(BASE64_STANDARD.decode(text).ok()?.try_into().ok()?))
}

/// Serde for one hash as standard base64.
pub(crate) mod hash_text {
    use super::{Deserialize, Deserializer, Hash, Serializer, de, from_base64};

    pub fn serialize<S: Serializer>(hash: &Hash, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(hash)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Hash, D::Error> {
        from_base64(&String::deserialize(d)?)
            .ok_or_else(|| de::Error::custom("not a hash in base64"))
    }
}

/// Serde for a proof: a list of at most [`MAX_PROOF_HASHES`] hashes.
pub(crate) mod hash_list {
    use super::{
        Deserialize, Deserializer, Hash, MAX_PROOF_HASHES, Serialize, Serializer, de, hash_text,
    };

    #[derive(Serialize, Deserialize)]
    struct Text(#[serde(with = "hash_text")] Hash);

    pub fn serialize<S: Serializer>(hashes: &[Hash], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(hashes.iter().map(|hash| Text(*hash)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Hash>, D::Error> {
        let hashes: Vec<Text> = Vec::deserialize(d)?;
        if hashes.len() > MAX_PROOF_HASHES {
            return Err(de::Error::custom("more hashes than any proof needs"));
        }
        Ok(hashes.into_iter().map(|text| text.0).collect())
    }
}
