//! The row about where a request ends: for the gateway, and for the upstream behind it.

use std::sync::Arc;
use std::time::Duration;

use super::smuggling_cases::{Case, cases};
use crate::canary::Canary;
use crate::echo::{Echo, Recorded};
use crate::row::{Bench, Row, at_once};
use crate::target::Socket;
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(12, |bench| Box::pin(smuggling(bench)))];

/// Cases at once.
const WIDTH: usize = 8;
/// How long a gateway may wait for what does not come; longer ones are left alone.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long bytes that were handed on may still be on their way after the connection was closed.
const LATE: Duration = Duration::from_millis(200);
/// Plain calls of A after everything: one of them would get what a smuggled request left on a connection.
const AFTER: usize = 8;

/// Row 12. However its end is written, one request becomes one at the upstream, or none, and what follows it is never one
/// that the gateway did not judge.
async fn smuggling(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    if open_door(bench, echo).await? {
        return Ok(Finding::inconclusive(
            "the gateway hands on requests that have no credential, so that what follows a request is one of its own",
        ));
    }
    let pipelined = pipelined(bench, echo).await?;
    let rounds = bench.samples(1, 3);
    let mut tried = Vec::new();
    for _ in 0..rounds {
        tried.extend(cases(bench));
    }
    let mark = echo.mark();
    let mut work = Vec::new();
    for case in &tried {
        work.push(send(bench, case));
    }
    let answers: Vec<Answered> = at_once(WIDTH, work)
        .await
        .into_iter()
        .collect::<Result<_, Trouble>>()?;
    let mixed = plain_calls(bench).await?;
    tokio::time::sleep(LATE).await;

    let arrived = echo.requests_since(mark);
    let mut leaks: Vec<String> = tried
        .iter()
        .filter_map(|case| wrong(case, &arrived))
        .collect();
    leaks.extend(mixed);
    let refused = tried
        .iter()
        .filter(|case| of(case, &arrived).is_empty())
        .count();
    let answered = answers
        .iter()
        .filter(|answered| answered.status > 0)
        .count();
    let silent = answers.iter().filter(|answered| answered.is_silent).count();
    let control = match pipelined {
        Some(how) => Control::Shown(how),
        None => Control::Missing(
            "A's plain call did not reach the upstream exactly once, as it was sent".to_owned(),
        ),
    };
    Ok(Finding::counted(control, leaks.len() as u64, tried.len() as u64, "ambiguous requests became another request")
        .details(leaks)
        .detail(format!(
            "{refused} of {} never reached the upstream; {answered} were answered, {silent} waited for more, the others closed",
            tried.len()
        ))
        .measure("refused", refused as f64)
        .reproduce("send one POST with Content-Length and Transfer-Encoding: chunked (and the forms above) over a raw socket, a second request in its last bytes")
        .reproduce("the upstream must see one request or none, and never the second one's first line"))
}

/// What the gateway said to one case.
struct Answered {
    status: u16,
    is_silent: bool,
}

async fn send(bench: &Bench, case: &Case) -> Result<Answered, Trouble> {
    let exchange = async {
        let mut socket = bench.dial.open().await?;
        let written = socket.write(&case.bytes).await;
        let answer = socket.answer("POST").await;
        // the gateway may have closed before all was written: its answer counts then, if there is one
        if answer.is_err() {
            written?;
        }
        let status = answer?.map_or(0, |answer| answer.status());
        if status > 0 {
            second(&mut socket).await;
        }
        Ok(status)
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(status)) => Ok(Answered {
            status,
            is_silent: false,
        }),
        Ok(Err(Trouble::Connection(_))) => Ok(Answered {
            status: 0,
            is_silent: false,
        }),
        Err(_) | Ok(Err(Trouble::TimedOut)) => Ok(Answered {
            status: 0,
            is_silent: true,
        }),
        Ok(Err(trouble)) => Err(trouble),
    }
}

