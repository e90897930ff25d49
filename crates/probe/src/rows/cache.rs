//! The row about a cache of answers that is keyed by the request.

use super::routes::Route;
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(2, |bench| Box::pin(exact_sharing(bench)))];

/// Texts that are asked by A, by A again and by B before the next ones are: fewer than any cache holds.
const BATCH: usize = 20;
/// Calls at once.
const WIDTH: usize = 4;

/// Row 2. The echo upstream gives every request a nonce of its own: an answer with a nonce that A got was not made for B.
async fn exact_sharing(bench: &Bench) -> Result<Finding, Trouble> {
    bench.echo()?;
    let routes = Route::offered(bench).await?;
    if routes.is_empty() {
        return Ok(Finding::inconclusive(
            "no route answers with what the echo upstream said",
        ));
    }
    let questions: Vec<(Route, String)> = routes
        .iter()
        .cycle()
        .take(bench.samples(200, 600))
        .map(|route| {
            (
                *route,
                format!("Tell me one thing about {}.", bench.canary()),
            )
        })
        .collect();
    let (mut own_hits, mut compared, mut leaks, mut seen) = (0, 0, 0, Vec::new());
    for batch in questions.chunks(BATCH) {
        let asked = async |who: &Client| -> Result<Vec<Answer>, Trouble> {
            let mut calls = Vec::new();
            for (route, text) in batch {
                calls.push(route.ask(bench, who, text));
            }
            at_once(WIDTH, calls).await.into_iter().collect()
        };
        let first = asked(&bench.a).await?;
        let again = asked(&bench.a).await?;
        let others = asked(&bench.b).await?;
        for ((((route, text), first), again), other) in
            batch.iter().zip(&first).zip(&again).zip(&others)
        {
            let of_a = [first.nonces(), again.nonces()].concat();
            let of_b = other.nonces();
            own_hits += u64::from(!again.nonces().is_empty() && again.nonces() == first.nonces());
            if of_a.is_empty() || of_b.is_empty() {
                continue;
            }
            compared += 1;
            let shared_answer = of_b.iter().any(|nonce| of_a.contains(nonce));
            let shared_key =
                cache_keys(first).find(|key| cache_keys(other).any(|other| other == *key));
            if shared_answer {
                seen.push(format!("{}: B got A's answer to \"{text}\"", route.name()));
            } else if let Some((name, value)) = &shared_key {
                seen.push(format!(
                    "{}: A and B were given the same {name}: {value}",
                    route.name()
                ));
            }
            leaks += u64::from(shared_answer || shared_key.is_some());
        }
    }
    let asked = questions.len() as u64;
    let control = if compared * 10 < asked * 9 {
        Control::Missing(format!(
            "only {compared} of {asked} questions were answered to both tenants"
        ))
    } else if own_hits == 0 {
        Control::Absent(format!(
            "all {asked} repeats of A reached the upstream anew: there is no exact cache to share"
        ))
    } else {
        Control::Shown(format!(
            "{own_hits} of {asked} repeats of A were answered from A's cache"
        ))
    };
    Ok(
        Finding::counted(control, leaks, compared, "answers to B were made for A")
            .detail(format!("routes: {}", Route::names(&routes)))
            .details(seen)
            .measure("own_hits", own_hits as f64)
            .reproduce(
                "send one chat request twice, byte for byte, with $KEY_A and then with $KEY_B",
            )
            .reproduce(
                "the echo upstream's answers begin with a nonce of their own: the two must differ",
            ),
    )
}

/// Header lines that give away under which key an answer is cached.
fn cache_keys(answer: &Answer) -> impl Iterator<Item = (String, String)> {
    answer.headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        // by whole words: a vendor's name may have "key" in it, and a header the cache's state
        let has = |word| name.split('-').any(|part| part == word);
        let names_a_key = has("cache") && (has("key") || has("id"));
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (names_a_key && !value.is_empty()).then(|| (name.to_owned(), value))
    })
}
