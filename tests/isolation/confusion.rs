//! Requests that two parsers could read in two ways, over raw sockets: refused or closed, and nobody's secrets (attacks 5,
//! 11 and 12).

use std::time::{Duration, Instant};

use crate::harness::gateway::{Gateway, Home};
use crate::harness::raw::{Raw, statuses};
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

/// What an odd request may be answered with; the alternative is a closed connection.
const REFUSALS: [u16; 8] = [400, 401, 404, 405, 408, 413, 417, 431];

/// Patience that a test can wait for.
const IMPATIENT: &str =
    "\n[limits]\nhead_timeout_ms = 700\nbody_timeout_ms = 700\nidle_timeout_ms = 2000\n";

struct Door {
    upstream: Upstream,
    gateway: Gateway,
    a: Tenant,
    b: Tenant,
    _home: Home,
}

impl Door {
    fn new() -> Door {
        let upstream = Upstream::start();
        let home = Home::new(&upstream.url, IMPATIENT);
        let gateway = home.serve();
        let (a, b) = (
            Tenant::create(&gateway, "tenant-a-by-name"),
            Tenant::create(&gateway, "tenant-b-by-name"),
        );
        Door {
            upstream,
            gateway,
            a,
            b,
            _home: home,
        }
    }

    /// Sends bytes on both planes; everything that came back until the connection was closed.
    fn send(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let planes = [&self.gateway.data_plane, &self.gateway.control_plane];
        let answers = planes.into_iter().map(|plane| {
            let mut raw = Raw::connect(plane).unwrap();
            raw.write(bytes);
            raw.finish_writing();
            raw.until_closed(Duration::from_secs(10))
                .expect("the connection stayed open")
        });
        answers.collect()
    }

    /// Refused on both planes, or closed; never an answer of substance, a fault, or a name of somebody.
    fn check(&self, what: &str, bytes: &[u8]) {
        for answer in self.send(bytes) {
            let text = String::from_utf8_lossy(&answer);
            let found = statuses(&answer);
            for status in &found {
                assert!(REFUSALS.contains(status), "{what}: {text}");
            }
            assert!(
                found.len() <= 1 || !what.contains("smuggled"),
                "{what}: more than one answer: {text}"
            );
            for secret in [
                &self.a.id,
                &self.b.id,
                &self.b.app_key_id,
                &self.b.steward_key_id,
            ] {
                assert!(!text.contains(secret.as_str()), "{what}: {text}");
            }
            assert!(!text.contains("by-name"), "{what}: {text}");
        }
    }

    fn still_serves(&self) {
        assert_eq!(
            self.a.app(&self.gateway).chat("free", "still here").status,
            200
        );
    }
}

