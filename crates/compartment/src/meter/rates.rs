//! Requests and tokens a minute, for each scope by itself.
//!
//! The buckets are `governor`'s (GCRA), which forget nothing and need no background work. Time comes in as an
//! argument like everywhere else, so a test chooses it; a clock that is set back stands still here until it has
//! caught up.

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use jiff::Timestamp;
use lru::LruCache;
use policy::{Limits, Refusal, Scope};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The most scopes of one tenant that can be counted in one minute. A bucket untouched for that long is full again and
/// needs no memory; where there are more at once, the newcomers are refused rather than somebody's count forgotten.
const MAX_SCOPES: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// How long an empty bucket takes to fill.
const FULL_AFTER: Duration = Duration::from_secs(60);

/// The rates of one tenant.
pub(crate) struct Rates {
    clock: Given,
    scopes: LruCache<Scope, Buckets>,
}

#[derive(Default)]
struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Nanoseconds on [`Given`].
    touched: u64,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            clock: Given::default(),
            scopes: LruCache::new(MAX_SCOPES),
        }
    }

    /// The most output tokens for each choice with which a call of `input` tokens still fits into every full bucket:
    /// without this, a model's cap above the minute's tokens would refuse every call that names no bound.
    pub(crate) fn widest_output(scopes: &[(Scope, Limits)], input: u64, choices: u32) -> u32 {
        let tightest = scopes
            .iter()
            .filter_map(|(_, limits)| limits.tokens_per_minute)
            .min()
            .map_or(u64::MAX, |limit| u64::from(limit.get()));
        let each = tightest.saturating_sub(input) / u64::from(choices.max(1));
        u32::try_from(each).unwrap_or(u32::MAX)
    }

    /// Takes `n` requests or tokens out of every scope's bucket, the narrowest scope first, so that a throttled end user
    /// does not eat what the tenant's others could use.
    ///
    /// # Errors
    ///
    /// The refusal of the first scope whose bucket does not hold as much; wider scopes lose nothing then.
    pub(crate) fn take(
        &mut self,
        what: Counted,
        scopes: &[(Scope, Limits)],
        n: u64,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.clock.set(now);
        let Some(n) = NonZeroU32::new(u32::try_from(n).unwrap_or(u32::MAX)) else {
            return Ok(());
        };
        let mut narrow_first: Vec<_> = scopes.iter().collect();
        narrow_first.sort_by_key(|(scope, _)| width(scope));
        for (scope, limits) in narrow_first {
            if let Some(limit) = what.limit(limits) {
                let (buckets, clock) = self.buckets(scope, what)?;
                let wait = match take(what.bucket(buckets), limit, n, clock) {
                    Ok(()) => continue,
                    Err(wait) => wait,
                };
                return Err(refuse(scope, what, wait));
            }
        }
        Ok(())
    }

    fn buckets(&mut self, scope: &Scope, what: Counted) -> Result<(&mut Buckets, &Given), Refusal> {
        let now = self.clock.nanos();
        if !self.scopes.contains(scope) && self.scopes.len() == MAX_SCOPES.get() {
            let idle =
                |touched: u64| Duration::from_nanos(now.saturating_sub(touched)) >= FULL_AFTER;
            if !self
                .scopes
                .peek_lru()
                .is_some_and(|(_, oldest)| idle(oldest.touched))
            {
                return Err(refuse(scope, what, Some(FULL_AFTER)));
            }
        }
        let buckets = self.scopes.get_or_insert_mut_ref(scope, Buckets::default);
        buckets.touched = now;
        Ok((buckets, &self.clock))
    }
}

/// What a bucket holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    Requests,
    Tokens,
}

impl Counted {
    fn limit(self, limits: &Limits) -> Option<NonZeroU32> {
        match self {
            Self::Requests => limits.requests_per_minute,
            Self::Tokens => limits.tokens_per_minute,
        }
    }

