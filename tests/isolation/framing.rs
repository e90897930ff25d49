//! Requests whose end two parsers could see in two places: one request or none (attack 12).

use crate::door::Door;

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
