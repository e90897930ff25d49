//! The meter of one tenant: rates, money and slots held before a call, billed after it.

mod bill;
mod hold;
mod intent;
mod ledger;
mod rates;
mod refusals;

pub(crate) use bill::{Bill, NO_TOKENS, Observed};
pub(crate) use hold::{Held, Meter, Tiers};
pub(crate) use intent::Intent;
pub(crate) use ledger::{Settlement, settle};
pub(crate) use refusals::RefusalLog;
