//! What a row is, and what it works with.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

use crate::canary::Canary;
use crate::chance::Chance;
use crate::echo::Echo;
use crate::options::{Key, Scale};
use crate::target::{Client, Dial};
use crate::verdict::{Finding, Trouble};

/// A row at work.
pub type Work<'a> = Pin<Box<dyn Future<Output = Result<Finding, Trouble>> + Send + 'a>>;

/// The test of one row of the catalogue.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its number in the catalogue.
    pub id: u8,
    /// Whether chance alone can fail it, so that a FAIL is tried once more on fresh seeds.
    pub again: bool,
    /// The test. Trouble that it does not deal with makes it INCONCLUSIVE.
    pub test: for<'a> fn(&'a Bench) -> Work<'a>,
}

impl Row {
    /// A test whose FAIL is final.
    pub const fn new(id: u8, test: for<'a> fn(&'a Bench) -> Work<'a>) -> Row {
        Row {
            id,
            again: false,
            test,
        }
    }

    /// A test that measures: a FAIL is tried once more.
    pub const fn measured(id: u8, test: for<'a> fn(&'a Bench) -> Work<'a>) -> Row {
        Row {
            id,
            again: true,
            test,
        }
    }
}

/// What a row works with. Each row gets one of its own, whose chance depends on the seed and the row alone.
pub struct Bench {
    /// The target as tenant A, the victim.
    pub a: Client,
    /// The target as tenant B, the attacker.
    pub b: Client,
    /// The target byte by byte.
    pub dial: Dial,
    /// The target's base URL, as it was given.
    pub target: Url,
    /// The control plane with the operator's key, where one was given.
    pub admin: Option<Client>,
    /// Models that both tenants are offered; the first is the one that `a` and `b` ask for.
    pub models: Vec<String>,
    /// A model for embeddings, where there is one.
    pub embedding_model: Option<String>,
    /// Of the routes that the catalogue names for this row, those that the target offers.
    pub offered: Vec<&'static str>,
    pub(crate) echo: Option<Arc<Echo>>,
    pub(crate) scale: Scale,
    pub(crate) chance: Mutex<Chance>,
}

impl Bench {
    /// The echo upstream.
    ///
    /// # Errors
    /// [`Trouble::Needs`] in live mode, which makes the row NOT TESTED.
    pub fn echo(&self) -> Result<&Arc<Echo>, Trouble> {
        let needs = || Trouble::Needs("needs the echo upstream behind the gateway".to_owned());
        self.echo.as_ref().ok_or_else(needs)
    }

    /// Whether a real engine stands behind the gateway.
    pub fn is_live(&self) -> bool {
        self.echo.is_none()
    }

    /// A fresh canary. Draw before anything runs at once: a run replays only if everything is drawn in the same order.
    pub fn canary(&self) -> Canary {
        Canary::draw(&mut self.chance.lock())
    }

    /// Draws something else; as [`Bench::canary`].
    pub fn draw<T>(&self, with: impl FnOnce(&mut Chance) -> T) -> T {
        with(&mut self.chance.lock())
    }

    /// How many samples to take: so many in a smoke run, so many for a certificate, and a handful (never none) in a quick
    /// one.
    pub fn samples(&self, smoke: usize, certificate: usize) -> usize {
        match self.scale {
            Scale::Quick => (smoke / 20).clamp(smoke.min(3), 12),
            Scale::Smoke => smoke,
            Scale::Certificate => certificate,
        }
    }

    /// A client of the gateway with any other credential.
    pub fn client(&self, key: Key) -> Client {
        let budget = self.a.shared_budget();
        Client::new(&self.target, key, budget).with_model(self.a.model())
    }
}

/// Runs these at once, at most `width` at a time; results in the order of the work. Gather the work in a loop, not with a
/// closure that borrows: the compiler cannot see that such a future may move between threads.
pub async fn at_once<T>(
    width: usize,
    work: impl IntoIterator<Item = impl Future<Output = T>>,
) -> Vec<T> {
    use futures_util::StreamExt;
    futures_util::stream::iter(work)
        .buffered(width.max(1))
        .collect()
        .await
}
