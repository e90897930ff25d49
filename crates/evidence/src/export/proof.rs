//! Single records with their proof: enough to show one call to somebody who never sees the rest of the journal.

use super::report::{MAY_BE_OLDER, NOT_PINNED};
use super::verify::walk;
use super::{FORMAT, Finding, Trust};
use crate::{
    ANSWER_LABEL, Checkpoint, Commitment, Error, Hash, Id, Opening, REQUEST_LABEL, Record,
    RecordKind, VerifierKey, leaf_hash, log,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::BufRead;

/// The longest proof that is looked at, as JSON, in bytes.
pub const MAX_PROOF_BYTES: usize = 1024 * 1024;

/// The most records in one proof. A call has two.
pub(super) const MAX_PROVED: usize = 16;

/// What a proof is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All records of a call: its intent and settlement, or its refusal.
    Call(Id),
    /// One record, by its number from 0.
    Seq(u64),
}

impl Wanted {
    pub(super) fn is(&self, record: &Record) -> bool {
        match self {
            Self::Call(call) => record.kind().call() == Some(call),
            Self::Seq(seq) => record.seq() == *seq,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(call) => write!(f, "call {call}"),
            Self::Seq(seq) => write!(f, "record {seq}"),
        }
    }
}

/// The two texts that a call commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The request's body, committed to in the intent.
    Request,
    /// The answer's body, committed to in the settlement.
    Answer,
}

impl Part {
    /// `request` or `answer`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Request => REQUEST_LABEL,
            Self::Answer => ANSWER_LABEL,
        }
    }

    fn commitment(self, record: &Record) -> Option<&Commitment> {
        match (self, record.kind()) {
            (Self::Request, RecordKind::CallIntent(intent)) => Some(&intent.request_commitment),
            (Self::Answer, RecordKind::CallSettled(settled)) => settled.answer_commitment.as_ref(),
            _ => None,
        }
    }
}

/// Records with their proof, as one JSON document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// The key that signs the journal. Worth something only once it is compared with a pinned one.
    pub vkey: VerifierKey,
    /// The signed checkpoint that the records are proved against.
    pub checkpoint: String,
    /// The records.
    pub records: Vec<ProvedRecord>,
    /// What opens the commitment to the request, if its holder chose to add it.
    pub request_opening: Option<Opening>,
    /// What opens the commitment to the answer, if its holder chose to add it.
    pub answer_opening: Option<Opening>,
}

/// One record and the audit path from it to the root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedRecord {
    /// The record in canonical form; its `seq` is the leaf index.
    pub record: String,
    /// The audit path, from the leaf upwards.
    #[serde(with = "log::hash_list")]
    pub inclusion: Vec<Hash>,
}

/// What a verified proof shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProofReport {
    /// The journal's name.
    pub origin: Id,
    /// The key that its checkpoint verifies with.
    pub vkey: String,
    /// Whether that key was pinned by the verifier's user, or only taken from the proof itself.
    pub pinned: bool,
    /// The number of records in the journal when the checkpoint was signed.
    pub size: u64,
    /// When that was.
    pub signed_at: Timestamp,
    /// The records, which were in the journal then.
    pub records: Vec<Record>,
    /// The texts that were shown to be the ones committed to.
    pub texts: Vec<Part>,
    /// What this proof could not show, in plain words.
    pub caveats: Vec<&'static str>,
}

/// Verifies an export and takes out of it the proof of one call or record, in the same pass. The openings are left
/// empty: the salts are with whoever made the call.
///
/// # Errors
///
/// The first [`Finding`] of the verification, or [`Finding::NotInJournal`].
pub fn prove(export: impl BufRead, trust: &Trust, wanted: &Wanted) -> Result<Proof, Finding> {
    let walked = walk(export, trust, Some(wanted))?;
    if walked.proved.is_empty() {
        return Err(Finding::NotInJournal {
            wanted: wanted.to_string(),
        });
    }
    Ok(Proof {
        format: FORMAT,
        vkey: walked.vkey,
        checkpoint: walked.checkpoint,
        records: walked.proved,
        request_opening: None,
        answer_opening: None,
    })
}

