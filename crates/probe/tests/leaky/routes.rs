//! Which routes are handed on to the upstream.

use super::Switch;

#[derive(Debug, Clone, Default)]
pub struct Switches {}

pub const SWITCHES: &[Switch] = &[];

const ROUTES: [(&str, &str); 4] = [
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
];

/// Everything else is a 404.
pub fn offered(_: &Switches, method: &str, path: &str) -> bool {
    ROUTES.contains(&(method, path))
}