#[test]
fn a_path_or_host_that_could_mean_two_things_opens_nothing() {
    let door = Door::new();
    // as the tenant itself, as the operator, as nobody
    let credentials = [
        format!("authorization: Bearer {}\r\n", door.a.steward_key),
        format!("authorization: Bearer {}\r\n", door.gateway.operator_key()),
        String::new(),
    ];
    let b = &door.b;
    let targets = [
        "//tenant/v1/keys",
        "/tenant//v1/keys",
        "/tenant/v1//keys",
        "/tenant/v1/keys/",
        "/tenant/v1/keys//",
        "/tenant%2fv1%2fkeys",
        "/tenant/v1%2fkeys",
        "/%74enant/v1/keys",
        "/tenant/v1/%6beys",
        "/tenant/v1/keys%00",
        "/tenant/v1/keys%20",
        "/tenant/v1/keys;a=b",
        "/tenant/v1;x/keys",
        "/;/tenant/v1/keys",
        "/tenant/v1/keys/.",
        "/tenant/./v1/keys",
        "/x/../tenant/v1/keys",
        "/tenant/v1/x/../keys",
        "/..%2ftenant/v1/keys",
        "/%2e%2e/tenant/v1/keys",
        "/tenant/v1/keys/..;/keys",
        "/Tenant/v1/keys",
        "/tenant/V1/keys",
        "/TENANT/V1/KEYS",
        "\\tenant\\v1\\keys",
        "/tenant\\v1\\keys",
        "/v1/../tenant/v1/keys",
        "/v1/..%5ctenant/v1/keys",
        "/v1/models/../../tenant/v1/keys",
        "/admin/v1/tenants/",
        "//admin/v1/tenants",
        "/admin/v1/tenants/..",
        "/Admin/v1/tenants",
        "/admin/v1/tenants%2f",
        "/v1/v1/models",
        "/v1/admin/v1/tenants",
        "/v1/tenant/v1/keys",
        "/tenant/v1/../../admin/v1/tenants",
        "/metrics/",
        "http://gateway/tenant/v1/keys",
        "http://127.0.0.1:7071/admin/v1/tenants",
        "https://gateway/tenant/v1/keys",
        "//gateway/tenant/v1/keys",
        "*",
        "?",
        "#",
        "tenant/v1/keys",
        "/\u{212a}eys",
        "/.",
        "/..",
    ];
    let ids = [
        format!("/tenant/v1/keys/{}%20", b.app_key_id),
        format!("/tenant/v1/keys/{}/", b.app_key_id),
        format!("/tenant/v1/keys/{}", b.app_key_id.to_uppercase()),
        format!("/tenant/v1/keys/{}.", b.app_key_id),
        format!("/tenant/v1/keys/x/../{}", b.app_key_id),
        format!("/tenant/v1/keys/{}", b.id),
        format!("/admin/v1/tenants/{}/keys/..", b.id),
        format!("/admin/v1/tenants/{}%2fkeys", b.id),
        format!("/admin/v1/tenants/{}/../{}/keys", door.a.id, b.id),
        format!("/admin/v1/tenants/{};x/keys", b.id),
        format!("/admin/v1/tenants/{}/keys", b.id.to_uppercase()),
        format!("/tenant/v1/{}/keys", b.id),
    ];
    for target in targets.into_iter().map(str::to_owned).chain(ids) {
        for credential in &credentials {
            let request = format!(
                "GET {target} HTTP/1.1\r\nhost: gateway\r\n{credential}connection: close\r\n\r\n"
            );
            door.check(
                &format!("{target} with {}", credential.len()),
                request.as_bytes(),
            );
        }
    }
    let hosts = [
        "host: x/?\r\n",
        "host: gateway/admin\r\n",
        "host: a\r\nhost: b\r\n",
        "host: user@gateway\r\n",
        "host: a b\r\n",
        "",
        "host: gateway#x\r\n",
        "host: gateway, other\r\n",
        "host: gateway\\x\r\n",
        "host : gateway\r\n",
        "host: \u{e9}\r\n",
    ];
    for host in hosts {
        for credential in &credentials {
            for target in ["/tenant/v1/keys", "/admin/v1/tenants"] {
                let request =
                    format!("GET {target} HTTP/1.1\r\n{host}{credential}connection: close\r\n\r\n");
                door.check(&format!("{target} at {host:?}"), request.as_bytes());
            }
        }
    }
    door.still_serves();
}

