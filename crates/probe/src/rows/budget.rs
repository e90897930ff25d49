//! The row about money: a budget under many calls at once, and a ledger that must be the upstream's count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::routes::with;
use crate::echo::{Echo, Mark, Recorded, Script};
use crate::options::Key;
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(23, |bench| Box::pin(budget_race(bench)))];

/// Calls against the budget at once, and how many calls it is first made for.
const RACE: (usize, usize) = (100, 10);
/// So many that went through together are a race.
const RACED: u64 = 5;
/// How often a budget that lets fewer through is made four times as large, or smaller where it lets all through.
const SIZES: usize = 6;
/// How long a ledger may take until it has what ended.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(30);
/// How often it must say the same until it is believed.
const STAYS: u32 = 3;
/// What the upstream takes for a call, so that calls are at once.
const TAKES: Duration = Duration::from_millis(30);
/// Billionths of the currency.
const NANO: u64 = 1_000_000_000;

/// Row 23. The ledger of a tenant is the upstream's count, also of calls that were left; and no race spends more than the
/// budget.
async fn budget_race(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let made = match &bench.admin {
        Some(admin) => Some(Made::tenant(bench, admin).await?),
        None => None,
    };
    let mut found = Found::default();
    let own = Ledger {
        reader: &bench.b,
        path: "/tenant/v1/usage".to_owned(),
    };
    let outcome = async {
        // a tenant of its own has no calls of other rows that are not booked yet
        if let Some(made) = &made {
            counted(bench, echo, &made.client, &made.ledger(), &mut found).await?;
        } else if own.read().await?.is_some() {
            counted(bench, echo, &bench.b, &own, &mut found).await?;
        } else {
            found.without.push(
                "B's key may not read /tenant/v1/usage, and no control plane was given".to_owned(),
            );
        }
        match &made {
            Some(made) => race(bench, echo, made, &mut found).await?,
            None => found
                .without
                .push("no budget was tried: only the control plane can set one".to_owned()),
        }
        Ok::<(), Trouble>(())
    };
    let outcome = outcome.await;
    // whatever happened, nobody can use the tenant that was made
    if let Some(made) = &made {
        made.suspend().await?;
    }
    outcome?;
    Ok(found.finding())
}

#[derive(Default)]
struct Found {
    tries: u64,
    leaks: Vec<String>,
    shown: Vec<String>,
    missing: Vec<String>,
    /// What was not tried, and why.
    without: Vec<String>,
    measures: Vec<(&'static str, f64)>,
}

impl Found {
    fn finding(self) -> Finding {
        let control = if !self.missing.is_empty() {
            Control::Missing(self.missing.join("; "))
        } else if self.shown.is_empty() {
            Control::Absent(self.without.join("; "))
        } else {
            Control::Shown(self.shown.join("; "))
        };
        let mut finding = Finding::counted(
            control,
            self.leaks.len() as u64,
            self.tries,
            "calls were let through, or booked, wrongly",
        )
        .details(self.leaks)
        .details(self.without)
        .reproduce("set a budget of ten calls on a tenant (PUT /admin/v1/tenants/<id>/limits) and send a hundred calls at once with its key, half of them streamed and left")
        .reproduce("what GET …/usage says must be no more than the budget, and as many calls as the upstream saw");
        for (name, value) in self.measures {
            finding = finding.measure(name, value);
        }
        finding
    }
}

/// Where the usage of one tenant is read.
struct Ledger<'a> {
    reader: &'a Client,
    path: String,
}

/// Usage as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Usage {
    calls: u64,
    input: u64,
    output: u64,
    cost: u64,
}

