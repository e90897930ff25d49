//! Counts for metrics: numbers and fixed words, no content and no tenant.

use crate::error::Refused;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// How the house does, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HouseStats {
    /// Compartments that are open.
    pub open_compartments: usize,
    /// Permits that are not settled.
    pub permits_in_flight: u64,
    /// Permits since the start.
    pub permits: u64,
    /// Notes of calls that the disk did not take yet: none, but while it refuses.
    pub settlements_waiting: usize,
    /// Writes of open compartments that wait for the disk.
    pub writes_waiting: usize,
    /// Calls and credentials refused since the start, by [`Refused::code`].
    pub refusals: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
pub(crate) struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub(crate) fn permit_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn permit_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        let mut refusals = self.refusals.lock();
        let count = refusals.entry(refused.code()).or_default();
        *count = count.saturating_add(1);
    }

    /// What is counted here; the rest is for the caller to fill in.
    pub(super) fn stats(&self) -> HouseStats {
        let closed = self.closed.load(Ordering::Relaxed);
        let permits = self.opened.load(Ordering::Relaxed);
        HouseStats {
            permits_in_flight: permits.saturating_sub(closed),
            permits,
            refusals: self.refusals.lock().clone(),
            ..HouseStats::default()
        }
    }
}
