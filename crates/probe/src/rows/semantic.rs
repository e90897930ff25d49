//! Rows about caches that answer what means the same.

use std::collections::HashSet;

use super::questions::{self, Question};
use super::routes::Route;
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 2] = [
    Row::new(1, |bench| Box::pin(shared_meaning(bench))),
    Row::new(28, |bench| Box::pin(planted_neighbours(bench))),
];

/// Calls at once.
const WIDTH: usize = 4;
/// Of A's own paraphrases, how many it asks for the control.
const OWN_PARAPHRASES: usize = 3;
/// How often B asks for each entry that it plants: some caches keep only what is asked again.
const PLANTED: usize = 3;
/// Questions that A plants for itself, for the control.
const OWN_PLANTED: usize = 3;

/// One question of one tenant on one route.
async fn ask(bench: &Bench, who: &Client, route: Route, text: &str) -> Result<Answer, Trouble> {
    let mut body = route.body(bench, who, text);
    if let Some(fields) = body.as_object_mut() {
        // as people ask: caches by meaning are for them, and some leave alone what sets parameters
        fields.remove("temperature");
    }
    route.send(who, &body).await
}

/// Row 1. A asks, and asks again in other words; then B asks the same and 20 paraphrases. No nonce that A ever got may
/// stand in an answer to B; where no cache goes by the meaning, the same texts are left to row 2.
async fn shared_meaning(bench: &Bench) -> Result<Finding, Trouble> {
    bench.echo()?;
    let mut routes = Route::offered(bench).await?;
    routes.retain(|route| *route != Route::Embedding);
    if routes.is_empty() {
        return Ok(Finding::inconclusive(
            "no route answers with what the echo upstream said",
        ));
    }
    let asked = questions::draw(bench, bench.samples(24, 48));
    let mut of_a = HashSet::new();
    let (mut repeats, mut paraphrases, mut tries) = ((0, 0), (0, 0), 0_u64);
    let (mut leaks, mut verbatim) = (Vec::new(), Vec::new());
    for (question, seed) in asked.iter().zip(routes.iter().cycle()) {
        let first = ask(bench, &bench.a, *seed, question.text()).await?.nonces();
        let mut own = vec![question.text().to_owned()];
        own.extend(question.paraphrases().into_iter().take(OWN_PARAPHRASES));
        for (index, text) in own.iter().enumerate() {
            let nonces = ask(bench, &bench.a, *seed, text).await?.nonces();
            let hit = u64::from(!nonces.is_empty() && nonces == first);
            let counts = if index == 0 {
                &mut repeats
            } else {
                &mut paraphrases
            };
            *counts = (counts.0 + hit, counts.1 + 1);
            of_a.extend(nonces);
        }
        of_a.extend(first);
        let mut ways = Vec::new();
        for (index, text) in own
            .iter()
            .take(1)
            .cloned()
            .chain(question.paraphrases())
            .enumerate()
        {
            // every other one where A asked, the rest wherever else one can ask
            let other = routes.get(index % routes.len()).copied().unwrap_or(*seed);
            ways.push((if index % 2 == 0 { *seed } else { other }, text));
        }
        let mut calls = Vec::new();
        for (route, text) in &ways {
            calls.push(ask(bench, &bench.b, *route, text));
        }
        for ((route, text), answer) in ways.iter().zip(at_once(WIDTH, calls).await) {
            let nonces = answer?.nonces();
            tries += u64::from(!nonces.is_empty());
            if nonces.iter().any(|nonce| of_a.contains(nonce)) {
                let which = if own.contains(text) {
                    &mut verbatim
                } else {
                    &mut leaks
                };
                which.push(format!(
                    "{}: \"{text}\" got what A was told to \"{}\"",
                    route.name(),
                    question.text()
                ));
            }
        }
    }
    // a cache that goes by the text leaks texts that both sent, and that is row 2
    let same = verbatim.len();
    if paraphrases.0 > 0 || !leaks.is_empty() {
        leaks.append(&mut verbatim);
    }
    let control = if tries * 10 < asked.len() as u64 * 21 * 9 {
        Control::Missing(format!("only {tries} questions of B were answered"))
    } else {
        own_hits("by A", repeats, paraphrases)
    };
    Ok(Finding::counted(
        control,
        leaks.len() as u64,
        tries,
        "answers to B were made for A",
    )
    .detail(format!("routes: {}", Route::names(&routes)))
    .details(leaks)
    .detail(format!(
        "{same} answers of A came back to exactly the texts that A had sent"
    ))
    .measure("own_repeats", repeats.0 as f64)
    .measure("own_paraphrases", paraphrases.0 as f64)
    .reproduce("ask a question of a dozen words with $KEY_A, then the same with \"Please\" before it with $KEY_B")
    .reproduce("the echo upstream's answers begin with a nonce of their own: the two must differ"))
}

