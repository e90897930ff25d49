//! How often an issuer is asked, and what is believed meanwhile.

use super::{test_issuer::*, *};
use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::sync::Semaphore;

use Algorithm::ES256;

/// An address of keys that counts who asks, and answers when it is let.
struct Endpoint {
    answer: Mutex<Result<Bytes, FetchError>>,
    fetches: AtomicUsize,
    gate: Semaphore,
}

impl Endpoint {
    fn new(set: &Value) -> Arc<Self> {
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        let endpoint = Self {
            answer: Mutex::new(Ok(Bytes::new())),
            fetches: AtomicUsize::new(0),
            gate,
        };
        endpoint.answers(set);
        Arc::new(endpoint)
    }

    fn answers(&self, set: &Value) {
        *self.answer.lock() = Ok(set.to_string().into());
    }

    fn fails(&self, error: FetchError) {
        *self.answer.lock() = Err(error);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(SeqCst)
    }

    fn cache(self: &Arc<Self>) -> JwksCache {
        let endpoint = Arc::clone(self);
        JwksCache::new(Arc::new(move |_url| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                endpoint.fetches.fetch_add(1, SeqCst);
                let _permit = endpoint.gate.acquire().await.unwrap();
                endpoint.answer.lock().clone()
            }
            .boxed()
        }))
    }
}

async fn ask(cache: &JwksCache, token: &str, now: Timestamp) -> Result<JwtIdentity, Reason> {
    cache
        .verify(&parsed(token).unwrap(), &pin(), now)
        .await
        .map_err(|error| error.reason())
}

/// A good token that ends late enough for tests over hours, signed with the key of that id.
fn lasting(issuer: &TestIssuer, kid: &str) -> String {
    let mut header = header(ES256);
    header["kid"] = json!(kid);
    let mut claims = claims();
    claims["exp"] = json!(NOW + 1_000_000);
    issuer.token(ES256, &header, &claims)
}

/// A key set with one key under that id.
fn set_of(issuer: &TestIssuer, kid: &str) -> Value {
    let mut key = issuer.jwk(ES256);
    key["kid"] = json!(kid);
    json!({ "keys": [key] })
}

#[tokio::test]
async fn a_rotated_key_is_taken_up_and_the_old_one_let_go() {
    let (old, new) = (TestIssuer::a(), TestIssuer::b());
    let endpoint = Endpoint::new(&set_of(&old, "k1"));
    let cache = endpoint.cache();
    let (by_old, by_new) = (lasting(&old, "k1"), lasting(&new, "k2"));
    for second in 0..100 {
        assert!(ask(&cache, &by_old, at(second)).await.is_ok());
    }
    assert_eq!(endpoint.fetches(), 1, "one fetch serves many tokens");

    endpoint.answers(&set_of(&new, "k2"));
    assert!(ask(&cache, &by_old, at(101)).await.is_ok(), "not asked yet");
    assert!(
        ask(&cache, &by_new, at(101)).await.is_ok(),
        "an unknown id has the set fetched anew"
    );
    assert_eq!(endpoint.fetches(), 2);
    assert_eq!(ask(&cache, &by_old, at(102)).await, Err(Reason::UnknownKey));
    assert_eq!(endpoint.fetches(), 2);
    // The same id, another key: taken up when the set is no longer fresh.
    endpoint.answers(&set_of(&old, "k2"));
    assert!(ask(&cache, &by_new, at(101 + 599)).await.is_ok());
    assert_eq!(
        ask(&cache, &by_new, at(101 + 600)).await,
        Err(Reason::NotProven)
    );
    assert!(
        ask(&cache, &lasting(&old, "k2"), at(101 + 601))
            .await
            .is_ok()
    );
    assert_eq!(endpoint.fetches(), 3);
}

#[tokio::test]
async fn made_up_key_ids_do_not_make_us_hammer_the_issuer() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&set_of(&issuer, "k1"));
    let cache = endpoint.cache();
    let good = lasting(&issuer, "k1");
    for second in 0..90 {
        for kid in 0..5 {
            let made_up = lasting(&issuer, &format!("{second}-{kid}"));
            assert_eq!(
                ask(&cache, &made_up, at(second)).await,
                Err(Reason::UnknownKey)
            );
        }
        assert!(
            ask(&cache, &good, at(second)).await.is_ok(),
            "the positive control"
        );
    }
    assert_eq!(endpoint.fetches(), 3, "at seconds 0, 30 and 60");
}

