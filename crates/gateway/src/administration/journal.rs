//! `…/journal/…`: read only, for auditors and whoever they work for.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    response::Response,
};
use compartment::{Refused, administration as deeds};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::steward::{
    Checkpoint, InclusionProof, InclusionProofObject, List, ProofQuery, RecordRow, RecordsQuery,
};

use super::{Office, ok, query, shapes};
use crate::refusal::Refusal;

/// Room for exports. Each holds a thread and a connection for as long as its reader takes, and slow readers of one tenant
/// must not use up what the reads of all tenants need.
pub(crate) struct Exports(Arc<Semaphore>);

impl Exports {
    /// Room for so many at once.
    pub(crate) fn at_once(most: usize) -> Exports {
        Exports(Arc::new(Semaphore::new(most)))
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let told = "as many exports as there may be at once are running; nothing was exported; let one finish first";
            Refusal::of(429, "too_many_exports", told).after(1)
        })
    }
}

pub(super) async fn checkpoint<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Timestamp::now();
    let (journal, _) = office.journal(&headers, &path, now).await?;
    let signed = journal.checkpoint(now).await?;
    Ok(ok(&shape(
        signed.ok_or(Refused::NotFound { what: "checkpoint" })?,
    )?))
}

pub(super) async fn records<O: Office>(
    State(office): State<O>,
    path: RawPathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let (journal, _) = office.journal(&headers, &path, Timestamp::now()).await?;
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
    let (journal, _) = office.journal(&headers, &path, now).await?;
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
    let (journal, exports) = office.journal(&headers, &path, now).await?;
    let place = exports.enter()?;
    let export = journal.export(now).await?;
    let pieces = stream::unfold((export, place), |(mut export, place)| async move {
        let piece = export.next().await?;
        Some((piece.map_err(std::io::Error::other), (export, place)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/jsonl"),
    );
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
