//! What a run may still spend.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::options::Limits;
use crate::verdict::Trouble;

/// The requests and the time that are left; shared by every client of a run.
#[derive(Debug)]
pub struct Budget {
    requests: AtomicU64,
    ends: Instant,
    each: Duration,
}

impl Budget {
    /// All of these limits, from now on.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            requests: AtomicU64::new(limits.requests),
            ends: Instant::now() + limits.time,
            each: limits.request,
        }
    }

    /// Takes one request out; how long it may last.
    ///
    /// # Errors
    /// [`Trouble::Spent`] where requests or time are used up.
    pub fn spend(&self) -> Result<Duration, Trouble> {
        let one_less = |left: u64| left.checked_sub(1);
        let took = self
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        let time = self.time_left();
        if took.is_err() || time.is_zero() {
            return Err(Trouble::Spent);
        }
        Ok(time.min(self.each))
    }

    /// Takes one request out and does it within its time.
    ///
    /// # Errors
    /// [`Trouble::Spent`], [`Trouble::TimedOut`], or what `work` says.
    pub async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let most = self.spend()?;
        tokio::time::timeout(most, work)
            .await
            .map_err(|_| Trouble::TimedOut)?
    }

    /// Time until the run ends.
    pub fn time_left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Requests until the run ends.
    pub fn requests_left(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_and_time_end() {
        let limits = Limits {
            requests: 2,
            time: Duration::from_secs(60),
            request: Duration::from_secs(1),
        };
        let budget = Budget::new(limits);
        assert_eq!(budget.spend(), Ok(Duration::from_secs(1)));
        assert_eq!(budget.within(async { Ok(7) }).await, Ok(7));
        assert_eq!(budget.spend(), Err(Trouble::Spent));
        assert_eq!(budget.requests_left(), 0);
        let over = Budget::new(Limits {
            time: Duration::ZERO,
            ..limits
        });
        assert_eq!(over.spend(), Err(Trouble::Spent));
        let short = Budget::new(Limits {
            request: Duration::ZERO,
            ..limits
        });
        assert_eq!(
            short.within(std::future::pending::<Result<(), _>>()).await,
            Err(Trouble::TimedOut)
        );
    }
}
