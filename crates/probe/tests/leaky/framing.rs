//! Where a request ends.

use probe::http1::{Framing, Head};

use super::Switch;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A length counts although chunks are announced too, and both are handed on.
    pub length_first: bool,
}

pub const SWITCHES: &[Switch] = &[Switch {
    name: "length_before_chunks",
    row: 12,
    turn: |switches| switches.framing.length_first = true,
}];

/// Whether there is one way to read this head.
pub fn is_strict(head: &Head) -> bool {
    head.request().is_some() && !head.is_ambiguous() && well_formed(head)
}

/// How this head is read though there are two ways, and what the upstream is told of the other one.
pub fn lenient(switches: &Switches, head: &Head) -> Option<(Framing, (String, String))> {
    let length = head
        .get("content-length")
        .filter(|_| switches.length_first)?;
    let coding = head.get("transfer-encoding")?.to_owned();
    Some((
        Framing::Length(length.parse().ok()?),
        ("transfer-encoding".to_owned(), coding),
    ))
}

/// RFC 9112, section 5: no space before a colon, no folded lines.
fn well_formed(head: &Head) -> bool {
    head.lines
        .iter()
        .all(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
}
