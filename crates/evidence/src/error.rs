//! The crate's one error type. What a verifier finds in an export is not an error but a `export::Finding`.

/// What could not be built, read or proved. Never holds content or key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A string is not an [`crate::Id`].
    #[error("not an id; nothing was built from it; an id is 1 to 128 of A-Z a-z 0-9 _ . : / -")]
    NotAnId,
    /// A fixed-size value (blinded name, commitment, salt) is not lower-case hex of its exact length.
    #[error("not lower-case hex of {bytes} bytes; the value was not accepted; copy it whole")]
    NotHex {
        /// The number of bytes that was expected.
        bytes: usize,
    },
    /// More kinds of detector hits than a record has room for.
    #[error("more than {max} kinds of detector hits; the record was not built; merge rare kinds")]
    TooManyHits {
        /// The greatest number of kinds, [`crate::MAX_HITS`].
        max: usize,
    },
    /// Bytes are not a record in canonical form.
    #[error("not a canonical record ({reason}); it was not accepted; compare it with FORMAT.md")]
    NotCanonical {
        /// What is wrong, without any of the bytes.
        reason: String,
    },
    /// A log, proof or tile was asked for at a size or index that the log does not have.
    #[error(
        "the log has {size} records; nothing was computed; ask for something inside those bounds"
    )]
    OutsideLog {
        /// The size that was asked about.
        size: u64,
    },
    /// The stored hashes could not be read, or their number is not what the size demands.
    #[error("stored hashes unreadable ({reason}); nothing was computed; check the journal's store")]
    StoredHashes {
        /// What the reader said.
        reason: String,
    },
    /// A Merkle proof does not lead to the root it was checked against.
    #[error("the proof does not lead to the signed root; it proves nothing; ask for a fresh one")]
    ProofFailed,
    /// A checkpoint note is not well formed.
    #[error("not a checkpoint ({reason}); it was not accepted; ask for the whole note")]
    NotACheckpoint {
        /// What is wrong.
        reason: &'static str,
    },
    /// A checkpoint's signature is missing or wrong for the key it was checked with.
    #[error(
        "no valid signature by the expected key; the checkpoint was not accepted; check the key"
    )]
    BadSignature,
    /// A string is not a C2SP verifier key for Ed25519.
    #[error("not an ed25519 verifier key; it was not accepted; it looks like name+hash+base64")]
    NotAVerifierKey,
    /// A string is not a C2SP tile path.
    #[error(
        "not a tile path; nothing was read; it looks like tile/0/x001/067.p/8 or tile/entries/000"
    )]
    NotATilePath,
    /// Bytes are not a deployment head in canonical form.
    #[error("not a canonical deployment head; it was not accepted; compare it with FORMAT.md")]
    NotAHead,
    /// An export line would break the format: the exporter handed over something that is not one line.
    #[error(
        "a journal line is too long or holds a newline; the export was stopped; check the store"
    )]
    NotALine,
    /// The export could not be written.
    #[error("the export could not be written; it is incomplete; remove it and try again")]
    Write(#[source] std::io::Error),
}
