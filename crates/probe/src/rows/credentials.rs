//! The row about credentials that are read as a program: queries, templates, directory filters.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::door::{chat_with, knock, statuses, try_key};
use super::pairs::Pairs;
use crate::echo::{Echo, Script};
use crate::row::{Bench, Row};
use crate::stats::auc;
use crate::target::Ask;
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::measured(8, |bench| Box::pin(key_injection(bench)))];

/// What opens a door that interprets it.
const PAYLOADS: [&str; 30] = [
    "' OR '1'='1",
    "' OR 1=1--",
    "' OR 1=1#",
    "\" OR \"\"=\"",
    "') OR ('1'='1",
    "x' OR 'x'='x' LIMIT 1--",
    "' UNION SELECT 1--",
    "' UNION SELECT NULL,NULL,NULL--",
    "sk-' OR token LIKE 'sk-%",
    "'; DROP TABLE probe_never_existed;--",
    "'||'",
    "\\' OR 1=1--",
    "%' OR '%'='",
    "%",
    "_",
    "*",
    "sk-*",
    "'",
    "\"",
    "`",
    ";",
    "*)(uid=*))(|(uid=*",
    "{\"$ne\": null}",
    "{\"$gt\": \"\"}",
    "[$ne]=1",
    "${7*7}",
    "{{7*7}}",
    "$(id)",
    "x\\u0000y",
    "true",
];
/// Half a second of sleep, as five databases say it, and the same with a name that none has.
const SLEEPS: [(&str, &str); 5] = [
    ("x'; SELECT pg_sleep(0.5)--", "x'; SELECT pg_sloop(0.5)--"),
    ("x' || pg_sleep(0.5)--", "x' || pg_sloop(0.5)--"),
    ("x' OR SLEEP(0.5)-- -", "x' OR SLOOP(0.5)-- -"),
    (
        "x'; WAITFOR DELAY '0:0:0.5'--",
        "x'; WAITFUR DELAY '0:0:0.5'--",
    ),
    (
        "x' OR randomblob(99000000)--",
        "x' OR rundomblob(99000000)--",
    ),
];
/// So much later, each time, needs no statistics.
const OBVIOUS: Duration = Duration::from_millis(350);
/// What a database says of a query that the payload broke.
const DATABASE_WORDS: [&str; 12] = [
    "sqlstate",
    "syntax error at or near",
    "sqlite3",
    "sqlite error",
    "psycopg",
    "asyncpg",
    "prisma",
    "mysql",
    "ora-0",
    "unterminated quoted string",
    "unclosed quotation mark",
    "mongoerror",
];

/// Row 8. Nothing in a credential is executed: it lets nobody in, brings no database to speak, and costs no time.
async fn key_injection(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let (mut letters, mut how) = (Vec::new(), Vec::new());
    for payload in PAYLOADS {
        let basic = STANDARD.encode(format!("{payload}:{payload}"));
        for line in [
            format!("Authorization: Bearer {payload}"),
            format!("Authorization: {payload}"),
            format!("Authorization: Basic {basic}"),
            format!("X-Api-Key: {payload}"),
            format!("Api-Key: {payload}"),
        ] {
            letters.push(chat_with(bench, std::slice::from_ref(&line)));
            how.push(line);
        }
    }
    let knocks = knock(bench, &letters).await?;
    let mut leaks = Vec::new();
    for (knock, line) in knocks.iter().zip(&how) {
        let text = knock.text.to_lowercase();
        if knock.is_served() {
            leaks.push(format!("{line} was let in ({})", knock.status));
        } else if let Some(word) = DATABASE_WORDS.iter().find(|word| text.contains(**word)) {
            leaks.push(format!(
                "{line} was answered with words of a database: {word}"
            ));
        }
    }
    let (pairs, is_obvious) = sleeps(bench).await?;
    let area = pairs
        .area()
        .ok_or_else(|| Trouble::Unexpected("no wrong credential was timed".to_owned()))?;
    if is_obvious || pairs.is_slower() {
        leaks.push(format!(
            "credentials that ask a database to sleep are answered {:.1} ms later (AUC {:.2})",
            pairs.gap(),
            area.value
        ));
    }
    let own = try_key(bench, bench.a.key().secret()).await?;
    let clock = delay_shows(bench, echo).await?;
    let control = match (own.is_served(), clock) {
        (true, Some(area)) if area >= 0.75 => Control::Shown(format!(
            "A's own key is let in the same way, and 20 ms more of its upstream show in the time (AUC {area:.2})"
        )),
        (false, _) => Control::Missing(format!("A's own key was answered {}", own.status)),
        (_, area) => Control::Missing(format!(
            "20 ms more of A's upstream do not show in the time (AUC {:.2})",
            area.unwrap_or(0.5)
        )),
    };
    let tries = (knocks.len() + pairs.other.len()) as u64;
    Ok(Finding::counted(control, leaks.len() as u64, tries, "credentials did more than be wrong")
        .details(leaks)
        .detail(format!("answers: {}", statuses(&knocks)))
        .measure("auc", area.value)
        .measure("auc_standard_error", area.standard_error)
        .distribution(pairs.distribution("time to a refusal", "with a name that no database has", "asks to sleep"))
        .reproduce("curl $TARGET/v1/models -H \"Authorization: Bearer x'; SELECT pg_sleep(5)--\": 401, and at once"))
}

/// Interleaved pairs in random order, and whether some were so late that no more were needed.
async fn sleeps(bench: &Bench) -> Result<(Pairs, bool), Trouble> {
    let mut pairs = Pairs::default();
    let timed = async |credential: &str| -> Result<f64, Trouble> {
        let ask = Ask::get("/v1/models").header("authorization", &format!("Bearer {credential}"));
        Ok(bench.b.send(&ask).await?.whole.as_secs_f64() * 1000.0)
    };
    // the first call on a connection pays for the connection
    timed("x").await?;
    let mut late = 0;
    for round in 0..bench.samples(200, 600) {
        let Some((sleep, plain)) = SLEEPS.get(round % SLEEPS.len()) else {
            continue;
        };
        let (slow, fast);
        if bench.draw(|chance| chance.percent(50)) {
            slow = timed(sleep).await?;
            fast = timed(plain).await?;
        } else {
            fast = timed(plain).await?;
            slow = timed(sleep).await?;
        }
        pairs.other.push(slow);
        pairs.plain.push(fast);
        late += u32::from(slow - fast > OBVIOUS.as_secs_f64() * 1000.0);
        // one dialect is enough, and hundreds of such pairs would take minutes
        if late >= 3 {
            return Ok((pairs, true));
        }
    }
    Ok((pairs, false))
}

/// The area under the curve between calls of A that the upstream answers at once, and 20 ms later.
async fn delay_shows(bench: &Bench, echo: &Echo) -> Result<Option<f64>, Trouble> {
    let late = bench.canary();
    echo.when(late.text(), |_| Script {
        first_after: Duration::from_millis(20),
        ..Script::default()
    });
    let (mut fast, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let plain = bench.canary();
        fast.push(
            bench
                .a
                .chat(&format!("Hello {plain}"))
                .await?
                .whole
                .as_secs_f64(),
        );
        let plain = bench.canary();
        slow.push(
            bench
                .a
                .chat(&format!("Hello {plain} {late}"))
                .await?
                .whole
                .as_secs_f64(),
        );
    }
    Ok(auc(&fast, &slow).map(|area| area.value))
}
