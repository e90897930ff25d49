//! Generations that wait, and the one that runs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wire::cell::Generate;

/// A bounded queue whose waiting entries can be taken out again.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<Generate>>,
    running: Option<(u64, Arc<AtomicBool>)>,
}

/// Why a generation was not queued.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    Full,
    /// Its id is already here.
    Known,
}

/// What a cancel met.
#[derive(Debug, PartialEq)]
pub(super) enum Cancelled {
    /// It waited and is gone; nobody else will announce its end.
    Waiting,
    /// It runs and was told to stop, or is not here at all.
    Elsewhere,
}

impl Queue {
    /// A queue in which `limit` generations may wait.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            limit,
        }
    }

    pub(super) fn add(&self, request: Box<Generate>) -> Result<(), Refusal> {
        let mut state = self.state();
        let runs = state
            .running
            .as_ref()
            .is_some_and(|(id, _)| *id == request.id);
        if runs || state.waiting.iter().any(|waiting| waiting.id == request.id) {
            return Err(Refusal::Known);
        }
        if state.waiting.len() >= self.limit {
            return Err(Refusal::Full);
        }
        state.waiting.push_back(request);
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn cancel(&self, id: u64) -> Cancelled {
        let mut state = self.state();
        if let Some((running, flag)) = &state.running
            && *running == id
        {
            flag.store(true, Ordering::Relaxed);
            return Cancelled::Elsewhere;
        }
        let before = state.waiting.len();
        state.waiting.retain(|waiting| waiting.id != id);
        if state.waiting.len() < before {
            Cancelled::Waiting
        } else {
            Cancelled::Elsewhere
        }
    }

    /// Waits for the next generation and marks it running; the flag turns true when it is cancelled.
    pub(super) fn next(&self) -> (Box<Generate>, Arc<AtomicBool>) {
        let mut state = self.state();
        loop {
            if let Some(request) = state.waiting.pop_front() {
                let flag = Arc::new(AtomicBool::new(false));
                state.running = Some((request.id, Arc::clone(&flag)));
                return (request, flag);
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The running generation ended.
    pub(super) fn finish(&self) {
        self.state().running = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::cell::{Prompt, Sampling};

    fn request(id: u64) -> Box<Generate> {
        Box::new(Generate {
            id,
            prompt: Prompt::Raw(String::new()),
            sampling: Sampling::default(),
        })
    }

    #[test]
    fn the_queue_is_bounded_in_order_and_knows_every_id_once() {
        let queue = Queue::new(2);
        assert_eq!(queue.add(request(1)), Ok(()));
        assert_eq!(queue.next().0.id, 1);
        assert_eq!(queue.add(request(1)), Err(Refusal::Known));
        assert_eq!(
            (queue.add(request(2)), queue.add(request(3))),
            (Ok(()), Ok(()))
        );
        assert_eq!(queue.add(request(3)), Err(Refusal::Known));
        assert_eq!(queue.add(request(4)), Err(Refusal::Full));
        queue.finish();
        assert_eq!((queue.next().0.id, queue.next().0.id), (2, 3));
        assert_eq!(
            queue.add(request(1)),
            Ok(()),
            "an id that ended may come again"
        );
    }

    #[test]
    fn a_cancel_takes_out_what_waits_and_stops_what_runs() {
        let queue = Queue::new(2);
        queue.add(request(1)).unwrap();
        let (_, flag) = queue.next();
        queue.add(request(2)).unwrap();
        queue.add(request(3)).unwrap();
        assert_eq!(queue.cancel(2), Cancelled::Waiting);
        assert_eq!(queue.cancel(2), Cancelled::Elsewhere);
        assert_eq!(queue.add(request(4)), Ok(()), "its place is free at once");
        assert!(!flag.load(Ordering::Relaxed));
        assert_eq!(queue.cancel(1), Cancelled::Elsewhere);
        assert!(flag.load(Ordering::Relaxed));
        queue.finish();
        assert_eq!(queue.cancel(1), Cancelled::Elsewhere);
        assert_eq!(queue.next().0.id, 3);
    }
}