#[tokio::test]
async fn what_the_pin_rules_out_is_not_worth_a_fetch() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    let cache = endpoint.cache();
    let pin = IssuerPin {
        algorithms: vec![Algorithm::RS256],
        ..pin()
    };
    let good = issuer.good(ES256);
    let refused = cache.verify(&parsed(&good).unwrap(), &pin, now()).await;
    assert_eq!(
        (refused.unwrap_err().reason(), endpoint.fetches()),
        (Reason::Algorithm, 0)
    );
    let good = issuer.good(Algorithm::RS256);
    assert!(
        cache
            .verify(&parsed(&good).unwrap(), &pin, now())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn many_callers_at_once_share_one_fetch_even_when_the_first_goes_away() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    let closed = endpoint.gate.forget_permits(usize::MAX);
    let cache = endpoint.cache();
    let good = issuer.good(ES256);
    let mut first = Box::pin(ask(&cache, &good, now()));
    while endpoint.fetches() == 0 {
        assert!(first.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(first);
    let all = join_all((0..50).map(|_| ask(&cache, &good, now())));
    let open = async { endpoint.gate.add_permits(closed) };
    let (all, ()) = tokio::join!(all, open);
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(endpoint.fetches(), 1);
}

#[tokio::test]
async fn an_issuer_that_fails_is_asked_sparingly_and_its_keys_are_used_for_hours_only() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    let cache = endpoint.cache();
    let good = lasting(&issuer, "p256");
    endpoint.fails(FetchError::Unreachable);
    assert_eq!(
        ask(&cache, &good, at(0)).await,
        Err(Reason::IssuerUnavailable)
    );
    assert_eq!(
        ask(&cache, &good, at(14)).await,
        Err(Reason::IssuerUnavailable)
    );
    assert_eq!(endpoint.fetches(), 1);
    endpoint.answers(&issuer.jwks());
    assert!(
        ask(&cache, &good, at(15)).await.is_ok(),
        "it recovers by itself"
    );
    assert_eq!(endpoint.fetches(), 2);

    let huge = Bytes::from(format!("{}{}", issuer.jwks(), " ".repeat(MAX_JWKS_BYTES)));
    for (hour, answer) in [
        (1, Err(FetchError::Status(500))),
        (2, Ok(Bytes::from("<html>"))),
        (3, Ok(huge)),
        (4, Err(FetchError::Forbidden)),
        (5, Ok(Bytes::from(r#"{"keys":7}"#))),
    ] {
        *endpoint.answer.lock() = answer;
        let before = endpoint.fetches();
        for second in 0..10 {
            assert!(
                ask(&cache, &good, at(hour * 3600 + second)).await.is_ok(),
                "hour {hour}"
            );
        }
        assert_eq!(endpoint.fetches(), before + 1, "hour {hour}");
    }
    assert_eq!(
        ask(&cache, &good, at(15 + 6 * 3600)).await,
        Err(Reason::IssuerUnavailable),
        "too old to be used"
    );
    endpoint.answers(&issuer.jwks());
    assert!(ask(&cache, &good, at(30 + 6 * 3600)).await.is_ok());
}

#[tokio::test]
async fn an_empty_key_set_is_an_answer() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    let cache = endpoint.cache();
    let good = lasting(&issuer, "p256");
    assert!(ask(&cache, &good, at(0)).await.is_ok());
    endpoint.answers(&json!({ "keys": [] }));
    assert_eq!(
        ask(&cache, &good, at(600)).await,
        Err(Reason::UnknownKey),
        "an issuer that withdraws its keys is heard"
    );
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_is_given_up_on() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    endpoint.gate.forget_permits(usize::MAX);
    let cache = endpoint.cache();
    let before = tokio::time::Instant::now();
    assert_eq!(
        ask(&cache, &issuer.good(ES256), now()).await,
        Err(Reason::IssuerUnavailable)
    );
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_clock_that_is_set_back_has_the_keys_fetched_anew() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    let cache = endpoint.cache();
    let good = lasting(&issuer, "p256");
    assert!(ask(&cache, &good, at(100)).await.is_ok());
    assert!(ask(&cache, &good, at(50)).await.is_ok());
    assert_eq!(endpoint.fetches(), 2);
}

#[tokio::test]
async fn the_number_of_issuers_is_bounded() {
    let issuer = TestIssuer::a();
    let endpoint = Endpoint::new(&issuer.jwks());
    let cache = endpoint.cache();
    let good = lasting(&issuer, "p256");
    let ask = |host: usize, second| {
        let pin = IssuerPin {
            jwks_uri: format!("https://i{host}.example.com/").parse().unwrap(),
            ..pin()
        };
        let (cache, good) = (&cache, &good);
        async move { cache.verify(&parsed(good).unwrap(), &pin, at(second)).await }
    };
    for host in 0..40 {
        assert!(ask(host, host as i64).await.is_ok());
    }
    assert_eq!(format!("{cache:?}"), "JwksCache(32 issuers)");
    assert!(ask(39, 41).await.is_ok());
    assert_eq!(endpoint.fetches(), 40, "the latest is remembered");
    assert!(ask(0, 42).await.is_ok());
    assert_eq!(endpoint.fetches(), 41, "the oldest is not");
}
