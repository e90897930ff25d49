//! Which tenants are open: none twice, no more than a bound, the longest unused closed first.

use crate::{error::Refused, id::TenantId};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedMutexGuard, Semaphore};

/// How many tenants are being opened at one moment. A key service that hangs for many of them then still leaves
/// threads for those that are open.
const OPENING: usize = 32;

/// How long a call waits for its tenant's turn to be opened.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open tenants. INVARIANT: a `T` is made and dropped only by whoever holds its place's `gate`, so that the next one
/// is not opened while the last one still writes.
pub(crate) struct Registry<T> {
    places: Mutex<HashMap<TenantId, Arc<Place<T>>>>,
    /// Ends a `T` so that it can be opened again; may block.
    finish: fn(&T),
    opening: Semaphore,
    capacity: usize,
    open: AtomicUsize,
    uses: AtomicU64,
    /// When the last round was, in seconds: the only clock here.
    round: AtomicI64,
}

struct Place<T> {
    gate: Arc<tokio::sync::Mutex<()>>,
    slot: Mutex<Option<Arc<T>>>,
    /// When it was used last, counted in uses.
    used: AtomicU64,
    /// When it was used last: after which round.
    round: AtomicI64,
}

impl<T> Place<T> {
    fn get(&self) -> Option<Arc<T>> {
        self.slot.lock().clone()
    }

    /// Takes the value out if nobody else holds it. A holder would have cloned it under the same lock.
    fn take_idle(&self) -> Option<Arc<T>> {
        let slot = &mut *self.slot.lock();
        slot.take_if(|value| Arc::strong_count(value) == 1)
    }
}

