//! One spelling for a moment: UTC, exactly three digits after the second.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Cuts `time` to whole milliseconds, the precision of everything in evidence.
pub(crate) fn to_millis(time: Timestamp) -> Timestamp {
    // A timestamp's own milliseconds are always within a timestamp's range.
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// `2026-03-01T12:00:00.000Z`
pub(crate) fn print(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Reads what [`print`] writes, and nothing else.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (print(time) == text).then_some(time)
}

pub(crate) fn serialize<S: Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&print(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
    parse(&String::deserialize(d)?)
        .ok_or_else(|| D::Error::custom("not a time like 2026-03-01T12:00:00.000Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_spelling() {
        let good = "2026-03-01T12:00:00.120Z";
        assert_eq!(print(parse(good).unwrap()), good);
        for bad in [
            "",
            "2026-03-01T12:00:00Z",
            "2026-03-01T12:00:00.12Z",
            "2026-03-01T12:00:00.1201Z",
            "2026-03-01T12:00:00.1200Z",
            "2026-03-01 12:00:00.120Z",
            "2026-03-01T12:00:00.120z",
            "2026-03-01T12:00:00.120+00:00",
            "2026-03-01T12:00:60.120Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn milliseconds_are_cut_not_rounded() {
        let time: Timestamp = "2026-03-01T12:00:00.129999Z".parse().unwrap();
        assert_eq!(print(to_millis(time)), "2026-03-01T12:00:00.129Z");
    }
}
