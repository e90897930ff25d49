//! JSON that this crate does not interpret: tool schemas, declared extra fields.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::guard::after_string;

/// A JSON value kept as it was written, number digits and key order included.
///
/// It is checked to be readable in one way only: no repeated keys, no numbers out of range, no lone surrogates.
/// Its depth is bounded with the body it came in ([`super::check_depth`]).
#[derive(Clone)]
pub struct Opaque(Box<RawValue>);

/// Why an opaque value was refused.
pub(crate) const TWO_MEANINGS: &str = "this JSON has a repeated key, a number out of range or a broken escape, and could be read in two ways";

impl Opaque {
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// True where the value is an object.
    pub fn is_object(&self) -> bool {
        self.as_str().starts_with('{')
    }

    /// Visits every string, every key and every number of six digits or more.
    ///
    /// Such numbers count as text, because account and telephone numbers are often written without quotes.
    pub fn each_text(&self, f: &mut dyn FnMut(&str)) {
        for piece in Pieces(self.as_str()) {
            if let Some(text) = piece.text() {
                f(&text);
            }
        }
    }

    /// As [`Opaque::each_text`], and writes back what `f` changes. A changed number becomes a string.
    pub fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        let mut written = String::new();
        let mut changed = false;
        for piece in Pieces(self.as_str()) {
            let Some(before) = piece.text() else {
                written.push_str(piece.source());
                continue;
            };
            let mut after = before.clone().into_owned();
            f(&mut after);
            if after == before {
                written.push_str(piece.source());
            } else {
                changed = true;
                written.push_str(&quoted(&after));
            }
        }
        if changed && let Ok(value) = RawValue::from_string(written) {
            self.0 = value;
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON text cut into strings (quotes included), numbers and what lies between.
struct Pieces<'a>(&'a str);

enum Piece<'a> {
    Quoted(&'a str),
    Number(&'a str),
    Between(&'a str),
}

impl<'a> Piece<'a> {
    fn source(&self) -> &'a str {
        match self {
            Piece::Quoted(source) | Piece::Number(source) | Piece::Between(source) => source,
        }
    }

    fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            // A string without escapes is its own text.
            Piece::Quoted(source) if !source.contains('\\') => {
                source.get(1..source.len() - 1).map(Cow::Borrowed)
            }
            Piece::Quoted(source) => serde_json::from_str::<String>(source).ok().map(Cow::Owned),
            Piece::Number(source) if source.bytes().filter(u8::is_ascii_digit).count() >= 6 => {
                Some(Cow::Borrowed(source))
            }
            Piece::Number(_) | Piece::Between(_) => None,
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let bytes = self.0.as_bytes();
        let is_number =
            |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
        let starts_number = |b: &u8| b.is_ascii_digit() || *b == b'-';
        let (first, tail) = bytes.split_first()?;
        let (kind, end): (fn(&'a str) -> Piece<'a>, usize) = if *first == b'"' {
            (Piece::Quoted, bytes.len() - after_string(tail).len())
        } else if starts_number(first) {
            (
                Piece::Number,
                bytes
                    .iter()
                    .position(|b| !is_number(b))
                    .unwrap_or(bytes.len()),
            )
        } else {
            (
                Piece::Between,
                bytes
                    .iter()
                    .position(|b| *b == b'"' || starts_number(b))
                    .unwrap_or(bytes.len()),
            )
        };
        // Pieces begin and end at ASCII bytes, so this never splits a character.
        let (piece, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(kind(piece))
    }
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Opaque) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({} bytes)", self.as_str().len())
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Opaque, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        match serde_json::from_str::<OneMeaning>(raw.get()) {
            Ok(OneMeaning) => Ok(Opaque(raw)),
            Err(_) => Err(D::Error::custom(TWO_MEANINGS)),
        }
    }
}

/// Any JSON value that every reader understands alike.
struct OneMeaning;

impl<'de> Deserialize<'de> for OneMeaning {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<OneMeaning, D::Error> {
        from.deserialize_any(OneMeaning)
    }
}

impl<'de> Visitor<'de> for OneMeaning {
    type Value = OneMeaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<OneMeaning, E> {
        Ok(OneMeaning)
    }

    fn visit_i64<E>(self, _: i64) -> Result<OneMeaning, E> {
        Ok(OneMeaning)
    }

    fn visit_u64<E>(self, _: u64) -> Result<OneMeaning, E> {
        Ok(OneMeaning)
    }

    fn visit_f64<E>(self, _: f64) -> Result<OneMeaning, E> {
        Ok(OneMeaning)
    }

    fn visit_str<E>(self, _: &str) -> Result<OneMeaning, E> {
        Ok(OneMeaning)
    }

    fn visit_unit<E>(self) -> Result<OneMeaning, E> {
        Ok(OneMeaning)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneMeaning, A::Error> {
        while seq.next_element::<OneMeaning>()?.is_some() {}
        Ok(OneMeaning)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneMeaning, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, OneMeaning)) = map.next_entry::<Cow<'de, str>, OneMeaning>()? {
            keys.push(key);
        }
        keys.sort_unstable();
        match keys.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
            true => Err(A::Error::custom("a key stands twice")),
            false => Ok(OneMeaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Opaque, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn opaque_json_that_could_be_read_in_two_ways_is_refused() {
        for (json, good) in [
            (r#"{"a":1,"b":[1,2,{"a":null}],"c":"x"}"#, true),
            ("1.50", true),
            (r#"{"a":1,"a":2}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"{"b":[{"a":1,"a":1}]}"#, false),
            (r#"{"a":1e999}"#, false),
            (r#"["\ud800"]"#, false),
            (r#"{"\udc00":1}"#, false),
            (r#"["\ud83d\ude00"]"#, true),
            ("NaN", false),
        ] {
            assert_eq!(read(json).is_ok(), good, "{json}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn every_string_key_and_long_number_is_visited_and_what_is_not_changed_stays_to_the_byte() {
        let json =
            r#"{"key" : "va\"l\u00fce", "n": [1.50, 4111111111111111, true], "ü": -123456.5}"#;
        let mut value = read(json).unwrap();
        let mut seen = Vec::new();
        value.each_text(&mut |text| seen.push(text.to_owned()));
        assert_eq!(
            seen,
            ["key", "va\"lüe", "n", "4111111111111111", "ü", "-123456.5"]
        );
        value.each_text_mut(&mut |_| ());
        assert_eq!(value.as_str(), json);
        value.each_text_mut(&mut |text| {
            if text.starts_with("4111") || text.starts_with("va") {
                *text = "<\"\n>".to_owned();
            }
        });
        assert_eq!(
            value.as_str(),
            r#"{"key" : "<\"\n>", "n": [1.50, "<\"\n>", true], "ü": -123456.5}"#
        );
    }
}
