//! From token bytes to text that may be shown: whole characters only, and never a part of a stop string.

/// Assembles an answer. What could still become a stop string is held back, at most its length less one byte.
pub struct TextStream {
    stops: Vec<String>,
    /// Bytes of a character that is not whole yet (at most 3).
    partial: Vec<u8>,
    held: String,
    shown: usize,
    stopped: bool,
}

impl TextStream {
    /// An empty answer that ends at any of `stops` (none of them empty).
    #[must_use]
    pub fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            partial: Vec::new(),
            held: String::new(),
            shown: 0,
            stopped: false,
        }
    }

    /// Takes the bytes of one token and returns the text that became certain.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        let before = self.held.len();
        self.partial.extend_from_slice(bytes);
        self.decode();
        // a stop string can only have become whole with the new bytes
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = before.saturating_sub(longest);
        while !self.held.is_char_boundary(from) {
            from -= 1;
        }
        let recent = self.held.get(from..).unwrap_or_default();
        let found = self
            .stops
            .iter()
            .filter_map(|stop| recent.find(stop.as_str()))
            .min();
        if let Some(at) = found {
            self.stopped = true;
            self.held.truncate(from + at);
            return self.show(self.held.len());
        }
        let tail = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        self.show(self.held.len() - tail)
    }

    /// The answer ended: everything held back becomes certain; a broken character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        if !self.partial.is_empty() {
            self.partial.clear();
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        self.show(self.held.len())
    }

    /// Whether a stop string came.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Bytes of text shown so far.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.shown
    }

    /// Bytes of text known so far, held-back ones included.
    #[must_use]
    pub fn known(&self) -> usize {
        self.shown + self.held.len()
    }

    fn show(&mut self, length: usize) -> String {
        self.shown += length;
        self.held.drain(..length).collect()
    }

    /// Moves whole characters from `partial` to `held`; bytes that can never be one become U+FFFD.
    fn decode(&mut self) {
        loop {
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.partial.clear();
                    return;
                }
                Err(error) => {
                    let whole: Vec<u8> = self.partial.drain(..error.valid_up_to()).collect();
                    self.held.push_str(&String::from_utf8_lossy(&whole));
                    let Some(broken) = error.error_len() else {
                        return;
                    };
                    self.partial.drain(..broken);
                    self.held.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }
}

/// Bytes at the end of `text` that are a beginning, but not the whole, of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most)
        .rev()
        .filter_map(|length| stop.get(..length))
        .find(|start| text.ends_with(start))
        .map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in pieces of every size; the text shown is always `expected`.
    fn check(bytes: &[u8], stops: &[&str], expected: &str, stopped: bool) {
        for size in 1..=bytes.len() {
            let mut stream = TextStream::new(stops.iter().map(|&s| s.to_owned()).collect());
            let mut shown: String = bytes.chunks(size).map(|piece| stream.push(piece)).collect();
            shown.push_str(&stream.finish());
            assert_eq!(
                (shown.as_str(), stream.stopped()),
                (expected, stopped),
                "{stops:?} in pieces of {size}"
            );
            assert_eq!(stream.shown(), expected.len());
        }
    }

    #[test]
    fn a_stop_string_is_never_shown_however_it_is_cut() {
        check(b"one two three", &["two"], "one ", true);
        check(b"one two three", &["three", "e t"], "on", true);
        check(b"aaab", &["aab"], "a", true);
        check(b"aaa", &["aab"], "aaa", false);
        check("zwölf Äpfel".as_bytes(), &["Äpf"], "zwölf ", true);
        check("zwölf".as_bytes(), &["ü", "öl"], "zw", true);
        check(b"END", &["END"], "", true);
        check(b"abcabd", &["abd", "bcabx"], "abc", true);
    }

    #[test]
    fn only_whole_characters_are_shown_and_broken_ones_replaced() {
        check("naïve 🙂 日本".as_bytes(), &[], "naïve 🙂 日本", false);
        check(b"a\xff\xf0\x9f\x99", &[], "a\u{fffd}\u{fffd}", false);
        check(b"\xe6\x97a", &[], "\u{fffd}a", false);
    }

    #[test]
    fn text_without_a_stop_in_sight_is_shown_at_once() {
        let mut stream = TextStream::new(vec!["###".into()]);
        assert_eq!(stream.push(b"hello"), "hello");
        assert_eq!(stream.push(b" #"), " ");
        assert_eq!(stream.push(b"#x"), "##x");
    }
}
