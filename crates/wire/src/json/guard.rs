//! The nesting of a body, measured before anything is parsed.

use memchr::memchr2;

/// Deepest nesting of arrays and objects in a body. Everything documented fits in a quarter of it.
pub const MAX_DEPTH: usize = 64;

/// A body nests deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the JSON nests deeper than {MAX_DEPTH} levels")]
pub struct TooDeep;

/// Refuses JSON that nests deeper than [`MAX_DEPTH`], in one pass and without recursion.
///
/// The parser behind opaque values skips them without any bound on depth, and whoever reads them after us may
/// recurse, so the bound is kept here. Text that is not JSON passes; the parser refuses it.
///
/// # Errors
/// [`TooDeep`].
pub fn check_depth(json: &[u8]) -> Result<(), TooDeep> {
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(tail),
            _ => {}
        }
    }
    Ok(())
}

/// What follows a string whose opening quote is already consumed; empty where the string never ends.
pub(super) fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let escaped = rest.get(at) == Some(&b'\\');
        rest = rest
            .get(at + 1 + usize::from(escaped)..)
            .unwrap_or_default();
        if !escaped {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded_and_brackets_inside_strings_do_not_count() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        let text = |inner: &str| format!("[\"{inner}\"]").into_bytes();
        let cases: Vec<(Vec<u8>, bool)> = vec![
            (nested(MAX_DEPTH), true),
            (nested(MAX_DEPTH + 1), false),
            (nested(1_000_000), false),
            ("{\"a\":".repeat(65).into_bytes(), false),
            (text(&"[".repeat(1000)), true),
            (text(&"\\\"[".repeat(1000)), true),
            (text(&"\\\\".repeat(1000)), true),
            (b"\"never ends [[[".to_vec(), true),
            (b"\"ends in a backslash\\".to_vec(), true),
            (
                ["[],".repeat(10_000).into_bytes(), nested(3)].concat(),
                true,
            ),
            (b"]]]]]".to_vec(), true),
            (Vec::new(), true),
        ];
        for (json, fits) in cases {
            assert_eq!(
                check_depth(&json).is_ok(),
                fits,
                "{}",
                String::from_utf8_lossy(&json).len()
            );
        }
    }
}