/// Stays until the gateway has dealt with what followed the request, or closes: leaving at once could save it from that.
async fn second(socket: &mut Socket) {
    let _ = tokio::time::timeout(PATIENCE / 4, socket.answer("POST")).await;
}

fn of(case: &Case, arrived: &[Arc<Recorded>]) -> Vec<Arc<Recorded>> {
    let with = arrived
        .iter()
        .filter(|request| request.holds(case.outer.text()) || request.holds(case.inner.text()));
    with.cloned().collect()
}

/// What the upstream saw of a case that it must not.
fn wrong(case: &Case, arrived: &[Arc<Recorded>]) -> Option<String> {
    let mut whole = 0;
    for request in of(case, arrived) {
        // a body may hold anything, and so may the query of the request that is meant
        let meant = request.head.start.starts_with("POST ");
        if !meant && case.inner.found_in(&request.head.raw).is_some() {
            return Some(format!(
                "{}: the inner request was one to the upstream",
                case.name
            ));
        }
        if request.malformed {
            return Some(format!(
                "{}: the upstream could not tell where it ends",
                case.name
            ));
        }
        whole += usize::from(request.holds(case.outer.text()));
    }
    (whole > 1).then(|| format!("{}: it reached the upstream {whole} times", case.name))
}

/// Whether the request that the cases hide would reach the upstream by itself. Then it may also be the next one on its
/// connection, and shows nothing.
async fn open_door(bench: &Bench, echo: &Echo) -> Result<bool, Trouble> {
    let (marker, mark) = (bench.canary(), echo.mark());
    let inner = format!("GET /v1/models?{marker} HTTP/1.1\r\nHost: {marker}\r\n\r\n");
    match bench.dial.exchange("GET", inner.as_bytes()).await {
        Ok(_) | Err(Trouble::Connection(_) | Trouble::TimedOut) => {}
        Err(trouble) => return Err(trouble),
    }
    Ok(!echo.requests_with(mark, marker.text()).is_empty())
}

/// Plain calls of A; what came back that is not A's own.
async fn plain_calls(bench: &Bench) -> Result<Vec<String>, Trouble> {
    let mut wrong = Vec::new();
    for _ in 0..AFTER {
        let marker = bench.canary();
        let answer = bench.a.chat(&format!("Hello {marker}")).await?;
        if answer.is_ok() && !answer.said().contains(marker.text()) {
            wrong.push(format!(
                "a plain call of A after it got another's answer: {}",
                answer.brief()
            ));
        }
    }
    Ok(wrong)
}

/// How a second request on a connection shows at the upstream; none where not even the first does.
async fn pipelined(bench: &Bench, echo: &Echo) -> Result<Option<String>, Trouble> {
    let (first, second, mark) = (bench.canary(), bench.canary(), echo.mark());
    let post = |marker: &Canary| {
        bench.dial.post(
            &bench.a,
            "/v1/chat/completions",
            &[],
            &bench.a.chat_body(&format!("Hello {marker}")),
        )
    };
    let mut socket = bench.dial.open().await?;
    socket
        .write(&[post(&first), post(&second)].concat())
        .await?;
    let mut answers = 0;
    while answers < 2 {
        match socket.answer("POST").await {
            Ok(Some(_)) => answers += 1,
            Ok(None) | Err(Trouble::Connection(_)) => break,
            Err(trouble) => return Err(trouble),
        }
    }
    let count = |marker: &Canary| {
        let with = echo.requests_with(mark, marker.text());
        with.iter().filter(|request| !request.malformed).count()
    };
    Ok(match (count(&first), count(&second)) {
        (1, 1) => {
            Some("two whole requests of A on one connection reach the upstream as two".to_owned())
        }
        (1, 0) => Some(
            "a whole request of A reaches the upstream as one; a second one behind it is not read"
                .to_owned(),
        ),
        _ => None,
    })
}
