//! Rows about who a request is from: whether it is judged by what is routed, and by the whole of its credential.

use super::door::{Knock, Letter, chat_with, knock, statuses, try_key};
use crate::canary::Canary;
use crate::chance::Chance;
use crate::row::{Bench, Row};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 2] = [
    Row::new(5, |bench| Box::pin(route_confusion(bench))),
    Row::new(6, |bench| Box::pin(truncated_credential(bench))),
];

/// Paths that gateways serve to everybody: one that is found where authentication looks, and not where the router looks,
/// opens all others.
const OPEN: [&str; 8] = [
    "/",
    "/health",
    "/health/liveliness",
    "/healthz",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/login",
];
/// Lines that a router or a filter may believe more than the request itself.
const REWRITES: [&str; 16] = [
    "X-Original-URL: /health",
    "X-Rewrite-URL: /health",
    "X-Forwarded-Uri: /health",
    "X-Forwarded-Path: /health",
    "X-Forwarded-Prefix: /health",
    "X-Original-Method: OPTIONS",
    "X-HTTP-Method-Override: OPTIONS",
    "X-Forwarded-Host: localhost/health?",
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=localhost",
    "Referer: /health",
    "Authorization:",
    "Authorization: Bearer",
    "Authorization: Bearer null",
    "Authorization: Bearer undefined",
];
/// A credential is tried this often between two calls that keep A's own one fresh in any cache.
const BATCH: usize = 16;
/// Where caches of credentials were seen to cut, or are likely to: 72 is where bcrypt does.
const CUTS: [usize; 14] = [4, 7, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 72, 128];

/// Row 5. Without a credential, no way of writing a request is served.
async fn route_confusion(bench: &Bench) -> Result<Finding, Trouble> {
    let letters = forms(bench);
    let mut of_a = Vec::new();
    for (letter, _) in &letters {
        // a marker of its own: the other one must not be at the upstream for any other reason
        let marker = bench.canary();
        let mut letter = letter
            .clone()
            .line(format!("Authorization: {}", bench.a.authorization()));
        letter.body = letter
            .body
            .map(|_| bench.b.chat_body(&format!("Hello {marker}")));
        of_a.push((letter, marker));
    }
    let with_key = knock(bench, &of_a).await?;
    let without = knock(bench, &letters).await?;
    let model = format!("\"{}\"", bench.a.model());
    // a page for everybody is no leak, but what only a tenant is told is
    let served = |knock: &Knock, letter: &Letter| match letter.method {
        "GET" => knock.is_ok() && knock.text.contains(&model),
        _ => knock.is_served(),
    };
    let forms_of = |knocks: &[Knock]| -> Vec<String> {
        knocks
            .iter()
            .zip(&letters)
            .filter(|(knock, (letter, _))| served(knock, letter))
            .map(|(knock, (letter, _))| format!("{} was answered {}", shown(letter), knock.status))
            .collect()
    };
    let leaks = forms_of(&without);
    let routed = forms_of(&with_key).len();
    let plain = with_key.iter().zip(&letters).take(2);
    let control = if plain
        .clone()
        .all(|(knock, (letter, _))| served(knock, letter))
    {
        Control::Shown(format!(
            "with A's key the plain forms are served, and {routed} of all {}",
            letters.len()
        ))
    } else {
        Control::Missing("the plain forms were not served with A's key either".to_owned())
    };
    let odd = without
        .iter()
        .zip(&letters)
        .filter(|(knock, _)| !matches!(knock.status, 0 | 400..=499 | 501 | 505));
    let odd: Vec<String> = odd
        .map(|(knock, (letter, _))| {
            format!(
                "odd, though nothing was served: {} was answered {}",
                shown(letter),
                knock.status
            )
        })
        .filter(|_| leaks.is_empty())
        .take(3)
        .collect();
    Ok(Finding::counted(control, leaks.len() as u64, letters.len() as u64, "requests without a credential were served")
        .details(leaks)
        .details(odd)
        .detail(format!("answers: {}", statuses(&without)))
        .measure("routed_with_a_key", routed as f64)
        .reproduce("curl $TARGET/v1/models -H 'Host: x/?' (and the forms above) without any credential: 400, 401 or 404"))
}

