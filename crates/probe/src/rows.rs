//! The tests of the catalogue's rows, one subject in a file.
//!
//! A file has a `ROWS` table and one function for each row. The function looks for the positive control first, then for
//! the leak, and leaves the word to [`Finding`](crate::Finding).

mod cache;
mod credentials;
mod door;
mod face;
mod foreign_ids;
mod headers;
mod identity;
mod leaks;
mod objects;
mod opaque_tokens;
mod pairs;
mod privileges;
mod request_ids;
mod side_doors;
mod signed_tokens;
mod sink;
mod smuggling;
mod smuggling_cases;
mod steering;
mod system_prompts;

use crate::row::Row;

/// Every subject's rows.
const SUBJECTS: &[&[Row]] = &[
    &cache::ROWS,
    &credentials::ROWS,
    &foreign_ids::ROWS,
    &headers::ROWS,
    &identity::ROWS,
    &leaks::ROWS,
    &opaque_tokens::ROWS,
    &privileges::ROWS,
    &request_ids::ROWS,
    &side_doors::ROWS,
    &signed_tokens::ROWS,
    &smuggling::ROWS,
    &steering::ROWS,
    &system_prompts::ROWS,
];

/// Every row that has a test, by subject.
pub fn all() -> impl Iterator<Item = &'static Row> {
    SUBJECTS.iter().copied().flatten()
}
