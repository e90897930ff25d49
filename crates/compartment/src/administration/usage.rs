//! What a tenant used, in sums.

use super::Administration;
use crate::{error::Refused, store};
use jiff::civil::Date;
use policy::Nanos;
use std::collections::BTreeMap;

/// The most rows of one answer.
pub const MAX_USAGE_ROWS: usize = 10_000;
/// The most sums that are read for one answer: a day, a credential and a model each.
const MAX_SUMS: u32 = 200_000;

/// What usage is summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    /// One row for each day.
    Day,
    /// One row for each credential.
    Credential,
    /// One row for each model.
    Model,
    /// One row for each day, credential and model.
    Each,
}

/// Which usage.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// The first day, UTC.
    pub from: Date,
    /// The last day, UTC.
    pub to: Date,
    /// Of this credential only, by id.
    pub credential: Option<String>,
    /// Of this model only.
    pub model: Option<String>,
    /// What the rows are summed by.
    pub by: UsageBy,
}

/// One sum of calls that ended. A field that the rows are not summed by is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// The day the calls ended on, UTC.
    pub day: Option<Date>,
    /// The id of the credential.
    pub credential: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// How many calls ended.
    pub calls: u64,
    /// Input tokens that were billed, cached ones included.
    pub input_tokens: u64,
    /// The part of them that upstreams took from their caches.
    pub cached_input_tokens: u64,
    /// Output tokens that were billed.
    pub output_tokens: u64,
    /// What they cost.
    pub cost: Nanos,
}

/// Usage in rows and as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The rows, in order of what they are summed by; at most [`MAX_USAGE_ROWS`].
    pub rows: Vec<UsageRow>,
    /// There are more rows than these.
    pub has_more: bool,
    /// The sum over everything asked for.
    pub total: UsageRow,
}

impl Administration {
    /// What the tenant used.
    ///
    /// # Errors
    ///
    /// [`Refused::Invalid`] where the days are too many to sum; faults of the store.
    pub async fn usage(&self, query: UsageQuery) -> Result<Usage, Refused> {
        let (from, to) = (query.from, query.to);
        let sums = self
            .tenant
            .read(move |tables| tables.usage(from, to, MAX_SUMS))
            .await?;
        if sums.len() >= MAX_SUMS as usize {
            return Err(Refused::invalid(
                "from",
                "these are too many days to sum; nothing was summed; ask for fewer",
            ));
        }
        let wanted =
            |wish: &Option<String>, is: &String| wish.as_ref().is_none_or(|wish| wish == is);
        let mut rows = BTreeMap::<_, UsageRow>::new();
        let mut total = UsageRow::default();
        for sum in sums {
            if wanted(&query.credential, &sum.credential) && wanted(&query.model, &sum.model) {
                total.add(&sum);
                let head = query.by.head(&sum);
                let key = (head.day, head.credential.clone(), head.model.clone());
                rows.entry(key).or_insert(head).add(&sum);
            }
        }
        let has_more = rows.len() > MAX_USAGE_ROWS;
        Ok(Usage {
            rows: rows.into_values().take(MAX_USAGE_ROWS).collect(),
            has_more,
            total,
        })
    }
}

impl UsageBy {
    fn head(self, sum: &store::usage::UsageSum) -> UsageRow {
        let each = self == Self::Each;
        UsageRow {
            day: (each || self == Self::Day).then_some(sum.day),
            credential: (each || self == Self::Credential).then(|| sum.credential.clone()),
            model: (each || self == Self::Model).then(|| sum.model.clone()),
            ..UsageRow::default()
        }
    }
}

impl UsageRow {
    fn add(&mut self, sum: &store::usage::UsageSum) {
        self.calls = self.calls.saturating_add(sum.calls);
        self.input_tokens = self.input_tokens.saturating_add(sum.input);
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(sum.cached_input);
        self.output_tokens = self.output_tokens.saturating_add(sum.output);
        self.cost = self
            .cost
            .saturating_add(Nanos::new(sum.cost).unwrap_or(Nanos::MAX));
    }
}
