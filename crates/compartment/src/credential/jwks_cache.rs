//! Issuers' key sets, kept for a while and fetched anew when they may have changed.

use super::{
    CredentialError, IssuerPin, JwtIdentity, KeySet, MAX_JWKS_BYTES, PresentedJwt, Reason, verify,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use url::Url;

/// How long a key set is used without asking again.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// How long a key set is used at most while the issuer does not answer.
const STALE: SignedDuration = SignedDuration::from_hours(6);
/// The least time between two fetches because of an unknown key id: whoever sends made-up ids cannot make us hammer an
/// issuer.
const BETWEEN_UNKNOWN: SignedDuration = SignedDuration::from_secs(30);
/// The least time from a fetch that failed to the next. Longer than a fetch may take, so that an issuer that hangs does not
/// hold up every call.
const BETWEEN_FAILED: SignedDuration = SignedDuration::from_secs(15);
/// How long one fetch may take.
const FETCH: Duration = Duration::from_secs(5);
/// How many issuers are remembered.
const MAX_ISSUERS: usize = 32;

/// Fetches a key set. It follows no redirect, reads at most [`MAX_JWKS_BYTES`], and connects to no address inside the
/// deployment's own network.
pub type FetchJwks =
    Arc<dyn Fn(Url) -> BoxFuture<'static, Result<Bytes, FetchError>> + Send + Sync>;

/// A key set was not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection, or it broke.
    #[error("the issuer cannot be reached; its keys were not fetched; it is tried again later")]
    Unreachable,
    /// An answer other than 200.
    #[error(
        "the issuer answers with status {0}; its keys were not fetched; it is tried again later"
    )]
    Status(u16),
    /// A longer answer than is read.
    #[error("the issuer's key set is longer than 256 KiB; it was not used; ask the issuer")]
    TooLong,
    /// The address may not be connected to.
    #[error(
        "the issuer's address may not be connected to; its keys were not fetched; correct jwks_uri"
    )]
    Forbidden,
}

/// The key sets of one compartment's issuers. Nothing in it is shared with another tenant, not even a set from the same
/// address.
pub struct JwksCache {
    fetch: FetchJwks,
    issuers: Mutex<HashMap<Url, Arc<Issuer>>>,
}

/// The turn to fetch is held by the fetch itself, so that it goes on when whoever caused it goes away.
#[derive(Default)]
struct Issuer {
    turn: Arc<tokio::sync::Mutex<()>>,
    known: Mutex<Known>,
}

#[derive(Clone, Default)]
struct Known {
    set: Option<(Arc<KeySet>, Timestamp)>,
    tried: Option<Timestamp>,
    failed: bool,
}

impl JwksCache {
    /// An empty cache that fetches with `fetch`.
    #[must_use]
    pub fn new(fetch: FetchJwks) -> Self {
        Self {
            fetch,
            issuers: Mutex::default(),
        }
    }

    /// Proves a token against `pin`, with the issuer's keys fetched where that is due. Must run within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`CredentialError`]; its reason is [`Reason::IssuerUnavailable`] where the keys cannot be had.
    pub async fn verify(
        &self,
        token: &PresentedJwt<'_>,
        pin: &IssuerPin,
        now: Timestamp,
    ) -> Result<JwtIdentity, CredentialError> {
        // What the token itself rules out is not worth asking the issuer for.
        if !pin.algorithms.contains(&token.algorithm()) {
            return Err(Reason::Algorithm.into());
        }
        let issuer = self.issuer(&pin.jwks_uri);
        let keys = match issuer.settled(token.kid(), now) {
            Some(settled) => settled?,
            None => {
                self.fetched(&issuer, &pin.jwks_uri, token.kid(), now)
                    .await?
            }
        };
        verify(token, pin, &keys, now)
    }

    fn issuer(&self, url: &Url) -> Arc<Issuer> {
        let mut issuers = self.issuers.lock();
        if let Some(issuer) = issuers.get(url) {
            return Arc::clone(issuer);
        }
        // Pins are few and bounded where they are stored; what is left over here is from pins that are gone.
        if issuers.len() >= MAX_ISSUERS {
            let oldest = issuers
                .iter()
                .min_by_key(|(_, issuer)| issuer.known.lock().tried)
                .map(|(url, _)| url.clone());
            oldest.and_then(|url| issuers.remove(&url));
        }
        Arc::clone(issuers.entry(url.clone()).or_default())
    }

    async fn fetched(
        &self,
        issuer: &Arc<Issuer>,
        url: &Url,
        kid: &str,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, CredentialError> {
        let turn = Arc::clone(&issuer.turn).lock_owned().await;
        // Somebody else may have fetched while this one waited.
        if let Some(settled) = issuer.settled(kid, now) {
            return settled;
        }
        let fetching = tokio::time::timeout(FETCH, (self.fetch)(url.clone()));
        let to = Arc::clone(issuer);
        let task = tokio::spawn(async move {
            let _turn = turn;
            let fetched = fetching.await.unwrap_or(Err(FetchError::Unreachable));
            let set = fetched
                .ok()
                .filter(|body| body.len() <= MAX_JWKS_BYTES)
                .and_then(|body| KeySet::parse(&body).ok());
            to.record(set, now);
        });
        // A fetch that panicked recorded nothing; what is known then decides.
        let _ = task.await;
        issuer.known(now).ok_or(Reason::IssuerUnavailable.into())
    }
}

impl std::fmt::Debug for JwksCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JwksCache({} issuers)", self.issuers.lock().len())
    }
}

impl Issuer {
    /// The set to use for `kid` as far as it is settled without fetching; `None` where a fetch is due.
    fn settled(&self, kid: &str, now: Timestamp) -> Option<Result<Arc<KeySet>, CredentialError>> {
        let known = self.known.lock().clone();
        let tried_within = |least| known.tried.is_some_and(|tried| !is_past(tried, least, now));
        if known.failed && tried_within(BETWEEN_FAILED) {
            return Some(self.known(now).ok_or(Reason::IssuerUnavailable.into()));
        }
        let (set, at) = known.set?;
        if is_past(at, FRESH, now) {
            return None;
        }
        if set.get(kid).is_some() || tried_within(BETWEEN_UNKNOWN) {
            Some(Ok(set))
        } else {
            None
        }
    }

    /// The set known, unless it is too old to be used at all.
    fn known(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        let (set, at) = self.known.lock().set.clone()?;
        (!is_past(at, STALE, now)).then_some(set)
    }

    fn record(&self, set: Option<KeySet>, now: Timestamp) {
        let mut known = self.known.lock();
        known.tried = Some(now);
        known.failed = set.is_none();
        if let Some(set) = set {
            known.set = Some((Arc::new(set), now));
        }
    }
}

/// Whether `bound` has gone by since `then`. A clock that was set back counts as if it had.
fn is_past(then: Timestamp, bound: SignedDuration, now: Timestamp) -> bool {
    now < then || now.duration_since(then) >= bound
}
