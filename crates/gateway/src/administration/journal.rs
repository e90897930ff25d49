//! `…/journal/…`: read only, for auditors and whoever they work for.

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    response::Response,
};
use compartment::{Refused, administration as deeds};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use wire::steward::{Checkpoint, InclusionProof, InclusionProofObject, List, ProofQuery, RecordRow, RecordsQuery};

use super::{Office, ok, query, shapes};
use crate::refusal::Refusal;

pub(super) async fn checkpoint<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let signed = office.journal(&headers, &path, now).await?.checkpoint(now).await?;
    Ok(ok(&shape(signed.ok_or(Refused::NotFound { what: "checkpoint" })?)?))
}

pub(super) async fn records<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let journal = office.journal(&headers, &path, Timestamp::now()).await?;
    let page: RecordsQuery = query(&uri)?;
    let limit = page.limit();
    let most = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
    let records = journal.records(page.from.unwrap_or(0), most).await?;
    let rows = records.iter().map(row).collect::<Result<_, _>>()?;
    Ok(ok(&List::page(rows, limit)))
}

pub(super) async fn proof<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let journal = office.journal(&headers, &path, now).await?;
    let wanted: ProofQuery = query(&uri)?;
    let proof = journal.proof(wanted.seq, now).await?;
    Ok(ok(&InclusionProof {
        object: InclusionProofObject,
        record: row(&proof.record)?,
        path: proof.path.iter().map(hex::encode).collect(),
        checkpoint: shape(proof.checkpoint)?,
    }))
}

/// Streams the export; an error in the middle cuts the connection, and what came until then verifies as truncated.
pub(super) async fn export<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let export = office.journal(&headers, &path, now).await?.export(now).await?;
    let pieces = stream::unfold(export, |mut export| async move {
        let piece = export.next().await?;
        Some((piece.map_err(std::io::Error::other), export))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A signed note, with its parts beside it for readers that do not parse notes.
pub(crate) fn shape(signed: deeds::SignedCheckpoint) -> Result<Checkpoint, Refusal> {
    shapes::checkpoint(signed).ok_or_else(|| Refused::Internal.into())
}

fn row(record: &deeds::RecordRow) -> Result<RecordRow, Refusal> {
    Ok(RecordRow {
        seq: record.seq,
        leaf: hex::encode(record.leaf),
        record: serde_json::from_slice(&record.body).map_err(|_| Refused::Internal)?,
    })
}
