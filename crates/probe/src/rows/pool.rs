//! The row about the credential that a call goes out with, and about the connection.

use std::collections::{BTreeSet, HashSet};

use super::routes::with;
use crate::echo::Recorded;
use crate::row::{Bench, Row, at_once};
use crate::target::Client;
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(14, |bench| Box::pin(pooled_credentials(bench)))];

/// Lines that bear a credential of an upstream.
const CREDENTIALS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
/// Plain calls that show which credentials are whose.
const PLAIN: usize = 4;

/// Names and values of such lines.
type Credentials = BTreeSet<(String, String)>;

fn credentials(request: &Recorded) -> Credentials {
    let lines = CREDENTIALS.iter().flat_map(|name| {
        let values = request.head.all(name);
        values.map(move |value| ((*name).to_owned(), value.to_owned()))
    });
    lines.collect()
}

/// Row 14. With calls of both at once, each goes out with its own credential.
async fn pooled_credentials(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let call = async |who: &Client| -> Result<Option<(u64, Credentials)>, Trouble> {
        let (marker, mark) = (bench.canary(), echo.mark());
        let body = with(
            who.chat_body(&format!("Is {marker} here?")),
            "temperature",
            1,
        );
        who.post("/v1/chat/completions", &body).await?;
        let arrived = echo.requests_with(mark, marker.text()).into_iter().next();
        Ok(arrived.map(|request| (request.connection, credentials(&request))))
    };
    let (mut of_a, mut of_b) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..PLAIN {
        of_a.extend(call(&bench.a).await?.into_iter().flat_map(|(_, used)| used));
        of_b.extend(call(&bench.b).await?.into_iter().flat_map(|(_, used)| used));
    }
    let mut calls = Vec::new();
    for number in 0..bench.samples(300, 1000).max(40) {
        calls.push(call(if number % 2 == 0 { &bench.a } else { &bench.b }));
    }
    let (mut tries, mut leaks) = (0_u64, 0_u64);
    let mut connections: [HashSet<u64>; 2] = Default::default();
    for (number, came) in at_once(8, calls).await.into_iter().enumerate() {
        let Some((connection, used)) = came? else {
            continue;
        };
        tries += 1;
        let (own, other) = if number % 2 == 0 {
            (&of_a, &of_b)
        } else {
            (&of_b, &of_a)
        };
        leaks += u64::from(
            used.iter()
                .any(|line| other.contains(line) && !own.contains(line)),
        );
        if let Some(of_one) = connections.get_mut(number % 2) {
            of_one.insert(connection);
        }
    }
    let [first, second] = &connections;
    let shared = first.intersection(second).count();
    let control = if of_a.is_empty() && of_b.is_empty() {
        Control::Absent("no call goes out with a credential".to_owned())
    } else if of_a.is_disjoint(&of_b) {
        Control::Shown("plain calls of A and of B go out with credentials of their own".to_owned())
    } else {
        Control::Absent(
            "plain calls of A and of B go out with the same credential; if each tenant was given its own, that is the leak"
                .to_owned(),
        )
    };
    let all = first.union(second).count();
    Ok(Finding::counted(
        control,
        leaks,
        tries,
        "calls went out with the other tenant's credential",
    )
    .detail(format!(
        "{shared} of {all} connections to the upstream carried calls of both tenants"
    ))
    .measure("connections", all as f64)
    .measure("connections_shared", shared as f64)
    .reproduce("give both tenants a credential of their own for the same upstream; call it with $KEY_A and $KEY_B, eight calls at once")
    .reproduce("the upstream must see each tenant's credential with that tenant's calls alone"))
}
