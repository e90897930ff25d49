//! May this call happen, and what may it cost? Pure decisions with reasons.
//!
//! No clock, socket, file, randomness or async runtime: time is an argument, so every race is a plain unit test.
//!
//! The way of one call:
//!
//! 1. [`Question::decide`] refuses what needs no counter: rights, models, prices, bounds.
//! 2. [`LimitSet::effective`] says which limits stand on it.
//! 3. [`Book::reserve`] takes a concurrency slot and the dearest outcome of the call out of every money limit, and
//!    clamps the output so that this outcome fits.
//! 4. [`Reservation::charge`] says what is owed, never more than was reserved; once the store has it,
//!    [`Book::settle`] gives the rest back.
//!
//! Money is [`Nanos`]: integer billionths of the catalogue's currency unit. There is no float in this crate.

#![deny(clippy::float_arithmetic)]

mod book;
mod catalogue;
mod decide;
mod error;
mod limits;
mod money;
mod names;
mod price;
mod refusal;
mod rights;
mod scope;
mod window;

pub use book::{
    Book, Charge, Missing, Reservation, ReserveAsk, Reserved, SOFT_THRESHOLDS, Spend, Tally,
    Threshold,
};
pub use catalogue::{Catalogue, ModelEntry};
pub use decide::{Bounds, Decided, MAX_CHOICES, Pricing, Question, Task};
pub use error::PolicyError;
pub use limits::{LimitSet, Limits};
pub use money::Nanos;
pub use names::{MAX_NAME_BYTES, MAX_NAMED};
pub use price::{LongRates, Price, Rates, TokenUse};
pub use refusal::{Refusal, RefusalCode};
pub use rights::{Right, Rights};
pub use scope::Scope;
pub use window::Window;