/// Two routes in every form, the plain ones first.
fn forms(bench: &Bench) -> Vec<(Letter, Canary)> {
    let mut hosts = vec![
        String::new(),
        "x@y".to_owned(),
        "127.0.0.1:1".to_owned(),
        "x\\health".to_owned(),
        "x y".to_owned(),
    ];
    for open in OPEN {
        hosts.extend(["?", "#", "?x=", ";"].map(|end| format!("x{open}{end}")));
        hosts.push(format!("{}{open}?", bench.dial.authority()));
    }
    let path = bench.dial.path("");
    let mut letters = Vec::new();
    let mut add = |change: &dyn Fn(&mut Letter)| {
        for route in ["/v1/models", "/v1/chat/completions"] {
            let marker = bench.canary();
            let mut letter = match route {
                "/v1/models" => Letter::get(bench, route),
                _ => Letter::chat(bench, &format!("Hello {marker}")),
            };
            change(&mut letter);
            letters.push((letter, marker));
        }
    };
    add(&|_| {});
    for host in &hosts {
        add(&|letter| letter.host.clone_from(host));
    }
    for line in REWRITES {
        add(&|letter| letter.lines.push(line.to_owned()));
    }
    add(&|letter| letter.target = format!("http://{}{}", letter.host, letter.target));
    add(&|letter| letter.target = format!("http://x/health?{}", letter.target));
    add(&|letter| letter.target = format!("http://x{}", letter.target));
    for target in targets() {
        add(&|letter| {
            let rest = letter.target.strip_prefix(&path).unwrap_or(&letter.target);
            let (first, last) = (
                rest.strip_prefix("/v1").unwrap_or(rest),
                rest.rsplit('/').next().unwrap_or_default(),
            );
            letter.target = target
                .replace("{path}", rest)
                .replace("{rest}", first)
                .replace("{last}", last);
            letter.target.insert_str(0, &path);
        });
    }
    letters
}

/// Spellings of a path. Some name another path, or none: those must be refused as well.
fn targets() -> Vec<String> {
    let mut targets: Vec<String> = [
        "/{path}",
        "{path}/",
        "{path}//",
        "/.{path}",
        "/x/..{path}",
        "/%2e{path}",
        "/x/%2e%2e{path}",
        "/x%2f..{path}",
        "/v1/{rest}",
        "/v1%2f{rest}",
        "/%76%31{rest}",
        "/V1{rest}",
        "{rest}",
        "{path}%00",
        "{path}%20",
        "{path}\u{b}",
        "{path}?",
        "{path}??",
        "{path}#",
        "{path};",
        "{path};x=1",
        "{path}.json",
        "{path}%3f",
        "{path}%23",
        "{path}%2f",
        "{path}/../{last}",
        "{path}/%2e%2e/{last}",
        "{path}\\",
        "\\v1{rest}",
        "/v1\\{last}",
        "{path}/.",
        "{path}/x/..",
        "{path}?/health",
        "{path}%252f",
        "{path}%c0%af",
        "/;{path}",
        "/x;/..{path}",
    ]
    .map(str::to_owned)
    .into();
    for open in OPEN {
        let open = open.trim_end_matches('/');
        for between in ["/..", "/%2e%2e", "%2f..", "/..;", ";/..", "/../.."] {
            targets.push(format!("{open}{between}{{path}}"));
        }
        targets.push(format!("{{path}}?{open}"));
        targets.push(format!("{{path}}#{open}"));
        targets.push(format!("{{path}};{open}"));
    }
    targets
}

fn shown(letter: &Letter) -> String {
    let mut text = format!("{} {}", letter.method, letter.target.escape_debug());
    for line in std::iter::once(&format!("Host: {}", letter.host)).chain(&letter.lines) {
        text.push_str(&format!(" + {}", line.escape_debug()));
    }
    text
}

/// Row 6. While A's key is fresh in any cache, no credential that differs from it in any place is let in.
async fn truncated_credential(bench: &Bench) -> Result<Finding, Trouble> {
    let forged =
        bench.draw(|chance| alike(chance, bench.a.key().secret(), bench.samples(200, 600)));
    let (mut fresh, mut batches, mut leaks, mut seen) = (0_usize, 0_usize, Vec::new(), Vec::new());
    for batch in forged.chunks(BATCH) {
        let mut letters = Vec::new();
        for (_, credential) in batch {
            letters.push(chat_with(
                bench,
                &[format!("Authorization: Bearer {credential}")],
            ));
        }
        batches += 1;
        fresh += usize::from(try_key(bench, bench.a.key().secret()).await?.is_served());
        let knocked = knock(bench, &letters).await?;
        let wrong = knocked
            .iter()
            .zip(batch)
            .filter(|(knock, _)| knock.is_served());
        leaks.extend(wrong.map(|(knock, (how, _))| format!("{how} was let in ({})", knock.status)));
        seen.extend(knocked);
    }
    let control = if fresh == batches {
        Control::Shown(format!(
            "A's whole key was let in {fresh} of {batches} times in between"
        ))
    } else {
        Control::Missing(format!(
            "A's whole key was let in only {fresh} of {batches} times"
        ))
    };
    Ok(Finding::counted(control, leaks.len() as u64, forged.len() as u64, "credentials that differ from A's were let in")
        .details(leaks)
        .detail(format!("answers: {}", statuses(&seen)))
        .reproduce("call once with $KEY_A, then with the first 20 characters of $KEY_A and anything behind them: 401"))
}

