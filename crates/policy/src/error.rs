//! What can be wrong with text that becomes policy.

use thiserror::Error;

/// Why a price list, an amount, a limit or a stored scope was not accepted. Nothing of the text was used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// An amount of money that is not a plain decimal number in range.
    #[error(
        "amount not understood: {reason}; write digits with at most nine decimals, such as \"2.50\""
    )]
    Amount {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A price whose parts contradict each other.
    #[error("price refused: {reason}")]
    Price {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A price catalogue that cannot be used as a whole.
    #[error("price catalogue refused at line {line}: {reason}")]
    Catalogue {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there and what to do.
        reason: String,
    },
    /// A stored scope, window or right that this version does not know.
    #[error("{what} not understood; it was written by another version or is damaged")]
    Stored {
        /// The kind of thing that was read.
        what: &'static str,
    },
}
