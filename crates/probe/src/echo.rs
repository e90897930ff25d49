//! The upstream of echo mode: deterministic, OpenAI-compatible, and a witness of every byte that reaches it.
//!
//! Every answer carries a nonce of its own request, so that whoever gets an answer twice, or another's, is seen. What is
//! answered can be programmed per marker, a text (such as a canary) that the request holds.

mod answer;
mod engine;
mod record;
mod script;
mod serve;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chance::Chance;
use script::Responder;

pub use answer::{EMBEDDING_SIZE, MODELS, embedded_nonce, nonces_in};
pub use engine::{Prefilled, PrefixCache, SALTS, salts};
pub use record::{Mark, Recorded};
pub use script::Script;

/// A running echo upstream; stops when dropped.
pub struct Echo {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    began: Instant,
    nonces: Mutex<Chance>,
    records: RwLock<Records>,
    scripts: RwLock<HashMap<String, Responder>>,
    /// Counts what happened to the record, so that whoever waits for something wakes.
    changed: watch::Sender<u64>,
}

/// What arrived since the last [`Echo::forget`]; the first one's number is `forgotten`.
#[derive(Default)]
struct Records {
    forgotten: usize,
    kept: Vec<Arc<Recorded>>,
}

impl Echo {
    /// Listens at that address; nonces are drawn from the seed.
    ///
    /// # Errors
    /// Where the address cannot be listened at.
    pub async fn start(listen: SocketAddr, seed: u64) -> std::io::Result<Echo> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            began: Instant::now(),
            nonces: Mutex::new(Chance::of(seed, &[u64::MAX])),
            records: RwLock::default(),
            scripts: RwLock::default(),
            changed: watch::channel(0).0,
        });
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&state)));
        Ok(Echo {
            address,
            state,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that hold `marker` (raw, anywhere in the body) are answered as `respond` says from now on. Of several
    /// markers in one request, one decides; which is not said.
    pub fn when(
        &self,
        marker: &str,
        respond: impl Fn(&Recorded) -> Script + Send + Sync + 'static,
    ) {
        self.state
            .scripts
            .write()
            .insert(marker.to_owned(), Arc::new(respond));
    }

    /// Where the record stands now.
    pub fn mark(&self) -> Mark {
        let records = self.state.records.read();
        Mark(records.forgotten + records.kept.len())
    }

    /// Every request that arrived since, in order.
    pub fn requests_since(&self, mark: Mark) -> Vec<Arc<Recorded>> {
        let records = self.state.records.read();
        let skip = mark.0.saturating_sub(records.forgotten);
        records.kept.iter().skip(skip).cloned().collect()
    }

    /// Every request since that holds this text, raw, in head or body.
    pub fn requests_with(&self, mark: Mark, text: &str) -> Vec<Arc<Recorded>> {
        let mut found = self.requests_since(mark);
        found.retain(|request| request.holds(text));
        found
    }

    /// Waits until the requests since the mark are as `enough` says, at most this long; whether they are.
    pub async fn wait(
        &self,
        mark: Mark,
        most: Duration,
        enough: impl Fn(&[Arc<Recorded>]) -> bool,
    ) -> bool {
        let mut changed = self.state.changed.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if enough(&self.requests_since(mark)) || changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(most, waiting).await;
        enough(&self.requests_since(mark))
    }

    /// Drops scripts and records; marks stay valid. Keeps the memory of a long run bounded.
    pub fn forget(&self) {
        self.state.scripts.write().clear();
        let mut records = self.state.records.write();
        records.forgotten += records.kept.len();
        records.kept.clear();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn nonce(&self) -> String {
        format!(
            "{}{}",
            answer::NONCE,
            hex::encode(self.nonces.lock().bytes())
        )
    }

    fn record(&self, recorded: &Arc<Recorded>) {
        self.records.write().kept.push(Arc::clone(recorded));
        self.changed.send_modify(|count| *count += 1);
    }

    fn answered(&self, recorded: &Recorded, whole: bool) {
        let _ = recorded.sent.set(whole);
        self.changed.send_modify(|count| *count += 1);
    }

    fn script(&self, recorded: &Recorded) -> Script {
        let scripts = self.scripts.read();
        let body = String::from_utf8_lossy(&recorded.body);
        let found = scripts
            .iter()
            .find(|(marker, _)| body.contains(marker.as_str()));
        match found.map(|(_, respond)| Arc::clone(respond)) {
            Some(respond) => {
                drop(scripts);
                respond(recorded)
            }
            None => Script::default(),
        }
    }
}
