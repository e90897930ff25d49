//! Where desks wait for the threads that serve them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// A line of desks. One stands in it once, and goes to its end after each service, so that a busy tenant does not keep
/// the others waiting.
pub(super) struct Line<D> {
    waiting: Mutex<Waiting<D>>,
    news: Condvar,
}

struct Waiting<D> {
    desks: VecDeque<Arc<D>>,
    closed: bool,
}

impl<D> Default for Line<D> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                desks: VecDeque::new(),
                closed: false,
            }),
            news: Condvar::new(),
        }
    }
}

impl<D> Line<D> {
    /// Says whether somebody will come to `desk`.
    pub(super) fn enter(&self, desk: &Arc<D>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        waiting.desks.push_back(Arc::clone(desk));
        drop(waiting);
        self.news.notify_one();
        true
    }

    /// Serves desks until the line is closed and empty. `work` says whether there is more of it.
    pub(super) fn serve(&self, work: impl Fn(&Arc<D>) -> bool) {
        while let Some(desk) = self.next() {
            if work(&desk) {
                // even where the line is closed: this thread comes back for it
                self.waiting.lock().desks.push_back(desk);
                self.news.notify_one();
            }
        }
    }

    fn next(&self) -> Option<Arc<D>> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(desk) = waiting.desks.pop_front() {
                return Some(desk);
            }
            if waiting.closed {
                return None;
            }
            self.news.wait(&mut waiting);
        }
    }

    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.news.notify_all();
    }
}
