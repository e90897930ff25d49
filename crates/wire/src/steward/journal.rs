//! The tenant's journal. `/journal/export` streams lines of its own format, which the `evidence` crate defines.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json::Opaque;
use crate::openai::word;

word!(
    /// `checkpoint`.
    CheckpointObject = "checkpoint"
);
word!(
    /// `inclusion_proof`.
    InclusionProofObject = "inclusion_proof"
);

/// The signed head of a journal, or of the deployment's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Always `checkpoint`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: CheckpointObject,
    /// Number of records it covers.
    pub size: u64,
    /// Root hash in hexadecimal.
    pub root: String,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
    /// The key that verifies it (C2SP signed-note verifier key).
    pub verifier_key: String,
}

/// Which records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordsQuery {
    /// Number of the first record, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Most records, 1 to 1000; 100 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl RecordsQuery {
    /// Most records, within its bounds.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1000) as usize
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordRow {
    /// Its number, from 0.
    pub seq: u64,
    /// Hash of its leaf in hexadecimal.
    pub leaf: String,
    /// The record as it stands in the journal; SPECIFICATION describes its fields.
    #[schema(value_type = Object)]
    pub record: Opaque,
}

/// Which proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofQuery {
    /// Number of the record to prove.
    pub seq: u64,
}

/// Proof that a record stands in the journal (RFC 6962, section 2.1.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// Always `inclusion_proof`.
    #[serde(default, deserialize_with = "crate::json::ours")]
    #[schema(value_type = String, required)]
    pub object: InclusionProofObject,
    /// The record.
    pub record: RecordRow,
    /// Hashes of the path in hexadecimal, from the leaf upwards.
    pub path: Vec<String>,
    /// The head it leads to.
    pub checkpoint: Checkpoint,
}