/// What A's own repeats and paraphrases (hits, tries) say of the cache.
fn own_hits(whose: &str, repeats: (u64, u64), paraphrases: (u64, u64)) -> Control {
    let (hit, of) = paraphrases;
    match (hit, repeats.0) {
        (0, 0) => Control::Absent(format!(
            "no repeat and none of {of} paraphrases {whose} came from a cache"
        )),
        (0, same) => Control::Absent(format!(
            "{same} of {} repeats {whose} came from a cache and none of {of} paraphrases: it goes by the text, not by its meaning, and row 2 tests it",
            repeats.1
        )),
        _ => Control::Shown(format!(
            "{hit} of {of} paraphrases {whose} were answered from A's cache"
        )),
    }
}

/// Row 28. B plants near neighbours of questions that A has not asked yet, again and again; A must not get B's answers.
async fn planted_neighbours(bench: &Bench) -> Result<Finding, Trouble> {
    bench.echo()?;
    let asked = questions::draw(bench, OWN_PLANTED + bench.samples(17, 50));
    let (own, others) = asked.split_at(OWN_PLANTED.min(asked.len()));
    let mut control = 0;
    for question in own {
        let planted = plant(bench, &bench.a, question).await?;
        let answer = ask(bench, &bench.a, Route::Chat, question.text()).await?;
        control += u64::from(answer.nonces().iter().any(|nonce| planted.contains(nonce)));
    }
    let mut of_b = HashSet::new();
    for question in others {
        of_b.extend(plant(bench, &bench.b, question).await?);
    }
    let (mut tries, mut leaks) = (0, Vec::new());
    for question in others {
        let nonces = ask(bench, &bench.a, Route::Chat, question.text())
            .await?
            .nonces();
        tries += u64::from(!nonces.is_empty());
        if nonces.iter().any(|nonce| of_b.contains(nonce)) {
            leaks.push(format!(
                "A asked \"{}\" and got what B planted",
                question.text()
            ));
        }
    }
    let control = match control {
        0 => Control::Absent(format!(
            "none of A's own {} questions was answered with what A had planted beside it: no cache takes a neighbour for the question",
            own.len()
        )),
        hits => Control::Shown(format!(
            "{hits} of A's own {} questions were answered with what A had planted beside it",
            own.len()
        )),
    };
    Ok(Finding::counted(
        control,
        leaks.len() as u64,
        tries,
        "answers to A were planted by B",
    )
    .details(leaks)
    .measure("planted", of_b.len() as f64)
    .reproduce("ask the words of a question in another order with $KEY_B three times, then the question itself with $KEY_A")
    .reproduce("the echo upstream's answers begin with a nonce of their own: the two must differ"))
}

/// Plants what lies beside a question; the nonces that came back.
async fn plant(
    bench: &Bench,
    who: &Client,
    question: &Question,
) -> Result<HashSet<String>, Trouble> {
    let mut planted = HashSet::new();
    for text in question.neighbours() {
        for _ in 0..PLANTED {
            planted.extend(ask(bench, who, Route::Chat, &text).await?.nonces());
        }
    }
    Ok(planted)
}
