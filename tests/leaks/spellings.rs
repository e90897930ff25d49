//! A text in every spelling that it could be written down in.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// Looks for several texts at once.
pub struct Search(Vec<(usize, &'static str, Vec<u8>)>);

impl Search {
    pub fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Search {
        let spelled = texts.enumerate().flat_map(|(at, text)| {
            assert!(text.len() >= 12, "too short to be sure of: {text}");
            spellings(text)
                .into_iter()
                .map(move |(name, bytes)| (at, name, bytes))
        });
        Search(spelled.collect())
    }

    /// Which texts are there, and in which spelling.
    pub fn find<'a>(
        &'a self,
        content: &'a [u8],
    ) -> impl Iterator<Item = (usize, &'static str)> + 'a {
        let places = Starts::of(content);
        let there = self
            .0
            .iter()
            .filter(move |(_, _, bytes)| places.contain(content, bytes));
        there.map(|(at, name, _)| (*at, *name))
    }
}

/// Where each pair of bytes stands: looking for hundreds of texts in megabytes takes one pass.
struct Starts(Vec<Vec<u32>>);

impl Starts {
    fn of(content: &[u8]) -> Starts {
        let mut starts = vec![Vec::new(); 1 << 16];
        for (at, pair) in content.windows(2).enumerate() {
            starts[usize::from(pair[0]) << 8 | usize::from(pair[1])]
                .push(u32::try_from(at).unwrap());
        }
        Starts(starts)
    }

    fn contain(&self, content: &[u8], wanted: &[u8]) -> bool {
        let pair = usize::from(wanted[0]) << 8 | usize::from(wanted[1]);
        self.0[pair]
            .iter()
            .any(|at| content[*at as usize..].starts_with(wanted))
    }
}

fn spellings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let mut all = vec![
        ("as it is", bytes.to_vec()),
        ("in upper case", text.to_uppercase().into_bytes()),
        ("in lower case", text.to_lowercase().into_bytes()),
        (
            "reversed",
            text.chars().rev().collect::<String>().into_bytes(),
        ),
        ("in hex", hex::encode(bytes).into_bytes()),
        ("in upper-case hex", hex::encode_upper(bytes).into_bytes()),
        (
            "in JSON",
            serde_json::to_string(text)
                .unwrap()
                .trim_matches('"')
                .into(),
        ),
        (
            "in JSON, escaped",
            text.encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect::<String>()
                .into_bytes(),
        ),
        (
            "in a URL",
            bytes
                .iter()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<String>()
                .into_bytes(),
        ),
        (
            "in UTF-16",
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "as a list of numbers",
            bytes
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(", ")
                .into_bytes(),
        ),
        (
            "as a short list of numbers",
            bytes
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(",")
                .into_bytes(),
        ),
    ];
    // at each of the three places that it can have within a longer text, without the ends that the neighbours touch
    for shift in 0..3 {
        let moved = [&b"\0\0"[..shift], bytes].concat();
        for (name, encoded) in [
            ("in base64", BASE64_STANDARD.encode(&moved)),
            ("in URL base64", BASE64_URL_SAFE.encode(&moved)),
        ] {
            let (start, whole) = ([0, 2, 3][shift], moved.len() / 3 * 4);
            all.push((name, encoded.as_bytes()[start..whole].to_vec()));
        }
    }
    all
}

#[test]
fn every_spelling_of_a_text_is_found_wherever_it_stands() {
    let text = "Marker-\u{e9}-0123456789abcdef";
    let search = Search::new(["something else entirely", text].into_iter());
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    assert_eq!(search.find(&noise).count(), 0);
    for (name, spelled) in spellings(text) {
        for at in [0, 1, 2, 50_000, noise.len()] {
            let content = [&noise[..at], &spelled, &noise[at..]].concat();
            assert!(
                search.find(&content).any(|(which, _)| which == 1),
                "{name} at {at}"
            );
        }
    }
    for before in ["", "a", "ab", "abc", "{\"prompt\":\""] {
        let encoded = BASE64_STANDARD.encode(format!("{before}{text} and more of it"));
        assert!(
            search
                .find(encoded.as_bytes())
                .any(|found| found == (1, "in base64")),
            "{before:?}"
        );
    }
}
