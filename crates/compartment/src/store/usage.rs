//! What was used, summed by day, credential and model.

use jiff::civil::Date;

/// Sums of calls that ended on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageSum {
    pub(crate) day: Date,
    pub(crate) credential: String,
    pub(crate) model: String,
    pub(crate) calls: u64,
    pub(crate) input: u64,
    pub(crate) cached_input: u64,
    pub(crate) output: u64,
    /// Nano-units.
    pub(crate) cost: u64,
}
