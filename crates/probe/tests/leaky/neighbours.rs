//! What a neighbour's calls do to others on the same engine.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Switch;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A parameter that one call sets stays set for those that do not.
    pub sticky: bool,
    /// One short queue for everybody, first come first served.
    pub one_queue: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "sticky_parameters",
        row: 19,
        turn: |switches| switches.neighbours.sticky = true,
    },
    Switch {
        name: "one_queue",
        row: 24,
        turn: |switches| switches.neighbours.one_queue = true,
    },
];

pub struct Neighbours {
    stop: Mutex<Option<Value>>,
    queue: Arc<Semaphore>,
}

impl Default for Neighbours {
    fn default() -> Neighbours {
        Neighbours {
            stop: Mutex::default(),
            queue: Arc::new(Semaphore::new(12)),
        }
    }
}

impl Neighbours {
    pub fn stick(&self, switches: &Switches, sent: &mut Value) {
        if !switches.sticky {
            return;
        }
        let mut kept = self.stop.lock().unwrap();
        match (&*kept, sent.get("stop")) {
            (_, Some(stop)) => *kept = Some(stop.clone()),
            (Some(kept), None) => sent["stop"] = kept.clone(),
            (None, None) => {}
        }
    }

    /// A place in the queue, held until the upstream begins to answer; none where there is no queue.
    pub async fn place(&self, switches: &Switches) -> Option<OwnedSemaphorePermit> {
        if !switches.one_queue {
            return None;
        }
        Arc::clone(&self.queue).acquire_owned().await.ok()
    }
}