impl<T: Send + Sync + 'static> Registry<T> {
    pub(crate) fn new(capacity: usize, finish: fn(&T)) -> Self {
        Self {
            places: Mutex::default(),
            finish,
            opening: Semaphore::new(OPENING),
            capacity: capacity.max(1),
            open: AtomicUsize::new(0),
            uses: AtomicU64::new(0),
            round: AtomicI64::new(0),
        }
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Those that are open, for walking them one at a time.
    pub(crate) fn ids(&self) -> Vec<TenantId> {
        let places = self.places.lock();
        places
            .iter()
            .filter(|(_, place)| place.slot.lock().is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    /// The tenant if it is open. Counts as no use of it.
    pub(crate) fn peek(&self, id: &TenantId) -> Option<Arc<T>> {
        self.places.lock().get(id)?.get()
    }

    /// The tenant, opened by `open` on a thread that may block, if it was not.
    ///
    /// # Errors
    ///
    /// What `open` says, and then the next call tries again; [`Refused::Overloaded`] where as many are in use as may be
    /// open.
    pub(crate) async fn get(
        self: &Arc<Self>,
        id: TenantId,
        open: impl FnOnce() -> Result<T, Refused> + Send + 'static,
    ) -> Result<Arc<T>, Refused> {
        let place = self.place(id);
        if let Some(value) = place.get() {
            return Ok(value);
        }
        let turn = async {
            let gate = Arc::clone(&place.gate).lock_owned().await;
            (self.opening.acquire().await, gate)
        };
        let (permit, gate) = tokio::time::timeout(PATIENCE, turn)
            .await
            .map_err(|_| Refused::Overloaded)?;
        if let Some(value) = place.get() {
            return Ok(value);
        }
        let registry = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || registry.open(&place, gate, open)).await;
        drop(permit);
        opened.map_err(|_| Refused::Internal)?
    }

    /// Closes one tenant if nobody uses it. Blocks.
    pub(crate) fn close_idle(&self, id: &TenantId) -> bool {
        let place = self.places.lock().get(id).cloned();
        place.is_some_and(|place| self.close(&place))
    }

    /// One round: closes those that nobody used for as long as `idle`. Blocks.
    pub(crate) fn close_unused(&self, now: Timestamp, idle: SignedDuration) {
        self.round.fetch_max(now.as_second(), Ordering::Relaxed);
        let places: Vec<_> = self.places.lock().values().cloned().collect();
        for place in places {
            // used before the first round: from now on
            let _ = place.round.compare_exchange(
                0,
                now.as_second(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if now.as_second() - place.round.load(Ordering::Relaxed) >= idle.as_secs() {
                self.close(&place);
            }
        }
    }

    /// Closes those that nobody uses, the longest unused first, until `keep` are left. Blocks.
    fn close_longest_unused(&self, keep: usize) {
        let mut by_use: Vec<_> = self.places.lock().values().cloned().collect();
        by_use.sort_by_key(|place| place.used.load(Ordering::Relaxed));
        for place in by_use {
            if self.len() <= keep {
                return;
            }
            self.close(&place);
        }
    }

    fn place(&self, id: TenantId) -> Arc<Place<T>> {
        let mut places = self.places.lock();
        let place = places.entry(id).or_insert_with(|| {
            Arc::new(Place {
                gate: Arc::default(),
                slot: Mutex::new(None),
                used: AtomicU64::new(0),
                round: AtomicI64::new(0),
            })
        });
        place
            .used
            .store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        place
            .round
            .store(self.round.load(Ordering::Relaxed), Ordering::Relaxed);
        Arc::clone(place)
    }

    /// Holds the gate until it is done even if the caller is long gone.
    fn open(
        &self,
        place: &Place<T>,
        gate: OwnedMutexGuard<()>,
        open: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<Arc<T>, Refused> {
        if self.len() >= self.capacity {
            self.close_longest_unused(self.capacity - 1);
        }
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Overloaded);
        }
        let opened = open().map(Arc::new).inspect_err(|_| {
            self.open.fetch_sub(1, Ordering::Relaxed);
        })?;
        *place.slot.lock() = Some(Arc::clone(&opened));
        drop(gate);
        Ok(opened)
    }

    fn close(&self, place: &Place<T>) -> bool {
        let Ok(gate) = Arc::clone(&place.gate).try_lock_owned() else {
            return false;
        };
        let Some(idle) = place.take_idle() else {
            return false;
        };
        (self.finish)(&idle);
        drop(idle);
        self.open.fetch_sub(1, Ordering::Relaxed);
        drop(gate);
        self.forget_empty_places();
        true
    }

    /// A place that somebody is about to open is held by that somebody, so it stays.
    fn forget_empty_places(&self) {
        let mut places = self.places.lock();
        if places.len() > 2 * self.capacity {
            places.retain(|_, place| Arc::strong_count(place) > 1 || place.slot.lock().is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn id(n: u8) -> TenantId {
        TenantId::from_bytes([n; 16])
    }

    /// Says when it is dropped, slowly.
    struct Noted(Arc<AtomicBool>);

    impl Noted {
        fn open(busy: &Arc<AtomicBool>) -> Result<Self, Refused> {
            assert!(!busy.swap(true, Ordering::SeqCst), "open twice");
            Ok(Self(Arc::clone(busy)))
        }
    }

    impl Drop for Noted {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(2));
            self.0.store(false, Ordering::SeqCst);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_tenant_is_never_open_twice() {
        let registry = Arc::new(Registry::new(2, |_| ()));
        let busy: Vec<_> = (0..4).map(|_| Arc::new(AtomicBool::new(false))).collect();
        let tasks: Vec<_> = (0..200_usize)
            .map(|n| {
                let (registry, busy) = (Arc::clone(&registry), Arc::clone(&busy[n % 4]));
                tokio::spawn(async move {
                    let get = registry.get(id((n % 4) as u8), move || Noted::open(&busy));
                    // Some give up at once, in the middle of opening.
                    let patience = Duration::from_micros((n as u64 % 3) * 700);
                    match tokio::time::timeout(patience, get).await {
                        Ok(Ok(value)) => drop(value),
                        Ok(Err(refused)) => assert_eq!(refused, Refused::Overloaded),
                        Err(_) => {}
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(registry.len() <= 2);
    }

    #[tokio::test]
    async fn those_in_use_stay_open_and_the_longest_unused_goes_first() {
        let registry = Arc::new(Registry::new(2, |_| ()));
        let one = registry.get(id(1), || Ok(1)).await.unwrap();
        drop(registry.get(id(2), || Ok(2)).await.unwrap());
        let three = registry.get(id(3), || Ok(3)).await.unwrap();
        assert!(registry.peek(&id(2)).is_none() && registry.peek(&id(1)).is_some());
        assert_eq!(
            registry.get(id(4), || Ok(4)).await,
            Err(Refused::Overloaded)
        );
        drop(one);
        assert_eq!(registry.get(id(4), || Ok(4)).await.as_deref(), Ok(&4));
        assert!(registry.peek(&id(1)).is_none());
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        registry.close_unused(at(0), SignedDuration::from_secs(60));
        drop(registry.get(id(4), || Ok(4)).await);
        registry.close_unused(at(59), SignedDuration::from_secs(60));
        assert_eq!(registry.len(), 2);
        registry.close_unused(at(60), SignedDuration::from_secs(60));
        assert_eq!(registry.ids(), [id(3)]);
        drop(three);
    }

    #[tokio::test]
    async fn what_was_used_before_the_first_round_is_not_closed_by_it() {
        let registry = Arc::new(Registry::new(1, |_| ()));
        drop(registry.get(id(1), || Ok(1)).await);
        let first = Timestamp::from_second(1_800_000_000).unwrap();
        registry.close_unused(first, SignedDuration::from_secs(60));
        assert_eq!(registry.len(), 1);
    }

    #[tokio::test]
    async fn what_does_not_open_is_tried_again() {
        let registry = Arc::new(Registry::new(1, |_| ()));
        let failed = registry
            .get(id(1), || Err::<u8, _>(Refused::KeyServiceUnavailable))
            .await;
        assert_eq!(failed, Err(Refused::KeyServiceUnavailable));
        assert_eq!(registry.get(id(1), || Ok(1)).await.as_deref(), Ok(&1));
        assert_eq!(registry.len(), 1);
    }
}
