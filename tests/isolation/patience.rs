//! Clients that send too much of a head, or too slowly: refused or cut off, and nobody else waits.

use std::time::{Duration, Instant};

use crate::door::Door;
use crate::harness::raw::{Raw, statuses};

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
