//! Where the cells of one compartment live.

use std::{sync::Arc, sync::Weak, time::Duration};

use cell::{Cell, CellSpec};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{self, Instant},
};
use wire::cell::FailureKind;

use super::{answer, fault};
use crate::{config::CellUpstream, upstream::Fault};

/// The rooms of one compartment, one for each upstream.
pub(super) struct Rooms(Box<[Arc<Room>]>);

impl Rooms {
    pub(super) fn new(count: usize) -> Rooms {
        Rooms((0..count).map(|_| Arc::default()).collect())
    }

    pub(super) fn get(&self, index: usize) -> Option<&Arc<Room>> {
        self.0.get(index)
    }
}

/// Room for one cell.
#[derive(Default)]
pub(super) struct Room(Mutex<Option<Running>>);

struct Running {
    cell: Arc<Cell>,
    used: Instant,
    /// One of the deployment's places for a cell.
    _slot: OwnedSemaphorePermit,
}

impl Room {
    /// The running cell, or a new one.
    ///
    /// A start goes on when its caller leaves: the next caller, who is of the same tenant, finds it warm.
    ///
    /// # Errors
    /// The cell does not start, or as many run as may.
    pub(super) async fn cell(
        room: &Arc<Room>,
        settings: Arc<CellUpstream>,
        slots: Arc<Semaphore>,
    ) -> Result<Arc<Cell>, Fault> {
        let room = Arc::clone(room);
        let started = tokio::spawn(async move {
            let mut inside = room.0.lock().await;
            if let Some(running) = inside.as_mut().filter(|running| running.cell.is_alive()) {
                running.used = Instant::now();
                return Ok(Arc::clone(&running.cell));
            }
            *inside = None;
            let slot = slots
                .try_acquire_owned()
                .map_err(|_| answer::failure(FailureKind::Busy))?;
            let spec = CellSpec {
                program: settings.program.clone(),
                args: settings.args.clone(),
                model: settings.model_file.clone(),
                threads: settings.threads,
                context_limit: settings.context_limit,
                queue: settings.queue,
                start_timeout: settings.start_timeout,
            };
            let cell = Cell::start(spec).await.map(Arc::new).map_err(|error| {
                tracing::warn!(kind = error.kind().as_str(), "a cell did not start");
                fault(error)
            })?;
            *inside = Some(Running {
                cell: Arc::clone(&cell),
                used: Instant::now(),
                _slot: slot,
            });
            tokio::spawn(stop_when_idle(Arc::downgrade(&room), settings.idle_stop));
            Ok(cell)
        });
        started.await.unwrap_or(Err(Fault::Broken))
    }
}

/// Ends the room's cell once nobody has used it for `idle`.
async fn stop_when_idle(room: Weak<Room>, idle: Duration) {
    let mut wake = Instant::now() + idle;
    loop {
        time::sleep_until(wake).await;
        let Some(room) = room.upgrade() else {
            return;
        };
        let mut inside = room.0.lock().await;
        let Some(running) = inside.as_mut() else {
            return;
        };
        if Arc::strong_count(&running.cell) > 1 {
            running.used = Instant::now();
        }
        wake = running.used + idle;
        if wake <= Instant::now() || !running.cell.is_alive() {
            *inside = None;
            return;
        }
    }
}
