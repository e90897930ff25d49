//! Values that only one tenant knows, and how to find them again.

use std::fmt;

use base64::{Engine, engine::general_purpose};

use crate::chance::Chance;

/// A fresh 128-bit value in one tenant's text. Wherever it appears in another tenant's view, something leaked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Canary(String);

impl Canary {
    /// The next canary of this generator.
    pub fn draw(chance: &mut Chance) -> Canary {
        Canary(hex::encode(chance.bytes()))
    }

    /// 32 lower-case hexadecimal digits.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// In which spelling the canary stands in these bytes, first found; none if in none: raw (in either case), base64 of
    /// both alphabets at all three alignments, JSON-, URL- and hex-escaped, and each of these reversed.
    pub fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        found(&self.0, bytes)
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In which spelling a text stands in these bytes, as [`Canary::found_in`].
pub fn found(text: &str, bytes: &[u8]) -> Option<&'static str> {
    let haystack = bytes.to_ascii_lowercase();
    let exact = spellings(text);
    exact.into_iter().find_map(|(name, needle, folds)| {
        let reversed: Vec<u8> = needle.iter().rev().copied().collect();
        let within = if folds { haystack.as_slice() } else { bytes };
        if holds(within, &needle) {
            Some(name)
        } else if holds(within, &reversed) {
            Some("reversed")
        } else {
            None
        }
    })
}

/// Name, bytes, and whether case does not matter (the bytes are lower case then).
fn spellings(text: &str) -> Vec<(&'static str, Vec<u8>, bool)> {
    let raw = text.to_ascii_lowercase().into_bytes();
    let each = |write: fn(&u8) -> String| -> Vec<u8> {
        text.bytes().flat_map(|b| write(&b).into_bytes()).collect()
    };
    let mut found = vec![
        ("raw", raw, true),
        ("URL-escaped", each(|b| format!("%{b:02x}")), true),
        ("JSON-escaped", each(|b| format!("\\u{b:04x}")), true),
        ("hex", each(|b| format!("{b:02x}")), true),
        ("hex-escaped", each(|b| format!("\\x{b:02x}")), true),
    ];
    for shift in 0..3 {
        for engine in [
            &general_purpose::STANDARD_NO_PAD,
            &general_purpose::URL_SAFE_NO_PAD,
        ] {
            found.push(("base64", within_base64(text, shift, engine), false));
        }
    }
    found
}

/// The part of the base64 of a text that does not depend on what stands around it, `shift` bytes after a group's start.
fn within_base64(text: &str, shift: usize, engine: &general_purpose::GeneralPurpose) -> Vec<u8> {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(text.as_bytes());
    let encoded = engine.encode(&padded);
    // digits that also hold bits of the neighbours: of 8 * shift bits before, and of a last group that is not full
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded
        .as_bytes()
        .get(first..last)
        .unwrap_or_default()
        .to_vec()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && memchr::memmem::find(haystack, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_every_spelling_and_nowhere_else() {
        let canary = Canary::draw(&mut Chance::new(3));
        let text = canary.text();
        let check = |bytes: String, expected| {
            assert_eq!(canary.found_in(bytes.as_bytes()), expected, "{bytes}");
        };
        check(format!("a{text}b"), Some("raw"));
        check(text.to_uppercase(), Some("raw"));
        check(text.chars().rev().collect(), Some("reversed"));
        let each = |f: fn(u8) -> String| text.bytes().map(f).collect::<String>();
        check(each(|b| format!("%{b:02X}")), Some("URL-escaped"));
        check(each(|b| format!("\\u{b:04x}")), Some("JSON-escaped"));
        check(each(|b| format!("\\x{b:02x}")), Some("hex-escaped"));
        check(each(|b| format!("{b:02X}")), Some("hex"));
        for before in ["", "x", "xy", "xyz", "\u{fe}\u{ff}"] {
            for after in ["", "z", "zz"] {
                let around = format!("{before}{text}{after}");
                check(general_purpose::STANDARD.encode(&around), Some("base64"));
                check(general_purpose::URL_SAFE.encode(&around), Some("base64"));
                let encoded = general_purpose::STANDARD.encode(&around);
                check(encoded.chars().rev().collect(), Some("reversed"));
            }
        }
        check(String::new(), None);
        check(text.split_at(31).0.to_owned(), None);
        check(Canary::draw(&mut Chance::new(4)).to_string(), None);
    }

    #[test]
    fn both_base64_alphabets_are_searched() {
        // bytes that give + and / in one alphabet, - and _ in the other
        let text = "~~~???>>>";
        assert_eq!(
            found(text, general_purpose::STANDARD.encode(text).as_bytes()),
            Some("base64")
        );
        assert_eq!(
            found(text, general_purpose::URL_SAFE.encode(text).as_bytes()),
            Some("base64")
        );
    }
}
