//! One thing that breaks a rule.

use std::fmt;

/// A place that breaks a house rule; shown as `file:line: what; why; what to do`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root of the tree.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// Why that is against the house.
    pub why: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}; {}; {}",
            self.file, self.line, self.what, self.why, self.remedy
        )
    }
}
