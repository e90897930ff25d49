//! The row about request ids that the client chooses.

use std::time::Duration;

use serde_json::json;

use crate::canary::Canary;
use crate::echo::{Echo, Script};
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(20, |bench| Box::pin(id_collision(bench)))];

/// Where clients put ids: header lines, and the fields of the body that engines read.
const PLACES: [Place; 10] = [
    Place::Line("x-request-id"),
    Place::Line("request-id"),
    Place::Line("x-client-request-id"),
    Place::Line("x-correlation-id"),
    Place::Line("idempotency-key"),
    Place::Line("x-idempotency-key"),
    Place::Line("x-trace-id"),
    Place::Field("rid"),
    Place::Field("request_id"),
    Place::Field("id"),
];
/// How long A's call stays at the upstream, so that B's meets it there.
const HELD: Duration = Duration::from_millis(25);
/// How long B waits in the calls that it leaves.
const BRIEF: Duration = Duration::from_millis(3);
/// How long A's call may take to the upstream.
const ARRIVES: Duration = Duration::from_secs(2);
/// Rounds at once.
const WIDTH: usize = 8;

#[derive(Debug, Clone, Copy)]
enum Place {
    Line(&'static str),
    Field(&'static str),
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Line(name) | Place::Field(name) => name,
        }
    }

    /// A chat call with this id.
    fn ask(self, who: &Client, text: &str, id: &str) -> Ask {
        let path = "/v1/chat/completions";
        match self {
            Place::Line(name) => Ask::post(path, &who.chat_body(text)).header(name, id),
            Place::Field(name) => Ask::post(path, &who.chat_body_with(text, &json!({name: id}))),
        }
    }
}

/// One call of A, and what B does with its id meanwhile and after.
struct Round {
    place: Place,
    id: Canary,
    /// How much of A's id B uses.
    length: usize,
    of_a: Canary,
    of_b: Canary,
}

/// What came of a round.
struct Met {
    /// Whether A's call was at the upstream when B's came.
    together: bool,
    leak: Option<String>,
}

/// Row 20. B's calls with the id of a call of A, or the front of it, neither end A's call nor get its answer, and no id that
/// a client chose reaches the upstream.
async fn id_collision(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let mut rounds = Vec::new();
    for number in 0..bench.samples(200, 600) {
        let Some(place) = PLACES.get(number % PLACES.len()) else {
            continue;
        };
        // the whole id first in each place, then ever shorter fronts, down to one character
        let length = [32, 1, 16, 31]
            .get(number / PLACES.len() % 4)
            .copied()
            .unwrap_or(32);
        rounds.push(Round {
            place: *place,
            id: bench.canary(),
            length,
            of_a: bench.canary(),
            of_b: bench.canary(),
        });
    }
    let mut work = Vec::new();
    for round in &rounds {
        work.push(meet(bench, echo, round));
    }
    let met: Vec<Met> = at_once(WIDTH, work)
        .await
        .into_iter()
        .collect::<Result<_, Trouble>>()?;
    let together = met.iter().filter(|met| met.together).count();
    let mut shown: Vec<String> = met.into_iter().filter_map(|met| met.leak).collect();
    let leaks = shown.len() as u64;
    shown.sort_unstable();
    shown.dedup();
    let tries = rounds.len();
    // where a field of the body is refused there is no call to meet: header lines are more than half of all
    let control = if together * 3 >= tries {
        Control::Shown(format!(
            "{together} of {tries} calls of A were at the upstream when B came with their id"
        ))
    } else {
        Control::Missing(format!(
            "only {together} of {tries} calls of A were at the upstream when B came with their id"
        ))
    };
    Ok(Finding::counted(control, leaks, tries as u64, "ids of A in B's hands had an effect")
        .details(shown)
        .measure("together", together as f64)
        .reproduce("start a slow call with $KEY_A and x-request-id: probe-1, and send another with $KEY_B and the same line")
        .reproduce("both must be answered with their own, and the upstream must see ids that the gateway made"))
}

async fn meet(bench: &Bench, echo: &Echo, round: &Round) -> Result<Met, Trouble> {
    let mark = echo.mark();
    echo.when(round.of_a.text(), |_| Script {
        first_after: HELD,
        ..Script::default()
    });
    let id = round.id.text();
    let front = id.get(..round.length).unwrap_or(id);
    let of_a = round
        .place
        .ask(&bench.a, &format!("Hello {}", round.of_a), id);
    let of_b = round
        .place
        .ask(&bench.b, &format!("Hello {}", round.of_b), front);
    let others = async {
        let there = echo.wait(mark, ARRIVES, |requests| {
            requests
                .iter()
                .any(|request| request.holds(round.of_a.text()))
        });
        let there = there.await;
        if there {
            // left before it is answered: an abort that finds A's call by the id would end that one
            let _ = tokio::time::timeout(BRIEF, bench.b.send(&of_b)).await;
        }
        let meanwhile = bench.b.send(&of_b).await;
        (there, meanwhile)
    };
    // a refused call never arrives: nothing is waited for then
    let a_answers = bench.a.send(&of_a);
    tokio::pin!(a_answers, others);
    let (first, (together, meanwhile)) = tokio::select! {
        answer = &mut a_answers => {
            let answer = answer?;
            if answer.is_ok() { (answer, others.await) } else { (answer, (false, bench.b.send(&of_b).await)) }
        }
        met = &mut others => (a_answers.await?, met),
    };
    let after = bench.b.send(&of_b).await?;
    let leak = effect(round, &first, together, &[meanwhile?, after]).or_else(|| {
        let given = echo
            .requests_since(mark)
            .iter()
            .any(|request| request.holds(id));
        given.then(|| {
            format!(
                "{}: the upstream was given the client's id",
                round.place.name()
            )
        })
    });
    Ok(Met { together, leak })
}

fn effect(round: &Round, of_a: &Answer, together: bool, of_b: &[Answer]) -> Option<String> {
    let name = round.place.name();
    let holds = |answer: &Answer, canary: &Canary| canary.found_in(&answer.body).is_some();
    if let Some(answer) = of_b.iter().find(|answer| holds(answer, &round.of_a)) {
        return Some(format!("{name}: B got A's answer ({})", answer.status));
    }
    if holds(of_a, &round.of_b) {
        return Some(format!("{name}: A got B's answer"));
    }
    // its call was with the upstream, which answers all: only B can have ended it. Load may, and says so with 429 or 503
    let ended = together && !matches!(of_a.status, 429 | 503);
    (ended && !(of_a.is_ok() && holds(of_a, &round.of_a)))
        .then(|| format!("{name}: A's call came to nothing ({})", of_a.status))
}