    fn bucket(self, buckets: &mut Buckets) -> &mut Option<Bucket> {
        match self {
            Self::Requests => &mut buckets.requests,
            Self::Tokens => &mut buckets.tokens,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

fn width(scope: &Scope) -> u8 {
    match scope {
        Scope::Subject(_) => 0,
        Scope::Key(_) => 1,
        Scope::Model(_) => 2,
        Scope::Tenant => 3,
    }
}

fn refuse(scope: &Scope, what: Counted, wait: Option<Duration>) -> Refusal {
    let mut refusal = Refusal::rate(scope.clone(), what.name(), wait.unwrap_or_default());
    refusal.retry_after = wait;
    refusal
}

/// `Err` says how long to wait, or `None` where the bucket can never hold as much.
fn take(
    slot: &mut Option<Bucket>,
    limit: NonZeroU32,
    n: NonZeroU32,
    clock: &Given,
) -> Result<(), Option<Duration>> {
    let mut bucket = match slot.take() {
        Some(bucket) if bucket.limit == limit => bucket,
        old => Bucket::after(old, limit, clock),
    };
    let taken = bucket.take(n, clock);
    *slot = Some(bucket);
    taken
}

struct Bucket {
    limit: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, Given, NoOpMiddleware<Duration>>,
    /// How much was out of the bucket at `at`, so that a changed limit does not come with a full bucket.
    used: u32,
    at: u64,
}

impl Bucket {
    fn after(old: Option<Self>, limit: NonZeroU32, clock: &Given) -> Self {
        let mut bucket = Self {
            limit,
            limiter: RateLimiter::direct_with_clock(Quota::per_minute(limit), clock.clone()),
            used: 0,
            at: clock.nanos(),
        };
        let used = old.map_or(0, |old| old.used_at(clock.nanos()));
        if let Some(full) = NonZeroU32::new(used.min(limit.get())) {
            // A full bucket holds `limit`, so this cannot be refused.
            let _ = bucket.take(full, clock);
        }
        // What a smaller bucket cannot hold is remembered for the next, larger one.
        bucket.used = used;
        bucket
    }

    fn take(&mut self, n: NonZeroU32, clock: &Given) -> Result<(), Option<Duration>> {
        match self.limiter.check_n(n) {
            Ok(Ok(())) => {
                self.used = self.used_at(clock.nanos()).saturating_add(n.get());
                self.at = clock.nanos();
                Ok(())
            }
            Ok(Err(not_until)) => Err(Some(not_until.wait_time_from(clock.now()))),
            Err(_) => Err(None),
        }
    }

    fn used_at(&self, nanos: u64) -> u32 {
        let elapsed = u128::from(nanos.saturating_sub(self.at));
        let back = elapsed * u128::from(self.limit.get()) / FULL_AFTER.as_nanos();
        self.used
            .saturating_sub(u32::try_from(back).unwrap_or(u32::MAX))
    }
}

/// The time that was given with the call, in nanoseconds since 1970; it never goes back.
#[derive(Clone, Default)]
struct Given(Arc<AtomicU64>);

impl Given {
    fn set(&self, now: Timestamp) {
        let nanos = u64::try_from(now.as_nanosecond()).unwrap_or(0);
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }

    fn nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clock for Given {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(START + seconds).unwrap()
    }

    fn limits(requests: Option<u32>, tokens: Option<u32>) -> Limits {
        Limits {
            requests_per_minute: requests.and_then(NonZeroU32::new),
            tokens_per_minute: tokens.and_then(NonZeroU32::new),
            ..Limits::NONE
        }
    }

    fn key(name: &str) -> Scope {
        Scope::Key(name.into())
    }

    #[test]
    fn a_minute_holds_as_many_requests_as_the_limit_says() {
        let mut rates = Rates::new();
        let scopes = [(Scope::Tenant, limits(Some(3), None))];
        for _ in 0..3 {
            rates.take(Counted::Requests, &scopes, 1, at(0)).unwrap();
        }
        let refusal = rates
            .take(Counted::Requests, &scopes, 1, at(0))
            .unwrap_err();
        let wait = refusal.retry_after.unwrap();
        assert!(
            wait <= Duration::from_secs(20) && !wait.is_zero(),
            "{wait:?}"
        );
        assert!(rates.take(Counted::Requests, &scopes, 1, at(19)).is_err());
        rates.take(Counted::Requests, &scopes, 1, at(20)).unwrap();
        assert!(rates.take(Counted::Requests, &scopes, 1, at(20)).is_err());
    }

    #[test]
    fn one_keys_flood_leaves_the_others_their_rate() {
        let mut rates = Rates::new();
        let of = |name| {
            [
                (Scope::Tenant, limits(Some(10), None)),
                (key(name), limits(Some(2), None)),
            ]
        };
        let made = (0..100)
            .filter(|_| rates.take(Counted::Requests, &of("loud"), 1, at(0)).is_ok())
            .count();
        assert_eq!(made, 2);
        let quiet = (0..100)
            .filter(|_| {
                rates
                    .take(Counted::Requests, &of("quiet"), 1, at(0))
                    .is_ok()
            })
            .count();
        assert_eq!(quiet, 2);
    }

    #[test]
    fn a_clock_that_is_set_back_refills_nothing() {
        let mut rates = Rates::new();
        let scopes = [(Scope::Tenant, limits(None, Some(60)))];
        rates.take(Counted::Tokens, &scopes, 60, at(100)).unwrap();
        for seconds in [100, 0, 50, 100] {
            assert!(
                rates
                    .take(Counted::Tokens, &scopes, 1, at(seconds))
                    .is_err(),
                "{seconds}"
            );
        }
        rates.take(Counted::Tokens, &scopes, 1, at(101)).unwrap();
    }

    #[test]
    fn more_tokens_than_a_full_bucket_holds_are_refused_without_a_time_to_wait_for() {
        let mut rates = Rates::new();
        let scopes = [(Scope::Tenant, limits(None, Some(60)))];
        assert_eq!(
            rates
                .take(Counted::Tokens, &scopes, 61, at(0))
                .unwrap_err()
                .retry_after,
            None
        );
        assert_eq!(Rates::widest_output(&scopes, 10, 2), 25);
        assert_eq!(Rates::widest_output(&scopes, 100, 1), 0);
    }

    #[test]
    fn changing_a_limit_to_and_fro_gives_no_fresh_bucket() {
        let mut rates = Rates::new();
        let mut made = 0;
        for round in 0..50 {
            let scopes = [(Scope::Tenant, limits(Some(10 - round % 2), None))];
            made += (0..20)
                .filter(|_| rates.take(Counted::Requests, &scopes, 1, at(0)).is_ok())
                .count();
        }
        assert_eq!(made, 10);
    }

    #[test]
    fn ever_new_scopes_take_no_more_memory_and_forget_nobody() {
        let mut rates = Rates::new();
        let limits = limits(Some(1), None);
        for n in 0..MAX_SCOPES.get() {
            rates
                .take(
                    Counted::Requests,
                    &[(key(&n.to_string()), limits)],
                    1,
                    at(0),
                )
                .unwrap();
        }
        assert!(
            rates
                .take(Counted::Requests, &[(key("new"), limits)], 1, at(0))
                .is_err()
        );
        assert!(
            rates
                .take(Counted::Requests, &[(key("0"), limits)], 1, at(0))
                .is_err()
        );
        rates
            .take(Counted::Requests, &[(key("new"), limits)], 1, at(61))
            .unwrap();
        assert_eq!(rates.scopes.len(), MAX_SCOPES.get());
    }
}
