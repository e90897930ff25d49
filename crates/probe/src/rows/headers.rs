//! Rows about header lines that a client sends.

use super::face::{Face, OF_BODY, PLAIN, call};
use crate::options::shorten;
use crate::row::{Bench, Row};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(11, |bench| Box::pin(tenant_spoofing(bench)))];

/// Names that gateways and upstreams take a tenant, a user or an account from.
const NAMES: [&str; 24] = [
    "x-tenant-id",
    "x-tenant",
    "tenant-id",
    "x-org-id",
    "x-organization-id",
    "openai-organization",
    "openai-project",
    "x-user-id",
    "x-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-remote-user",
    "x-auth-request-user",
    "x-team-id",
    "x-customer-id",
    "x-account-id",
    "x-client-id",
    "x-consumer-id",
    "x-consumer-username",
    "x-project-id",
    "x-namespace",
    "x-api-key",
    "x-cache-salt",
];

/// What a request adds to a plain one.
struct Spoof {
    /// Header lines without their ends.
    lines: Vec<String>,
    /// What must not come out of the other side.
    value: String,
}

/// Row 11. What B writes into lines that name a tenant must not reach the upstream, and what the gateway itself writes there
/// must be the same as in B's plain calls, once.
async fn tenant_spoofing(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let (of_a, of_b) = (
        Face::seen(bench, echo, &bench.a).await?,
        Face::seen(bench, echo, &bench.b).await?,
    );
    let only_a = of_a.beyond(&of_b);
    let (mut tries, mut refused, mut leaks) = (0, 0, Vec::new());
    for spoof in spoofs(bench, &of_b, &only_a) {
        tries += 1;
        let arrived = call(bench, echo, &bench.b, &spoof.lines).await?;
        refused += u64::from(arrived.is_empty());
        let wrong = arrived
            .iter()
            .find_map(|request| of_b.wrong_in(request, &spoof.value, &only_a));
        leaks.extend(wrong.map(|wrong| format!("{}: {wrong}", spoof.shown())));
    }
    let control = if of_b.calls == PLAIN && of_a.calls == PLAIN {
        Control::Shown(format!(
            "all plain calls of both reached the upstream; {} things are told of each of B's, {} differ from A's",
            of_b.lines.len(),
            only_a.len()
        ))
    } else {
        Control::Missing("plain calls did not all reach the upstream once".to_owned())
    };
    Ok(Finding::counted(control, leaks.len() as u64, tries, "spoofed requests changed what the upstream was told")
        .details(leaks)
        .detail(format!("{refused} were refused"))
        .measure("refused", refused as f64)
        .reproduce("curl $TARGET/v1/chat/completions -H \"Authorization: Bearer $KEY_B\" -H 'x-tenant-id: <A's>' -H 'Connection: x-tenant-id' …")
        .reproduce("the upstream must see what it sees without the two lines"))
}

fn spoofs(bench: &Bench, of_b: &Face, only_a: &[(String, String)]) -> Vec<Spoof> {
    let mut spoofs = Vec::new();
    let mut add = |value: &str, lines: Vec<String>| {
        spoofs.push(Spoof {
            lines,
            value: value.to_owned(),
        });
    };
    // the gateway's own names with A's own values first: what a real attacker would find out
    let known = only_a
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    let mut claims: Vec<(String, String)> = known
        .map(|(name, value)| (name.trim_start_matches(OF_BODY).to_owned(), value.clone()))
        .collect();
    claims.extend(
        NAMES
            .iter()
            .map(|name| ((*name).to_owned(), bench.canary().to_string())),
    );
    for (name, value) in &claims {
        for spelled in [
            name.clone(),
            title_case(name),
            name.to_uppercase(),
            name.replace('-', "_"),
        ] {
            add(value, vec![format!("{spelled}: {value}")]);
        }
    }
    for (name, value) in &claims {
        add(
            value,
            vec![
                format!("{name}: {value}"),
                format!("{}: {value}", title_case(name)),
            ],
        );
        add(
            value,
            vec![format!("{name}: {value}"), format!("Connection: {name}")],
        );
        add(value, vec![format!("{name} : {value}")]);
        add(value, vec![format!("X-Filler: x\r\n {name}: {value}")]);
    }
    // lines that the gateway writes are named as the connection's own, so that a careless proxy takes them off
    for name in of_b.lines.keys().filter(|name| !name.starts_with(OF_BODY)) {
        let canary = bench.canary();
        add(
            canary.text(),
            vec![
                format!("Connection: keep-alive, {name}"),
                format!("X-Unused: {canary}"),
            ],
        );
    }
    spoofs
}

impl Spoof {
    fn shown(&self) -> String {
        let short = |line: &String| {
            line.replace("\r\n", "\\r\\n")
                .replace(&self.value, &shorten(&self.value))
        };
        let lines: Vec<String> = self.lines.iter().map(short).collect();
        lines.join(" + ")
    }
}

fn title_case(name: &str) -> String {
    let words: Vec<String> = name
        .split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect();
    words.join("-")
}
