//! The tests of the catalogue's rows, one subject in a file.
//!
//! A file has a `ROWS` table and one function for each row. The function looks for the positive control first, then for
//! the leak, and leaves the word to [`Finding`](crate::Finding).

mod budget;
mod cache;
mod credentials;
mod door;
mod face;
mod foreign_ids;
mod hashes;
mod headers;
mod heard;
mod identity;
mod leaks;
mod mixup;
mod models;
mod neighbours;
mod objects;
mod opaque_tokens;
mod pairs;
mod pool;
mod privileges;
mod pseudonyms;
mod questions;
mod request_ids;
mod routes;
mod salts;
mod semantic;
mod side_doors;
mod signed_tokens;
mod sink;
mod smuggling;
mod smuggling_cases;
mod steering;
mod streams;
mod system_prompts;
mod timing;

use crate::row::Row;

/// Every subject's rows.
const SUBJECTS: &[&[Row]] = &[
    &budget::ROWS,
    &cache::ROWS,
    &credentials::ROWS,
    &foreign_ids::ROWS,
    &hashes::ROWS,
    &headers::ROWS,
    &identity::ROWS,
    &leaks::ROWS,
    &mixup::ROWS,
    &models::ROWS,
    &neighbours::ROWS,
    &opaque_tokens::ROWS,
    &pool::ROWS,
    &privileges::ROWS,
    &pseudonyms::ROWS,
    &request_ids::ROWS,
    &salts::ROWS,
    &semantic::ROWS,
    &side_doors::ROWS,
    &signed_tokens::ROWS,
    &smuggling::ROWS,
    &steering::ROWS,
    &streams::ROWS,
    &system_prompts::ROWS,
    &timing::ROWS,
];

/// Every row that has a test, by subject.
pub fn all() -> impl Iterator<Item = &'static Row> {
    SUBJECTS.iter().copied().flatten()
}