impl Proof {
    /// Reads a proof from JSON. It is not verified yet.
    ///
    /// # Errors
    ///
    /// [`Finding::BadProof`] where it is longer than [`MAX_PROOF_BYTES`] or not a proof.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Finding> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(Finding::BadProof {
                what: "it is longer than any proof",
            });
        }
        serde_json::from_slice(bytes).map_err(|_| Finding::BadProof {
            what: "it is no JSON document of this format",
        })
    }

    fn opening(&self, part: Part) -> Option<&Opening> {
        match part {
            Part::Request => self.request_opening.as_ref(),
            Part::Answer => self.answer_opening.as_ref(),
        }
    }
}

/// Verifies a proof: the checkpoint's signature, that each record is in the log, that all of them are about one call,
/// and that each of `texts` is the one committed to. `pinned` is the journal's key as known from elsewhere.
///
/// # Errors
///
/// The first [`Finding`].
pub fn verify_proof(
    proof: &Proof,
    pinned: Option<&VerifierKey>,
    texts: &[(Part, &[u8])],
) -> Result<ProofReport, Finding> {
    if proof.format != FORMAT {
        return Err(Finding::UnknownFormat {
            format: proof.format,
        });
    }
    super::verify::pinned(super::Signed::Journal, pinned, &proof.vkey)?;
    let checkpoint =
        Checkpoint::parse_verify(proof.checkpoint.as_bytes(), &proof.vkey).map_err(|error| {
            Finding::BadProof {
                what: match error {
                    Error::NotACheckpoint { reason } => reason,
                    _ => "its checkpoint has no valid signature by its key",
                },
            }
        })?;
    let records = read_records(proof, &checkpoint)?;
    for (part, text) in texts {
        check_text(proof, &records, *part, text)?;
    }
    let caveats = if pinned.is_some() {
        vec![MAY_BE_OLDER]
    } else {
        vec![NOT_PINNED, MAY_BE_OLDER]
    };
    Ok(ProofReport {
        origin: checkpoint.origin().clone(),
        vkey: proof.vkey.to_string(),
        pinned: pinned.is_some(),
        size: checkpoint.size(),
        signed_at: checkpoint.time(),
        records,
        texts: texts.iter().map(|(part, _)| *part).collect(),
        caveats,
    })
}

fn read_records(proof: &Proof, checkpoint: &Checkpoint) -> Result<Vec<Record>, Finding> {
    let bad = |what| Finding::BadProof { what };
    if proof.records.is_empty() || proof.records.len() > MAX_PROVED {
        return Err(bad("it has no records, or more than a proof may have"));
    }
    let mut records: Vec<Record> = Vec::new();
    for proved in &proof.records {
        let text = proved.record.as_bytes();
        let record = Record::parse(text).map_err(|_| bad("a record is not in canonical form"))?;
        let seq = record.seq();
        let (size, root) = (checkpoint.size(), checkpoint.root());
        log::verify_inclusion(size, root, seq, leaf_hash(text), &proved.inclusion)
            .map_err(|_| Finding::NotIncluded { seq })?;
        if let Some(last) = records.last() {
            if last.seq() >= seq {
                return Err(bad("its records are not in order"));
            }
            if record.kind().call().is_none() || record.kind().call() != last.kind().call() {
                return Err(bad("its records are not about one call"));
            }
        }
        records.push(record);
    }
    Ok(records)
}

fn check_text(proof: &Proof, records: &[Record], part: Part, text: &[u8]) -> Result<(), Finding> {
    let unchecked = |what| Finding::TextUnchecked {
        part: part.name(),
        what,
    };
    let opening = proof
        .opening(part)
        .ok_or_else(|| unchecked("the proof has no opening for it"))?;
    let committed = records
        .iter()
        .find_map(|record| Some((record.seq(), part.commitment(record)?)));
    let (seq, commitment) =
        committed.ok_or_else(|| unchecked("none of the proof's records commits to it"))?;
    if opening.check(part.label(), text, commitment) {
        Ok(())
    } else {
        Err(Finding::NotTheText {
            part: part.name(),
            seq,
        })
    }
}