#[test]
fn a_request_whose_end_is_in_doubt_is_one_request_or_none() {
    let door = Door::new();
    let seen = door.upstream.calls();
    let key = &door.a.app_key;
    let smuggled = format!(
        "GET /tenant/v1/self HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\r\n",
        door.b.app_key
    );
    let chat = r#"{"model":"free","messages":[{"role":"user","content":"smuggled"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    );
    let (length, chunked) = (
        chat.len(),
        format!("{:x}\r\n{chat}\r\n0\r\n\r\n", chat.len()),
    );
    for (what, headers, body) in [
        (
            "a length and chunks, smuggled",
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
            format!("0\r\n\r\n{smuggled}"),
        ),
        (
            "chunks and a length, smuggled",
            format!(
                "transfer-encoding: chunked\r\ncontent-length: {}\r\n",
                smuggled.len()
            ),
            format!("0\r\n\r\n{smuggled}"),
        ),
        (
            "two lengths, smuggled",
            format!("content-length: {length}\r\ncontent-length: 0\r\n"),
            format!("{chat}{smuggled}"),
        ),
        (
            "a list of lengths, smuggled",
            format!("content-length: {length}, {length}\r\n"),
            format!("{chat}{smuggled}"),
        ),
        (
            "a signed length, smuggled",
            format!("content-length: +{length}\r\n"),
            format!("{chat}{smuggled}"),
        ),
        (
            "a negative length",
            "content-length: -1\r\n".to_owned(),
            chat.to_owned(),
        ),
        (
            "a hexadecimal length",
            "content-length: 0x10\r\n".to_owned(),
            chat.to_owned(),
        ),
        (
            "an endless length",
            "content-length: 99999999999999999999999\r\n".to_owned(),
            chat.to_owned(),
        ),
        (
            "a huge length",
            "content-length: 9999999999\r\n".to_owned(),
            chat.to_owned(),
        ),
        (
            "a coding with a tab",
            "transfer-encoding:\tchunked\r\ntransfer-encoding: identity\r\n".to_owned(),
            chunked.clone(),
        ),
        (
            "two codings",
            "transfer-encoding: gzip, chunked\r\n".to_owned(),
            chunked.clone(),
        ),
        (
            "an unknown coding",
            "transfer-encoding: xchunked\r\n".to_owned(),
            chunked.clone(),
        ),
        (
            "a coding that is not last",
            "transfer-encoding: chunked, identity\r\n".to_owned(),
            chunked.clone(),
        ),
        (
            "a space before the colon",
            format!("content-length : {length}\r\n"),
            chat.to_owned(),
        ),
        (
            "a folded header",
            format!("x: a\r\n b\r\ncontent-length: {length}\r\n"),
            chat.to_owned(),
        ),
        (
            "a bare line feed in a header",
            format!("x: a\ncontent-length: 0\r\ncontent-length: {length}\r\n"),
            chat.to_owned(),
        ),
        (
            "a bare carriage return",
            format!("x: a\rb\r\ncontent-length: {length}\r\n"),
            chat.to_owned(),
        ),
        (
            "a null byte",
            format!("x: a\0b\r\ncontent-length: {length}\r\n"),
            chat.to_owned(),
        ),
        (
            "a header without a name",
            format!(": x\r\ncontent-length: {length}\r\n"),
            chat.to_owned(),
        ),
        (
            "a chunk size that overflows",
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("fffffffffffffffff\r\n{chat}"),
        ),
        (
            "a chunk size that is none",
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("zz\r\n{chat}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk without an end",
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("{:x}\r\n{chat}", length + 1),
        ),
        (
            "a length that is too long",
            format!("content-length: {}\r\n", length + 1),
            chat.to_owned(),
        ),
        (
            "an upgrade, smuggled",
            format!("connection: upgrade\r\nupgrade: h2c\r\ncontent-length: {length}\r\n"),
            format!("{chat}{smuggled}"),
        ),
        (
            "two credentials",
            format!(
                "authorization: Bearer {}\r\ncontent-length: {length}\r\n",
                door.b.app_key
            ),
            chat.to_owned(),
        ),
        (
            "an expectation that nobody meets",
            format!("expect: 200-ok\r\ncontent-length: {length}\r\n"),
            chat.to_owned(),
        ),
    ] {
        door.check(what, format!("{head}{headers}\r\n{body}").as_bytes());
    }
    for (what, bytes) in [
        ("HTTP/0.9", "GET /tenant/v1/keys\r\n".to_owned()),
        (
            "HTTP/2 without TLS",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        (
            "an unknown version",
            "GET /tenant/v1/keys HTTP/3.7\r\nhost: gateway\r\n\r\n".to_owned(),
        ),
        (
            "two spaces",
            "GET  /tenant/v1/keys  HTTP/1.1\r\nhost: gateway\r\n\r\n".to_owned(),
        ),
        (
            "a tunnel",
            "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: gateway\r\n\r\n".to_owned(),
        ),
        (
            "a trace",
            format!(
                "TRACE /tenant/v1/keys HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\r\n"
            ),
        ),
        (
            "a made-up method",
            format!(
                "STEAL /tenant/v1/keys HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
            ),
        ),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned()),
        (
            "a body with HTTP/1.0 and no length, smuggled",
            format!(
                "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\r\n{smuggled}"
            ),
        ),
        (
            "chunks with HTTP/1.0, smuggled",
            format!(
                "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunked}{smuggled}"
            ),
        ),
        ("nothing", String::new()),
        ("lines", "\r\n".repeat(1000)),
        ("noise", "\u{1}\u{2}\u{3}".repeat(1000)),
    ] {
        door.check(what, bytes.as_bytes());
    }
    let asked = door.upstream.seen().split_off(seen);
    assert!(asked.is_empty(), "the upstream was asked: {:?}", asked[0]);
    door.still_serves();
}

#[test]
fn floods_of_headers_are_refused() {
    let door = Door::new();
    let key = format!("authorization: Bearer {}\r\n", door.a.app_key);
    for (what, headers) in [
        (
            "65 headers",
            (0..65).map(|n| format!("x-{n}: y\r\n")).collect::<String>(),
        ),
        (
            "ten thousand headers",
            (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect(),
        ),
        ("the same header a thousand times", "x: y\r\n".repeat(1000)),
        (
            "a header of a megabyte",
            format!("x: {}\r\n", "y".repeat(1 << 20)),
        ),
        (
            "a name of a megabyte",
            format!("{}: y\r\n", "x".repeat(1 << 20)),
        ),
        (
            "a credential of 12 KB",
            format!("authorization: Bearer {}\r\n", "c".repeat(12 << 10)),
        ),
        (
            "a cookie of 15 KB and more",
            format!("cookie: {}\r\n", "c".repeat(17 << 10)),
        ),
    ] {
        let own = if headers.contains("authorization") {
            ""
        } else {
            &key
        };
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: gateway\r\n{own}{headers}connection: close\r\n\r\n"
        );
        door.check(what, request.as_bytes());
    }
    let long = format!(
        "GET /v1/models/{} HTTP/1.1\r\nhost: gateway\r\n{key}connection: close\r\n\r\n",
        "m".repeat(8 << 10)
    );
    door.check("a path of 8 KB", long.as_bytes());
    let query = format!(
        "GET /tenant/v1/usage?key={} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        "m".repeat(8 << 10),
        door.a.steward_key
    );
    door.check("a query of 8 KB", query.as_bytes());
    door.still_serves();
}

#[test]
fn who_sends_slowly_is_cut_off_and_hinders_nobody() {
    let door = Door::new();
    let head = format!(
        "GET /v1/models HTTP/1.1\r\nauthorization: Bearer {}\r\n",
        door.a.app_key
    );
    let body = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{",
        door.a.app_key
    );
    let began = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..60 {
            let (door, start) = (&door, if number % 2 == 0 { &head } else { &body });
            scope.spawn(move || {
                let mut slow = Raw::connect(&door.gateway.data_plane).unwrap();
                slow.write(start.as_bytes());
                // one byte after another, for as long as it is taken
                let answer = loop {
                    if !slow.write(b"x") || began.elapsed() > Duration::from_secs(8) {
                        break slow
                            .until_closed(Duration::from_secs(4))
                            .expect("a slow sender was not cut off");
                    }
                    std::thread::sleep(Duration::from_millis(50));
                };
                assert!(
                    began.elapsed() < Duration::from_secs(12),
                    "{:?}",
                    began.elapsed()
                );
                assert!(
                    statuses(&answer)
                        .iter()
                        .all(|status| *status == 408 || *status == 400),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
            });
        }
        for _ in 0..10 {
            door.still_serves();
        }
    });
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let door = Door::new();
    let silent = Raw::connect(&door.gateway.data_plane).unwrap();
    assert_eq!(
        silent.until_closed(Duration::from_secs(5)),
        Some(Vec::new())
    );
    let mut after = Raw::connect(&door.gateway.data_plane).unwrap();
    after.write(
        format!(
            "GET /v1/models HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\r\n",
            door.a.app_key
        )
        .as_bytes(),
    );
    assert_eq!(after.reply().unwrap().status, 200);
    assert_eq!(after.until_closed(Duration::from_secs(6)), Some(Vec::new()));
}
