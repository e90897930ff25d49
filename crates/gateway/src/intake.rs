//! Reads a request's body: bounded in bytes and time, and counted against its tenant's share of memory.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use wire::openai::error;

use crate::{config::CallLimits, refusal::Refusal};

/// How many bytes of bodies one tenant may have in the process; it lives in the compartment.
pub(crate) struct BodyShare(Arc<Semaphore>);

impl BodyShare {
    /// The whole share.
    pub(crate) fn new(limits: &CallLimits) -> BodyShare {
        BodyShare(Arc::new(Semaphore::new(
            limits.max_tenant_body_bytes.min(Semaphore::MAX_PERMITS),
        )))
    }
}

/// A body in memory; its tenant's share is charged until this is dropped.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    charged: Option<OwnedSemaphorePermit>,
}

/// Reads the whole body of a JSON request.
///
/// # Errors
/// 415 for another type or a compressed body, 413 and 408 past the limits, 429 when the tenant's share is used up.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    share: &BodyShare,
    limits: &CallLimits,
) -> Result<Taken, Refusal> {
    is_json(headers)?;
    match time::timeout(
        limits.body_timeout,
        gather(headers, body, share, limits.max_body_bytes),
    )
    .await
    {
        Ok(taken) => taken,
        Err(_) => Err(error::request_timeout().into()),
    }
}

async fn gather(
    headers: &HeaderMap,
    mut body: Body,
    share: &BodyShare,
    most: usize,
) -> Result<Taken, Refusal> {
    let too_large = || Refusal::from(error::too_large(most as u64));
    let announced: Option<u64> = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut taken = Taken {
        bytes: Bytes::new(),
        charged: None,
    };
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| {
            Refusal::of(
                400,
                "broken_body",
                "the request body broke off or is badly framed; nothing was done; send it again",
            )
        };
        let Ok(piece) = frame.map_err(broken)?.into_data() else {
            continue; // trailers say nothing here
        };
        if taken.bytes.len() + pieces.len() + piece.len() > most {
            return Err(too_large());
        }
        taken.charge(share, piece.len())?;
        // most bodies arrive in one piece, which is then not copied
        if taken.bytes.is_empty() && pieces.is_empty() {
            taken.bytes = piece;
            continue;
        }
        pieces.extend_from_slice(&std::mem::take(&mut taken.bytes));
        pieces.extend_from_slice(&piece);
    }
    if !pieces.is_empty() {
        taken.bytes = pieces.freeze();
    }
    Ok(taken)
}

impl Taken {
    fn charge(&mut self, share: &BodyShare, bytes: usize) -> Result<(), Refusal> {
        let charge = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| Arc::clone(&share.0).try_acquire_many_owned(bytes).ok());
        let Some(charge) = charge else {
            return Err(Refusal::of(
                429,
                "too_many_bytes_in_flight",
                "the request bodies you have in flight fill your share; nothing was done; let some calls finish first",
            )
            .after(1));
        };
        match &mut self.charged {
            Some(charged) => charged.merge(charge),
            None => self.charged = Some(charge),
        }
        Ok(())
    }
}

fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Refusal::of(
            415,
            "unsupported_content_encoding",
            "compressed request bodies are not read; nothing was done; send it uncompressed",
        ));
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = kind
        .as_bytes()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/json") {
        return Ok(());
    }
    Err(error::not_json().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    const LIMITS: CallLimits = CallLimits {
        max_body_bytes: 10,
        max_tenant_body_bytes: 15,
        body_timeout: Duration::from_millis(50),
    };

    fn pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(
            stream::iter(pieces)
                .map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes()))),
        )
    }

    #[tokio::test]
    async fn a_body_is_bounded_by_bytes_time_type_and_share() {
        let check =
            async |headers: &[(&'static str, &'static str)], body: Body| -> Result<Bytes, String> {
                let headers = headers
                    .iter()
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                    .collect();
                let share = BodyShare::new(&LIMITS);
                read(&headers, body, &share, &LIMITS)
                    .await
                    .map(|taken| taken.bytes)
                    .map_err(|refusal| refusal.code().to_owned())
            };
        assert_eq!(
            check(&[], pieces(&["0123456789"])).await.unwrap(),
            "0123456789"
        );
        assert_eq!(
            check(&[], pieces(&["01", "", "234", "56789"]))
                .await
                .unwrap(),
            "0123456789"
        );
        assert_eq!(
            check(
                &[("content-type", "Application/JSON; charset=utf-8")],
                pieces(&["{}"])
            )
            .await
            .unwrap(),
            "{}"
        );
        assert_eq!(
            check(&[], pieces(&["01234", "567890"])).await.unwrap_err(),
            "request_too_large"
        );
        assert_eq!(
            check(&[("content-length", "11")], pieces(&[]))
                .await
                .unwrap_err(),
            "request_too_large"
        );
        assert_eq!(
            check(&[("content-type", "text/plain")], pieces(&["{}"]))
                .await
                .unwrap_err(),
            "unsupported_media_type"
        );
        assert_eq!(
            check(&[("content-encoding", "gzip")], pieces(&["{}"]))
                .await
                .unwrap_err(),
            "unsupported_content_encoding"
        );
        let hangs = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(check(&[], hangs).await.unwrap_err(), "request_timeout");
        let breaks = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other(
            "gone",
        ))]));
        assert_eq!(check(&[], breaks).await.unwrap_err(), "broken_body");
    }

    #[tokio::test]
    async fn a_tenants_share_is_used_up_by_its_own_calls_and_comes_back_with_them() {
        let share = BodyShare::new(&LIMITS);
        let first = read(&HeaderMap::new(), pieces(&["0123456789"]), &share, &LIMITS)
            .await
            .ok()
            .unwrap();
        let second = read(&HeaderMap::new(), pieces(&["012345"]), &share, &LIMITS).await;
        assert_eq!(second.err().unwrap().code(), "too_many_bytes_in_flight");
        drop(first);
        assert!(
            read(&HeaderMap::new(), pieces(&["012345"]), &share, &LIMITS)
                .await
                .is_ok()
        );
    }
}
