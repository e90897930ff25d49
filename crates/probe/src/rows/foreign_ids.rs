//! The row about ids of other tenants.

use super::identity::others;
use super::objects::{KINDS, Kind, is_same};
use super::pairs::Pairs;
use crate::canary::Canary;
use crate::row::{Bench, Row};
use crate::target::{Answer, Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::measured(3, |bench| Box::pin(foreign_ids(bench)))];

/// Things of A of each kind.
const EACH: usize = 3;

/// A thing of A.
struct Thing<'a> {
    kind: &'a Kind,
    id: String,
    canary: Canary,
}

/// What B was told, and what of it was a leak.
#[derive(Default)]
struct Told {
    tries: u64,
    leaks: Vec<String>,
    own: usize,
}

/// Row 3. Whatever B does to an id of A is answered as to an id that never existed, changes nothing, and takes no other
/// time.
async fn foreign_ids(bench: &Bench) -> Result<Finding, Trouble> {
    let (mut things, mut unmade) = (Vec::new(), Vec::new());
    for kind in KINDS
        .iter()
        .filter(|kind| bench.offered.contains(&kind.route))
    {
        for _ in 0..EACH {
            let canary = bench.canary();
            match kind.make(bench, &bench.a, &canary).await? {
                Ok(id) => things.push(Thing { kind, id, canary }),
                Err(why) => {
                    unmade.push(why);
                    break;
                }
            }
        }
    }
    if things.is_empty() {
        return Ok(Finding::not_tested("A's key makes nothing that has an id").details(unmade));
    }
    let mut told = Told::default();
    for thing in &things {
        told.own += usize::from(bench.a.send(&thing.kind.reading(&thing.id)).await?.is_ok());
        try_thing(bench, thing, &mut told).await?;
    }
    let mut lists: Vec<&str> = things.iter().map(|thing| thing.kind.route).collect();
    lists.dedup();
    for route in &lists {
        told.tries += 1;
        let list = bench.b.get(route).await?;
        if things.iter().any(|thing| shows(&list, thing)) {
            told.leaks
                .push(format!("GET {route} lists what is A's to B"));
        }
    }
    let mut finding_of_times = None;
    let mut area = (0.5, 0.5);
    if let Some(thing) = things.first() {
        let of_b = timed(bench, thing, &bench.b).await?;
        let of_a = timed(bench, thing, &bench.a).await?;
        let value = |pairs: &Pairs| pairs.area().map_or(0.5, |area| area.folded());
        area = (value(&of_b), value(&of_a));
        if of_b.differ() {
            told.leaks.push(format!(
                "{}: B is told of an id of A {:.2} ms later than of one that never existed (AUC {:.2})",
                thing.kind.read,
                of_b.gap(),
                area.0
            ));
        }
        finding_of_times = Some(of_b.distribution("B reads an id", "that never existed", "of A"));
    }
    for thing in &things {
        if !bench.a.send(&thing.kind.reading(&thing.id)).await?.is_ok() && told.own == things.len()
        {
            told.leaks.push(format!(
                "{}: what B did to A's thing ended it",
                thing.kind.read
            ));
        }
    }
    for thing in &things {
        if let Some(ask) = thing.kind.deleting(&thing.id) {
            bench.a.send(&ask).await?;
        }
    }
    let control = if told.own == things.len() {
        Control::Shown(format!(
            "A reads all {} of its own things at {}",
            told.own,
            lists.join(", ")
        ))
    } else {
        Control::Missing(format!(
            "A reads only {} of its own {} things",
            told.own,
            things.len()
        ))
    };
    let mut found = Finding::counted(control, told.leaks.len() as u64, told.tries, "acts of B on ids of A were not answered as on ids of nobody")
        .details(told.leaks)
        .detail(format!("time tells B of an id with AUC {:.2}, and A of its own with {:.2}", area.0, area.1))
        .details(unmade)
        .measure("auc", area.0)
        .measure("auc_inside_a", area.1)
        .reproduce("make something with $KEY_A (such as POST $TARGET/v1/conversations) and read its id with $KEY_B")
        .reproduce("the answer must be, to the byte, the one to an id of the same shape that never existed");
    if let Some(distribution) = finding_of_times {
        found = found.distribution(distribution);
    }
    Ok(found)
}

/// Everything B can do to one thing of A, beside the same done to two ids that never existed.
async fn try_thing(bench: &Bench, thing: &Thing<'_>, told: &mut Told) -> Result<(), Trouble> {
    let model = bench.b.model();
    let (one, other) = (never(bench, &thing.id), never(bench, &thing.id));
    let acts = thing.kind.doing(&thing.id, model);
    let (ones, others) = (
        thing.kind.doing(&one, model),
        thing.kind.doing(&other, model),
    );
    for (((what, act), (_, on_one)), (_, on_other)) in acts.iter().zip(&ones).zip(&others) {
        told.tries += 1;
        let mark = bench.echo.as_ref().map(|echo| echo.mark());
        let answer = bench.b.send(act).await?;
        let reached = bench.echo.as_ref().zip(mark).is_some_and(|(echo, mark)| {
            let with = echo.requests_with(mark, thing.canary.text());
            !with.is_empty()
        });
        let (one_answer, other_answer) =
            (bench.b.send(on_one).await?, bench.b.send(on_other).await?);
        let plain = |answer: &Answer, id: &str| answer.body_text().replace(id, "{id}");
        let (ours, first, second) = (
            plain(&answer, &thing.id),
            plain(&one_answer, &one),
            plain(&other_answer, &other),
        );
        let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let same_body = ours == first
            || (first != second && is_same(&read(&ours), &read(&first), &read(&second)));
        let wrong = if shows(&answer, thing) || reached {
            "brought what is A's"
        } else if answer.is_ok() {
            "was taken"
        } else if answer.status != one_answer.status {
            "has another status than an id of nobody"
        } else if !same_body {
            "has another body than an id of nobody"
        } else if names(&answer) != names(&one_answer) {
            "has other header lines than an id of nobody"
        } else {
            continue;
        };
        told.leaks.push(format!(
            "{what} by B {wrong} ({}, and {} for nobody's)",
            answer.status, one_answer.status
        ));
    }
    Ok(())
}

/// An id of the same shape that nobody was given.
fn never(bench: &Bench, id: &str) -> String {
    let kept = id.find(['-', '_']).map_or(0, |at| at + 1);
    let (prefix, rest) = id.split_at(kept);
    format!("{prefix}{}", bench.draw(|chance| others(chance, rest)))
}

fn shows(answer: &Answer, thing: &Thing<'_>) -> bool {
    thing.canary.found_in(&answer.body).is_some()
        || (answer.is_ok() && answer.body_text().contains(&thing.id))
}

fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<&str> = answer
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// Reads of A's id and of ids of nobody, in turns and random order.
async fn timed(bench: &Bench, thing: &Thing<'_>, who: &Client) -> Result<Pairs, Trouble> {
    let mut pairs = Pairs::default();
    let time = async |ask: &Ask| -> Result<f64, Trouble> {
        Ok(who.send(ask).await?.whole.as_secs_f64() * 1000.0)
    };
    let ours = thing.kind.reading(&thing.id);
    for _ in 0..bench.samples(200, 600) {
        let nobodys = thing.kind.reading(&never(bench, &thing.id));
        let (plain, other);
        if bench.draw(|chance| chance.percent(50)) {
            plain = time(&nobodys).await?;
            other = time(&ours).await?;
        } else {
            other = time(&ours).await?;
            plain = time(&nobodys).await?;
        }
        pairs.plain.push(plain);
        pairs.other.push(other);
    }
    Ok(pairs)
}
