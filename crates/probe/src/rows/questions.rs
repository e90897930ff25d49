//! Questions in plain words, and the same questions in others.

use crate::chance::Chance;
use crate::row::Bench;

const THINGS: [&str; 24] = [
    "lighthouse",
    "harbour",
    "orchard",
    "glacier",
    "cathedral",
    "railway",
    "vineyard",
    "telescope",
    "windmill",
    "canal",
    "monastery",
    "volcano",
    "library",
    "aqueduct",
    "greenhouse",
    "quarry",
    "market",
    "observatory",
    "bakery",
    "shipyard",
    "foundry",
    "theatre",
    "reservoir",
    "meadow",
];
const KINDS: [&str; 20] = [
    "small",
    "medieval",
    "coastal",
    "abandoned",
    "northern",
    "famous",
    "wooden",
    "modern",
    "crowded",
    "remote",
    "tropical",
    "royal",
    "alpine",
    "floating",
    "silent",
    "municipal",
    "ancient",
    "private",
    "desert",
    "provincial",
];
const DOINGS: [&str; 12] = [
    "change",
    "support",
    "influence",
    "protect",
    "reveal",
    "replace",
    "improve",
    "threaten",
    "shape",
    "finance",
    "outlive",
    "explain",
];
const TIMES: [&str; 8] = [
    "winter",
    "summer",
    "autumn",
    "spring",
    "wartime",
    "drought",
    "peacetime",
    "harvest",
];

/// A question that nobody else asks, without any number in it.
#[derive(Debug, Clone)]
pub(super) struct Question {
    text: String,
    first: String,
    time: &'static str,
}

/// So many different ones.
pub(super) fn draw(bench: &Bench, count: usize) -> Vec<Question> {
    let mut drawn: Vec<Question> = Vec::new();
    // far fewer are asked for than there are: some tries more find them all
    for _ in 0..count.saturating_mul(4) {
        let question = bench.draw(Question::draw);
        let fresh = drawn.iter().all(|other| other.text != question.text);
        if fresh && drawn.len() < count {
            drawn.push(question);
        }
    }
    drawn
}

/// Plain words of this length in bytes or a few more, different each time.
pub(super) fn prose(bench: &Bench, bytes: usize) -> String {
    let mut words = String::new();
    while words.len() < bytes {
        words.push_str(bench.draw(|chance| {
            let list: &[&'static str] = if chance.percent(50) { &THINGS } else { &KINDS };
            chance.one(list).copied().unwrap_or_default()
        }));
        words.push(' ');
    }
    words
}

impl Question {
    fn draw(chance: &mut Chance) -> Question {
        let mut one = |of: &[&'static str]| chance.one(of).copied().unwrap_or_default();
        let (kind, thing, doing, kind_2, thing_2, time) = (
            one(&KINDS),
            one(&THINGS),
            one(&DOINGS),
            one(&KINDS),
            one(&THINGS),
            one(&TIMES),
        );
        let first = format!("a {kind} {thing} {doing} the people around some {kind_2} {thing_2}");
        Question {
            text: format!("How does {first} during {time}?"),
            first,
            time,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Twenty texts that mean the same, the nearest first.
    pub(super) fn paraphrases(&self) -> Vec<String> {
        let Question { text, first, time } = self;
        let bare = text.trim_end_matches('?');
        vec![
            text.to_lowercase(),
            format!("{bare} ?"),
            format!("Please, {bare}?"),
            bare.to_owned(),
            text.to_uppercase(),
            text.replace(' ', "  "),
            format!("{text}\n"),
            format!("\"{text}\""),
            format!("Question: {text}"),
            format!("{text} Thanks!"),
            format!("During {time}, how does {first}?"),
            format!("Hello! {text}"),
            format!("{bare}, briefly?"),
            format!("Tell me: {text}"),
            format!("How exactly does {first} during {time}?"),
            format!("In what way does {first} during {time}?"),
            format!("Explain how {first} during {time}."),
            format!("I wonder how {first} during {time}."),
            text.replacen("the ", "teh ", 1),
            text.replace("around", "near"),
        ]
    }

    /// Texts that lie beside the question for whoever compares embeddings, and mean something else.
    pub(super) fn neighbours(&self) -> Vec<String> {
        let words: Vec<&str> = self.text.trim_end_matches('?').split(' ').collect();
        let backwards: Vec<&str> = words.iter().rev().copied().collect();
        let (front, back) = words.split_at(words.len() / 2);
        vec![
            format!("{}?", backwards.join(" ")),
            format!("{} {}?", back.join(" "), front.join(" ")),
            self.text.replacen("How does", "How does not", 1),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_question_is_asked_in_twenty_other_ways_and_beside_it_in_three() {
        let question = Question::draw(&mut Chance::new(1));
        let mut all = question.paraphrases();
        assert_eq!(all.len(), 20);
        all.extend(question.neighbours());
        all.push(question.text().to_owned());
        let different: BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), 24, "{all:?}");
        assert!(
            all.iter()
                .all(|text| !text.contains(|c: char| c.is_ascii_digit()))
        );
        let sorted = |text: &str| {
            let mut words: Vec<String> = text
                .trim_end_matches('?')
                .split(' ')
                .map(str::to_owned)
                .collect();
            words.sort();
            words
        };
        for neighbour in question.neighbours().iter().take(2) {
            assert_eq!(sorted(neighbour), sorted(question.text()));
        }
    }
}