/// Credentials that are not this one, and how each differs; at most so many with one changed character.
pub(super) fn alike(chance: &mut Chance, key: &str, most: usize) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |how: String, credential: String| {
        if credential != key && !credential.is_empty() {
            found.push((how, credential));
        }
    };
    let cuts = CUTS
        .into_iter()
        .chain([key.len() / 2, key.len().saturating_sub(1)]);
    for cut in cuts.filter(|cut| *cut < key.len()) {
        let (first, rest) = key.split_at(cut);
        let (start, last) = key.split_at(key.len() - cut);
        add(
            format!("the first {cut} characters and others behind them"),
            format!("{first}{}", others(chance, rest)),
        );
        add(
            format!("the first {cut} characters alone"),
            first.to_owned(),
        );
        add(
            format!("the last {cut} characters and others before them"),
            format!("{}{last}", others(chance, start)),
        );
        add(format!("the last {cut} characters alone"), last.to_owned());
    }
    for (how, credential) in [
        ("the key in upper case", key.to_uppercase()),
        ("the key in lower case", key.to_lowercase()),
        ("the key twice", format!("{key}{key}")),
        ("the key twice with a comma", format!("{key},{key}")),
        ("the key and one more character", format!("{key}A")),
        ("the key and an escaped zero", format!("{key}%00")),
        ("the key and a word behind it", format!("{key} x")),
        ("the key and a pattern", format!("{key}*")),
        ("the key with a quote around", format!("\"{key}\"")),
        (
            "the key without its first character",
            key.chars().skip(1).collect(),
        ),
    ] {
        add(how.to_owned(), credential);
    }
    // the last character of base64 can hold bits that nobody reads: that is another spelling, not another credential
    let whole = if key.split('.').count() == 3 {
        key.len().saturating_sub(1)
    } else {
        key.len()
    };
    let mut places: Vec<usize> = (0..whole).collect();
    if places.len() > most {
        chance.shuffle(&mut places);
        places.truncate(most);
    }
    for place in places {
        let (first, rest) = key.split_at(place);
        let (one, rest) = rest.split_at(1);
        add(
            format!("another character in place {place}"),
            format!("{first}{}{rest}", others(chance, one)),
        );
    }
    found
}

/// As long and of the same kinds of characters, and different in each letter and digit.
pub(super) fn others(chance: &mut Chance, text: &str) -> String {
    let mut other = |c: char| {
        let kind: Vec<char> = match c {
            '0'..='9' => ('0'..='9').collect(),
            // the letters of hexadecimal stay such
            'a'..='f' => ('a'..='f').collect(),
            'g'..='z' => ('g'..='z').collect(),
            'A'..='Z' => ('A'..='Z').collect(),
            // what parts a credential is not what makes it one, but a change of it alone must show too
            _ if text.len() == 1 => vec!['x'],
            c => vec![c],
        };
        let kind: Vec<char> = kind
            .into_iter()
            .filter(|other| *other != c || text.len() > 1)
            .collect();
        chance.one(&kind).copied().unwrap_or('x')
    };
    text.chars().map(&mut other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forged_credential_differs_and_every_place_is_changed_once() {
        let key = "sk-A7b_9zQ.4fGh-0011223344556677";
        let forged = alike(&mut Chance::new(5), key, 1000);
        assert!(forged.iter().all(|(_, credential)| credential != key));
        for place in 0..key.len() {
            let changed = forged.iter().any(|(_, other)| {
                let differ: Vec<usize> = key
                    .bytes()
                    .zip(other.bytes())
                    .enumerate()
                    .filter(|(_, (a, b))| a != b)
                    .map(|(at, _)| at)
                    .collect();
                other.len() == key.len() && differ == [place]
            });
            assert!(changed, "{place}");
        }
        let few = alike(&mut Chance::new(5), key, 3);
        assert_eq!(
            few.iter()
                .filter(|(how, _)| how.starts_with("another"))
                .count(),
            3
        );
    }
}
