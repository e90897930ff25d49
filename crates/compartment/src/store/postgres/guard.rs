//! Who serves: one process at a time.
//!
//! What decides about calls (budgets, rates, revocations) is in the memory of the process that serves, so two of them
//! would not know of each other's. The one that serves holds an advisory lock for as long as its session lasts, and has
//! counted up the epoch. Whoever loses the session refuses everything, until it has the lock again and finds that nobody
//! counted up in between. And because nobody knows at once that a session is lost, every transaction that writes
//! checks the epoch as its last statement: the one that was overtaken can write nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use postgres::Client;
use postgres::error::SqlState;

use super::address::PostgresAddress;
use super::pool::farewell;
use crate::store::StoreError;

/// The lock's number: "cofferda" in ASCII. Advisory locks are those of one database.
const LOCK: i64 = 0x636f_6666_6572_6461;
/// How often the session is looked at, and the lock tried again once it is lost.
const LOOK: Duration = Duration::from_secs(1);
/// How long the session has to answer.
const ANSWER: Duration = Duration::from_secs(3);

const SERVING: u8 = 0;
/// The session is lost.
const AWAY: u8 = 1;
/// Somebody else served meanwhile, and may do so still.
const OVERTAKEN: u8 = 2;

/// The right to serve, held by a session of its own.
pub(super) struct Guard {
    shared: Arc<Shared>,
}

struct Shared {
    state: AtomicU8,
    epoch: i64,
    over: Mutex<bool>,
    news: Condvar,
}

impl Guard {
    /// Takes the lock, waiting a little for a process that has just ended, and gives the session that has it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where another process serves; faults of connecting.
    pub(super) fn lock(address: &PostgresAddress) -> Result<Client, StoreError> {
        let mut client = address.connect()?;
        match client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]) {
            Ok(_) => Ok(client),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                Err(StoreError::InUse)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Counts up the epoch and watches over `session`, which has the lock, until it is dropped.
    ///
    /// # Errors
    ///
    /// Faults of the database or of starting a thread.
    pub(super) fn serve(address: PostgresAddress, mut session: Client) -> Result<Self, StoreError> {
        let row = session.query_one("UPDATE serving SET epoch = epoch + 1 RETURNING epoch", &[])?;
        let shared = Arc::new(Shared {
            state: AtomicU8::new(SERVING),
            epoch: row.try_get(0)?,
            over: Mutex::new(false),
            news: Condvar::new(),
        });
        let watching = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("serving".to_owned())
            .spawn(move || watching.watch(&address, session))?;
        Ok(Self { shared })
    }

    /// Whether this process may use the database.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`] while the session is lost; [`StoreError::Overtaken`] for good.
    pub(super) fn serving(&self) -> Result<(), StoreError> {
        match self.shared.state.load(Ordering::Acquire) {
            SERVING => Ok(()),
            AWAY => Err(StoreError::Unreachable),
            _ => Err(StoreError::Overtaken),
        }
    }

    /// The count that is this process's.
    pub(super) fn epoch(&self) -> i64 {
        self.shared.epoch
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *self.shared.over.lock() = true;
        self.shared.news.notify_all();
    }
}

impl Shared {
    /// Looks at the session until the guard is dropped or somebody else has served.
    fn watch(&self, address: &PostgresAddress, session: Client) {
        let mut session = Some(session);
        loop {
            {
                let mut over = self.over.lock();
                if !*over {
                    self.news.wait_for(&mut over, LOOK);
                }
                if *over {
                    return;
                }
            }
            let held = session
                .as_mut()
                .is_some_and(|held| held.is_valid(ANSWER).is_ok());
            if held {
                continue;
            }
            if let Some(lost) = session.take() {
                self.state.store(AWAY, Ordering::Release);
                tracing::error!(
                    "the database session that says who serves is lost; calls are refused"
                );
                farewell(lost);
            }
            match self.again(address) {
                Ok(Some(regained)) => {
                    session = Some(regained);
                    self.state.store(SERVING, Ordering::Release);
                    tracing::info!("this process serves again");
                }
                // somebody has the lock: this process's own lost session, or another process
                Ok(None) | Err(StoreError::Unreachable) => {}
                Err(StoreError::Overtaken) => {
                    self.state.store(OVERTAKEN, Ordering::Release);
                    tracing::error!("{}", StoreError::Overtaken);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the right to serve cannot be taken again yet")
                }
            }
        }
    }

    /// Tries to take the lock again; it counts only if nobody else had it in between.
    fn again(&self, address: &PostgresAddress) -> Result<Option<Client>, StoreError> {
        let mut client = address.connect()?;
        let locked = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])?;
        if !locked.try_get::<_, bool>(0)? {
            return Ok(None);
        }
        let row = client.query_one("SELECT epoch FROM serving", &[])?;
        if row.try_get::<_, i64>(0)? == self.epoch {
            Ok(Some(client))
        } else {
            Err(StoreError::Overtaken)
        }
    }
}
