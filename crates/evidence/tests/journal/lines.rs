//! An export as lines, so that a case can falsify it.

use base64::{Engine, prelude::BASE64_STANDARD};
use evidence::leaf_hash;

/// The lines of an export, without their newlines.
pub struct Lines(pub Vec<String>);

impl Lines {
    pub fn of(export: &[u8]) -> Self {
        let text = std::str::from_utf8(export).unwrap();
        Self(text.lines().map(str::to_owned).collect())
    }

    pub fn bytes(&self) -> Vec<u8> {
        (self.0.join("\n") + "\n").into_bytes()
    }

    /// The line of record `seq`.
    pub fn at(&self, seq: u64) -> usize {
        let prefix = format!("{{\"seq\":{seq},");
        self.0
            .iter()
            .position(|line| line.starts_with(&prefix))
            .unwrap()
    }

    pub fn edit(&mut self, seq: u64, from: &str, to: &str) {
        let at = self.at(seq);
        assert!(self.0[at].contains(from), "{}", self.0[at]);
        self.0[at] = self.0[at].replacen(from, to, 1);
    }

    pub fn remove(&mut self, seq: u64) -> String {
        let at = self.at(seq);
        self.0.remove(at)
    }

    /// The line of the `n`th line of a kind.
    pub fn nth(&self, kind: &str, n: usize) -> usize {
        let prefix = format!("{{\"{kind}\":");
        let found = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, line)| line.starts_with(&prefix));
        found.map(|(at, _)| at).nth(n).unwrap()
    }

    pub fn last(&self, kind: &str) -> usize {
        let prefix = format!("{{\"{kind}\":");
        self.0
            .iter()
            .rposition(|line| line.starts_with(&prefix))
            .unwrap()
    }

    /// What a thorough forger does without the key: numbers every record anew, lists the hashes of what is there now
    /// and counts it.
    pub fn reseal(&mut self) {
        let mut leaves: Vec<u8> = Vec::new();
        let mut seq = 0_u64;
        let mut out = Vec::new();
        for line in &self.0 {
            if line.starts_with("{\"seq\":") {
                let rest = line.split_once(',').unwrap().1;
                let line = format!("{{\"seq\":{seq},{rest}");
                leaves.extend(leaf_hash(line.as_bytes()).0);
                out.push(line);
                seq += 1;
                if seq.is_multiple_of(256) {
                    out.push(tile(&mut leaves));
                }
            } else if line.starts_with("{\"end\":") {
                out.push(format!("{{\"end\":{{\"records\":{seq}}}}}"));
            } else if !line.starts_with("{\"tile\":") {
                out.push(line.clone());
            }
        }
        if !leaves.is_empty() {
            let last = out.iter().rposition(|line| line.starts_with("{\"seq\":"));
            let at = last.unwrap() + 1;
            out.insert(at, tile(&mut leaves));
        }
        self.0 = out;
    }
}

pub fn tile(leaves: &mut Vec<u8>) -> String {
    format!(
        "{{\"tile\":\"{}\"}}",
        BASE64_STANDARD.encode(std::mem::take(leaves))
    )
}