impl Ledger<'_> {
    /// None where it is not offered to this key.
    async fn read(&self) -> Result<Option<Usage>, Trouble> {
        let answer = self.reader.get(&self.path).await?;
        let total = answer.json();
        let number = |name: &str| total.pointer(&format!("/total/{name}"))?.as_u64();
        let cost = total
            .pointer("/total/cost")
            .and_then(Value::as_str)
            .and_then(nano);
        let read = || {
            Some(Usage {
                calls: number("calls")?,
                input: number("input_tokens")?,
                output: number("output_tokens")?,
                cost: cost?,
            })
        };
        Ok(read().filter(|_| answer.is_ok()))
    }

    /// As soon as it is as `enough` says and stays so, or after a while.
    async fn settled(&self, enough: impl Fn(&Usage) -> bool) -> Result<Usage, Trouble> {
        let began = Instant::now();
        let (mut last, mut stays) = (None, 0);
        loop {
            let gone =
                || Trouble::Unexpected("the usage could be read once, and no more".to_owned());
            let usage = self.read().await?.ok_or_else(gone)?;
            stays = if last == Some(usage) { stays + 1 } else { 0 };
            if stays >= STAYS && enough(&usage) || began.elapsed() > SETTLED_WITHIN {
                return Ok(usage);
            }
            last = Some(usage);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// A decimal amount in billionths; none where it is not one, or has more digits.
fn nano(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > 9 || whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let part: u64 = format!("{part:0<9}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(NANO)?
        .checked_add(part)
}

fn decimal(nano: u64) -> String {
    format!("{}.{:09}", nano / NANO, nano % NANO)
}

/// A tenant of its own, whose limits may be changed.
struct Made<'a> {
    admin: &'a Client,
    id: String,
    client: Client,
}

impl<'a> Made<'a> {
    async fn tenant(bench: &Bench, admin: &'a Client) -> Result<Made<'a>, Trouble> {
        let text = |answer: &Answer, name: &str| {
            let text = answer
                .json()
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned);
            text.filter(|_| answer.is_ok()).ok_or_else(|| {
                Trouble::Unexpected(format!(
                    "the control plane did not make a tenant with a key: {}",
                    answer.brief()
                ))
            })
        };
        let name = format!("probe budget {}", bench.canary());
        let answer = admin
            .post("/admin/v1/tenants", &json!({"name": name}))
            .await?;
        let id = text(&answer, "id")?;
        let path = format!("/admin/v1/tenants/{id}/keys");
        let wanted = json!({"name": "probe", "scopes": ["infer"]});
        let key = text(&admin.post(&path, &wanted).await?, "key")?;
        let key = Key::new(&key)
            .map_err(|_| Trouble::Unexpected("the control plane's key is none".to_owned()))?;
        let client = bench.client(key);
        Ok(Made { admin, id, client })
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger {
            reader: self.admin,
            path: format!("/admin/v1/tenants/{}/usage", self.id),
        }
    }

    async fn limit(&self, total: u64) -> Result<(), Trouble> {
        let path = format!("/admin/v1/tenants/{}/limits", self.id);
        let limits = json!({"tenant": {"money_total": decimal(total)}});
        let answer = self
            .admin
            .send(&Ask::new("PUT", &path).body(limits.to_string()))
            .await?;
        if answer.is_ok() {
            Ok(())
        } else {
            Err(Trouble::Unexpected(format!(
                "the control plane did not set a budget: {}",
                answer.brief()
            )))
        }
    }

    async fn suspend(&self) -> Result<(), Trouble> {
        let path = format!("/admin/v1/tenants/{}", self.id);
        let state = json!({"state": "suspended"});
        self.admin
            .send(&Ask::new("PATCH", &path).body(state.to_string()))
            .await?;
        Ok(())
    }
}

/// One call: whole, or streamed and left after its first piece.
async fn call(who: &Client, text: &str, leave: bool) -> Result<Option<Answer>, Trouble> {
    let body = with(who.chat_body(text), "temperature", 1);
    if !leave {
        return who.post("/v1/chat/completions", &body).await.map(Some);
    }
    let body = with(body, "stream", true);
    let mut stream = who
        .stream(&Ask::post("/v1/chat/completions", &body))
        .await?;
    stream.next().await?;
    Ok(None)
}

/// Requests since then that hold this text: what the upstream did for it.
fn seen(echo: &Echo, mark: Mark, run: &str) -> Vec<Arc<Recorded>> {
    echo.requests_with(mark, run)
}

fn paced(echo: &Echo, run: &str) {
    echo.when(run, |_| Script {
        first_after: TAKES,
        each_after: Duration::from_millis(2),
        ..Script::default()
    });
}

/// A ledger has every call that the upstream saw, and every token of those that came whole.
async fn counted(
    bench: &Bench,
    echo: &Echo,
    who: &Client,
    ledger: &Ledger<'_>,
    found: &mut Found,
) -> Result<(), Trouble> {
    let before = ledger.settled(|_| true).await?;
    let (mut calls, mut tokens) = (0, (0, 0));
    for leaves in [false, true] {
        let run = bench.canary();
        paced(echo, run.text());
        let mark = echo.mark();
        let mut texts = Vec::new();
        for _ in 0..bench.samples(60, 300) {
            texts.push(format!("{run} {}", bench.canary()));
        }
        let mut work = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            work.push(call(who, text, leaves && number % 2 == 0));
        }
        for came in at_once(16, work).await {
            let answer = came?.map(|answer| answer.json()).unwrap_or_default();
            let number = |name: &str| {
                answer
                    .pointer(&format!("/usage/{name}"))
                    .and_then(Value::as_u64)
            };
            tokens.0 += number("prompt_tokens").unwrap_or(0);
            tokens.1 += number("completion_tokens").unwrap_or(0);
        }
        calls += seen(echo, mark, run.text()).len() as u64;
        let booked = ledger
            .settled(|usage| {
                let all_calls = usage.calls.saturating_sub(before.calls) >= calls;
                all_calls && (leaves || usage.input.saturating_sub(before.input) >= tokens.0)
            })
            .await?;
        let booked_calls = booked.calls.saturating_sub(before.calls);
        found.tries += texts.len() as u64;
        if booked_calls != calls {
            found.leaks.push(format!(
                "the upstream saw {calls} calls{}, the ledger says {booked_calls}",
                if leaves { ", some of them left" } else { "" }
            ));
            continue;
        }
        let booked_tokens = (
            booked.input.saturating_sub(before.input),
            booked.output.saturating_sub(before.output),
        );
        if !leaves && booked_tokens != tokens {
            found.leaks.push(format!(
                "the answers said {} tokens in and {} out, the ledger says {} and {}",
                tokens.0, tokens.1, booked_tokens.0, booked_tokens.1
            ));
        }
    }
    if calls == 0 {
        found
            .missing
            .push("no call reached the upstream".to_owned());
    } else {
        found
            .shown
            .push(format!("the ledger follows {calls} calls"));
    }
    Ok(())
}

/// Many calls at once against a budget for few.
async fn race(
    bench: &Bench,
    echo: &Echo,
    made: &Made<'_>,
    found: &mut Found,
) -> Result<(), Trouble> {
    let ledger = made.ledger();
    let run = bench.canary();
    paced(echo, run.text());
    let text = || format!("{run} {}", bench.canary());
    let Some((client, one)) = priced(bench, made, &ledger, &text).await? else {
        found
            .without
            .push("no budget was tried: no model has a price".to_owned());
        return Ok(());
    };
    let (mut calls, mut best) = (RACE.1 as u64, 0);
    for _ in 0..SIZES {
        let before = ledger.settled(|_| true).await?;
        let budget = before.cost + one * calls;
        made.limit(budget).await?;
        let mark = echo.mark();
        let mut texts = Vec::new();
        for _ in 0..RACE.0 {
            texts.push(text());
        }
        let mut work = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            work.push(call(&client, text, number % 2 == 0));
        }
        for came in at_once(RACE.0, work).await {
            // what was refused as a stream, or broke, counts by what the upstream saw
            if let Err(Trouble::Spent) = came {
                return Err(Trouble::Spent);
            }
        }
        let arrived = seen(echo, mark, run.text());
        let admitted = arrived.len() as u64;
        let spent = ledger
            .settled(|usage| usage.calls.saturating_sub(before.calls) >= admitted)
            .await?;
        found.tries += RACE.0 as u64;
        if spent.cost > budget {
            found.leaks.push(format!(
                "a budget of {} was overspent: {}",
                decimal(budget),
                decimal(spent.cost)
            ));
        }
        // what came whole costs what one whole call cost, whatever the ledger says
        let whole = arrived
            .iter()
            .filter(|request| !is_streamed(request))
            .count() as u64;
        if before.cost + whole * one > budget {
            found.leaks.push(format!(
                "{whole} whole calls were let through by a budget for {calls}"
            ));
        }
        let all = admitted == RACE.0 as u64;
        best = best.max(if all { 0 } else { admitted });
        if !found.leaks.is_empty() || best >= RACED || all && best > 0 {
            break;
        }
        calls = if all { (calls / 4).max(1) } else { calls * 4 };
    }
    found.measures.push(("admitted", best as f64));
    if best > 0 {
        found.shown.push(format!(
            "a small budget let {best} of {} calls at once through",
            RACE.0
        ));
    } else {
        let none = "no budget was found that lets some of the calls through, and not all";
        found.missing.push(none.to_owned());
    }
    Ok(())
}

fn is_streamed(request: &Recorded) -> bool {
    let body = request.json().unwrap_or_default();
    body.get("stream").and_then(Value::as_bool) == Some(true)
}

/// The first model that costs something, and what one call of it costs, in billionths.
async fn priced(
    bench: &Bench,
    made: &Made<'_>,
    ledger: &Ledger<'_>,
    text: &impl Fn() -> String,
) -> Result<Option<(Client, u64)>, Trouble> {
    for model in &bench.models {
        let client = made.client.clone().with_model(model);
        let before = ledger.settled(|_| true).await?;
        let Some(answer) = call(&client, &text(), false).await? else {
            continue;
        };
        if !answer.is_ok() || answer.nonces().is_empty() {
            continue;
        }
        let after = ledger.settled(|usage| usage.input > before.input).await?;
        if after.cost > before.cost {
            return Ok(Some((client, after.cost - before.cost)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0.000000001", Some(1)),
            ("12.5", Some(12_500_000_000)),
            ("1.", Some(NANO)),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1.0000000001", None),
            ("99999999999999", None),
        ] {
            assert_eq!(nano(text), expected, "{text}");
        }
        assert_eq!(decimal(12_500_000_001), "12.500000001");
    }
}
