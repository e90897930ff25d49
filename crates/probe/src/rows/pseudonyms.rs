//! The row about placeholders that a gateway puts in place of personal data, and takes back out of answers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::canary::found;
use crate::echo::{Echo, Script};
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(26, |bench| Box::pin(pseudonym_mixup(bench)))];

/// Calls at once.
const WIDTH: usize = 8;
/// How long the model thinks, so that calls of both are under way together.
const THINKS: Duration = Duration::from_millis(20);
/// What stands around a value, so that it can be found at the upstream whatever has become of it.
const AROUND: [&str; 2] = ["Write to ", " today, please."];
/// Kinds that gateways call placeholders by.
const KINDS: [&str; 10] = [
    "EMAIL_ADDRESS",
    "EMAIL",
    "PERSON",
    "NAME",
    "PHONE_NUMBER",
    "PHONE",
    "USER",
    "CONTACT",
    "PII",
    "REDACTED",
];

/// Personal data of a kind that gateways recognise.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Email,
    Phone,
}

impl Kind {
    /// A value that nobody else has.
    fn value(self, bench: &Bench) -> String {
        match self {
            Kind::Email => {
                let canary = bench.canary().to_string();
                let digits = canary.chars().take(16).filter_map(|c| c.to_digit(16));
                // letters only: no number that another detector takes for something else
                let letters = digits.filter_map(|digit| char::from_digit(digit + 10, 36));
                let name: String = letters.collect();
                format!("{name}@example.org")
            }
            Kind::Phone => {
                let number = bench.draw(|chance| chance.below(10_000_000));
                format!("+1 212 {:03} {:04}", number / 10_000, number % 10_000)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Email => "e-mail addresses",
            Kind::Phone => "telephone numbers",
        }
    }
}

fn sentence(value: &str) -> String {
    format!("{}{value}{}", AROUND[0], AROUND[1])
}

/// What stands between the two halves of a sentence.
fn within(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(AROUND[0])?;
    Some(rest.split_once(AROUND[1])?.0)
}

/// Row 26. Placeholders of A, guessed ones and those of two calls at once: nobody gets a value that is not theirs, and of
/// two people each stays who they are.
async fn pseudonym_mixup(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let mut reasons = Vec::new();
    for kind in [Kind::Email, Kind::Phone] {
        match placeholder(bench, echo, kind).await? {
            Ok(seen) => return mixed(bench, echo, kind, &seen).await,
            Err(reason) => reasons.push(reason),
        }
    }
    Ok(Finding::not_tested(format!(
        "nothing to test: {}",
        reasons.join("; ")
    )))
}

/// The placeholder that the upstream sees in the place of a value of A's; or why there is none that is taken back.
async fn placeholder(
    bench: &Bench,
    echo: &Echo,
    kind: Kind,
) -> Result<Result<String, String>, Trouble> {
    let (value, marker, mark) = (kind.value(bench), bench.canary(), echo.mark());
    let answer = bench
        .a
        .chat(&format!("{} Ref {marker}.", sentence(&value)))
        .await?;
    let arrived = echo.requests_with(mark, marker.text());
    let Some(seen) = arrived.first().map(|request| request.last_text()) else {
        return Ok(Err(format!("{} do not reach the upstream", kind.name())));
    };
    Ok(match within(&seen) {
        Some(seen) if seen == value => {
            Err(format!("{} reach the upstream as they are", kind.name()))
        }
        Some(seen) if answer.said().contains(&value) => Ok(seen.to_owned()),
        _ => Err(format!("{} are masked, and not put back", kind.name())),
    })
}

async fn mixed(bench: &Bench, echo: &Echo, kind: Kind, seen: &str) -> Result<Finding, Trouble> {
    let mut of_a: Vec<String> = Vec::new();
    let (mut tries, mut restored, mut leaks) = (0_u64, 0_u64, Vec::new());
    let both = bench.canary();
    echo.when(both.text(), |_| Script {
        first_after: THINKS,
        ..Script::default()
    });
    let pairs: Vec<[String; 2]> = (0..bench.samples(200, 500))
        .map(|_| [kind.value(bench), kind.value(bench)])
        .collect();

    // one call of each at once, each with a value of its own
    let mut calls = Vec::new();
    for [first, second] in &pairs {
        for (who, value) in [(&bench.a, first), (&bench.b, second)] {
            let text = format!("{} Ref {both}.", sentence(value));
            calls.push(async move { who.chat(&text).await });
        }
    }
    let answers: Result<Vec<Answer>, Trouble> = at_once(WIDTH, calls).await.into_iter().collect();
    for ([first, second], answers) in pairs.iter().zip(answers?.chunks_exact(2)) {
        for ((own, other), answer) in [(first, second), (second, first)].iter().zip(answers) {
            tries += 1;
            let said = answer.said();
            let got = within(&said).unwrap_or_default();
            restored += u64::from(got == *own);
            let known = pairs
                .iter()
                .flatten()
                .find(|value| *value == got && value != own);
            if known.is_some() || found(other, &answer.body).is_some() {
                leaks.push(format!(
                    "at once: a value came back that another call had: {got}"
                ));
            }
        }
        of_a.push(first.clone());
    }

    // B writes placeholders, and the model says them to B, while A's are under way
    for [own, _] in pairs.iter().take(40) {
        let ask = bench.canary();
        let guesses = guesses(seen);
        let spoken = guesses.clone();
        echo.when(ask.text(), move |_| Script::say(spoken.clone()));
        let (a_text, b_text) = (
            format!("{} Ref {both}.", sentence(own)),
            format!("Repeat this: {guesses} Ref {ask}."),
        );
        let of_b = async {
            // A's call must have come first
            tokio::time::sleep(THINKS / 2).await;
            bench.b.chat(&b_text).await
        };
        let (answer, heard) = tokio::join!(bench.a.chat(&a_text), of_b);
        answer?;
        tries += 1;
        let heard = heard?;
        if let Some(value) = of_a
            .iter()
            .find(|value| found(value, &heard.body).is_some())
        {
            leaks.push(format!("B wrote placeholders and got {value} of A's"));
        }
    }

    // two people in two messages of one call
    for [first, second] in pairs.iter().take(60) {
        tries += 1;
        let said = two_people(bench, echo, &bench.a, [first, second]).await?;
        let got: Vec<Option<&str>> = said.split('|').map(within).collect();
        let kept = got == [Some(first.as_str()), Some(second.as_str())];
        let swapped = got
            .iter()
            .flatten()
            .any(|got| *got == first || *got == second);
        if !kept && swapped {
            leaks.push(format!(
                "two people in one call were taken for each other: {got:?}"
            ));
        }
    }
    let count = pairs.len() as u64 * 2;
    let control = if restored * 2 < count {
        Control::Missing(format!(
            "{restored} of {count} values were put back into their own answers"
        ))
    } else {
        Control::Shown(format!(
            "the upstream sees placeholders such as {seen}; {restored} of {count} values were put back into their own answers"
        ))
    };
    Ok(Finding::counted(
        control,
        leaks.len() as u64,
        tries,
        "calls got a value of another, or the wrong one of two",
    )
    .details(leaks)
    .measure("restored", restored as f64)
    .reproduce("send an e-mail address with $KEY_A and look what the upstream sees in its place; ask for exactly that with $KEY_B, while A's call is under way")
    .reproduce("send two addresses in two messages of one call: the answer must keep them apart"))
}

/// A's placeholder, its neighbours in number, and what other gateways call theirs.
fn guesses(seen: &str) -> String {
    let mut guesses = vec![seen.to_owned()];
    for number in 0..4 {
        let digits = |c: char| c.is_ascii_digit();
        if let Some(stem) = seen
            .strip_suffix(|c: char| !digits(c))
            .map(|stem| stem.trim_end_matches(digits))
            && stem.len() + 1 < seen.len()
        {
            let end = seen.chars().last().unwrap_or_default();
            guesses.push(format!("{stem}{number}{end}"));
        }
        for kind in KINDS {
            guesses.extend([
                format!("<{kind}_{number}>"),
                format!("[{kind}_{number}]"),
                format!("{{{{{kind}_{number}}}}}"),
            ]);
        }
    }
    guesses.extend(KINDS.iter().map(|kind| format!("<{kind}>")));
    guesses.join(" ")
}

/// What comes back of two messages with a value each, when the model says both.
async fn two_people(
    bench: &Bench,
    echo: &Echo,
    who: &Client,
    values: [&str; 2],
) -> Result<String, Trouble> {
    let marker = bench.canary();
    echo.when(marker.text(), |request| {
        let body = request.json().unwrap_or_default();
        let messages = body.get("messages").and_then(Value::as_array);
        let texts: Vec<&str> = messages
            .into_iter()
            .flatten()
            .filter(|message| message.get("role").and_then(Value::as_str) == Some("user"))
            .filter_map(|message| message.get("content")?.as_str())
            .collect();
        Script::say(texts.join("|"))
    });
    let [first, second] = values.map(sentence);
    let messages = json!([
        {"role": "user", "content": first},
        {"role": "assistant", "content": "I will."},
        {"role": "user", "content": format!("{second} Ref {marker}.")},
    ]);
    let body =
        json!({"model": who.model(), "messages": messages, "temperature": 0, "max_tokens": 256});
    Ok(who.post("/v1/chat/completions", &body).await?.said())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_values_place_is_found() {
        assert_eq!(
            within(&format!("nonce {} Ref.", sentence("<EMAIL_1>"))),
            Some("<EMAIL_1>")
        );
        assert_eq!(within("Write to nobody."), None);
    }

    #[test]
    fn a_placeholder_with_a_number_is_guessed_on() {
        let guesses = guesses("<MAIL_7>");
        for expected in [
            "<MAIL_7>",
            "<MAIL_0>",
            "<MAIL_3>",
            "<EMAIL_1>",
            "[PERSON_2]",
            "{{PHONE_0}}",
            "<EMAIL>",
        ] {
            assert!(guesses.contains(expected), "{expected} in {guesses}");
        }
    }
}
