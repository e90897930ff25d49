//! The row about answers that reach another call.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::heard::heard;
use super::routes::with;
use crate::echo::{Script, nonces_in};
use crate::row::{Bench, Row, at_once};
use crate::target::{Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(13, |bench| Box::pin(response_mixup(bench)))];

/// Streams at once.
const WIDTH: usize = 64;
/// Of a hundred streams, how many are left before their end.
const LEFT: usize = 30;
/// Bytes after which one is left, at most; a whole answer has more.
const LEFT_WITHIN: usize = 3000;
/// What stands before each call's own canary.
const CALL: &str = "call-";
/// Streams one after another at the end, which get what is still left over.
const LAST: usize = 8;

struct Plan {
    of_b: bool,
    text: String,
    canary: String,
    /// After how many bytes the caller leaves.
    leave: Option<usize>,
}

/// What came back of one call.
enum Came {
    Whole(String),
    Part(String),
    Broken,
}

/// Row 13. Streams of both at once, some of them left at any byte. Whatever anybody hears is theirs.
async fn response_mixup(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let (run, mark) = (bench.canary(), echo.mark());
    echo.when(run.text(), |_| Script {
        each_after: Duration::from_millis(1),
        ..Script::default()
    });
    let mut plans: Vec<Plan> = (0..bench.samples(2000, 10_000).max(200))
        .map(|_| Plan::draw(bench, run.text()))
        .collect();
    let first_of_last = plans.len().saturating_sub(LAST);
    for plan in plans.iter_mut().skip(first_of_last) {
        plan.leave = None;
    }
    let (at_once_plans, last) = plans.split_at(first_of_last);
    let mut calls = Vec::new();
    for plan in at_once_plans {
        calls.push(plan.call(bench));
    }
    let mut came = at_once(WIDTH, calls).await;
    for plan in last {
        came.push(plan.call(bench).await);
    }
    let mut nonces: HashMap<String, HashSet<String>> = HashMap::new();
    let mut leaks = Vec::new();
    for request in echo.requests_since(mark) {
        let callers = callers(&String::from_utf8_lossy(&request.body));
        if callers.len() > 1 {
            leaks.push("a request at the upstream holds the texts of two calls".to_owned());
        }
        for caller in callers {
            nonces
                .entry(caller)
                .or_default()
                .insert(request.nonce.clone());
        }
    }
    let (mut whole, mut part, mut broken) = (0_u64, 0_u64, 0_u64);
    for (plan, came) in plans.iter().zip(came) {
        let said = match came? {
            Came::Whole(said) => {
                whole += u64::from(said.contains(&plan.text));
                said
            }
            Came::Part(said) => {
                part += 1;
                said
            }
            Came::Broken => {
                broken += 1;
                continue;
            }
        };
        let own = nonces.get(&plan.canary);
        let foreign = callers(&said).iter().any(|caller| *caller != plan.canary)
            || nonces_in(&said)
                .iter()
                .any(|nonce| !own.is_some_and(|own| own.contains(nonce)));
        if foreign {
            let who = if plan.of_b { "B" } else { "A" };
            leaks.push(format!("{who} heard what was said to another call"));
        }
    }
    let kept = plans.iter().filter(|plan| plan.leave.is_none()).count() as u64;
    let figures = format!(
        "{whole} of {kept} streams that were kept came whole, {part} were left, {broken} broke"
    );
    let control = if whole * 10 < kept * 9 || part == 0 {
        Control::Missing(figures)
    } else {
        Control::Shown(figures)
    };
    let count = leaks.len() as u64;
    leaks.dedup();
    Ok(Finding::counted(
        control,
        count,
        whole + part,
        "answers held something of another call",
    )
    .details(leaks)
    .measure("whole", whole as f64)
    .measure("left", part as f64)
    .measure("broken", broken as f64)
    .reproduce("64 streamed chats at once, half with $KEY_A and half with $KEY_B, each with a text of its own; close 30 % of the connections somewhere within the answer")
    .reproduce("every answer must hold the text of its own request, and no other"))
}

impl Plan {
    fn draw(bench: &Bench, run: &str) -> Plan {
        let canary = bench.canary().to_string();
        let (of_b, leave) = bench.draw(|chance| {
            let of_b = chance.percent(50);
            let left = chance.percent(LEFT);
            (of_b, left.then(|| 1 + chance.below(LEFT_WITHIN)))
        });
        let text = format!("{CALL}{canary} is all that belongs here, and {CALL}{canary} again.");
        Plan {
            of_b,
            text: format!("{run} {text}"),
            canary,
            leave,
        }
    }

    async fn call(&self, bench: &Bench) -> Result<Came, Trouble> {
        let who = if self.of_b { &bench.b } else { &bench.a };
        let body = with(
            with(who.chat_body(&self.text), "stream", true),
            // what may be answered from a cache is no call
            "temperature",
            1,
        );
        let came = match self.leave {
            None => self.whole(who, &body).await,
            Some(bytes) => self.part(bench, who, &body, bytes).await,
        };
        match came {
            Err(Trouble::Spent) => Err(Trouble::Spent),
            Err(_) => Ok(Came::Broken),
            Ok(came) => Ok(came),
        }
    }

    async fn whole(&self, who: &Client, body: &serde_json::Value) -> Result<Came, Trouble> {
        let mut stream = who.stream(&Ask::post("/v1/chat/completions", body)).await?;
        let pieces = stream.rest().await?;
        Ok(Came::Whole(
            pieces.iter().map(|piece| piece.said()).collect(),
        ))
    }

    /// Reads about so many bytes of a raw connection and closes it.
    async fn part(
        &self,
        bench: &Bench,
        who: &Client,
        body: &serde_json::Value,
        bytes: usize,
    ) -> Result<Came, Trouble> {
        let request = bench.dial.post(who, "/v1/chat/completions", &[], body);
        let mut socket = bench.dial.open().await?;
        socket.write(&request).await?;
        while socket.ahead().len() < bytes && socket.bytes().await?.is_some() {}
        Ok(Came::Part(heard(socket.ahead()).await))
    }
}

/// The canaries of calls that stand in a text.
fn callers(text: &str) -> BTreeSet<String> {
    text.match_indices(CALL)
        .filter_map(|(at, _)| text.get(at + CALL.len()..at + CALL.len() + 32))
        .filter(|canary| canary.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect()
}
