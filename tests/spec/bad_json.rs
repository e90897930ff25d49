//! Bytes that are no JSON, or JSON that two parsers would read in two ways: an OpenAI-shaped 4xx, and no panic.

use crate::harness::client::Client;
use crate::harness::gateway::Home;
use crate::harness::raw::Raw;
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

/// A good chat request around these bytes, which stand where the user's text is.
fn around(content: &[u8]) -> Vec<u8> {
    [
        &br#"{"model":"free","messages":[{"role":"user","content":"#[..],
        content,
        b"}]}",
    ]
    .concat()
}

/// A good chat request with one more member.
fn member(member: &str) -> Vec<u8> {
    format!(r#"{{"model":"free","messages":[{{"role":"user","content":"x"}}],{member}}}"#)
        .into_bytes()
}

fn refused(client: &Client, what: &str, body: Vec<u8>, status: u16, code: &str) {
    let answer = client.send("POST", "/v1/chat/completions", Some(body));
    let what = format!("{what}: {} {}", answer.status, answer.text());
    answer.assert_openai_error(&what);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (status, code),
        "{what}"
    );
}

#[test]
fn what_is_no_json_or_has_two_meanings_is_refused_and_the_gateway_serves_on() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "\n[limits]\nmax_body_bytes = 1048576\n");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let app = tenant.app(&gateway);
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let schema = |inner: Vec<u8>| {
        let before = br#"{"model":"free","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"a":"#;
        [&before[..], &inner, b"}}}]}"].concat()
    };
    for (what, body, status, code) in [
        ("nothing", Vec::new(), 400, "invalid_json"),
        ("blanks", b"  \n\t ".to_vec(), 400, "invalid_json"),
        (
            "half",
            br#"{"model":"free","mess"#.to_vec(),
            400,
            "invalid_json",
        ),
        ("a text", b"\"hello\"".to_vec(), 400, "invalid_type"),
        ("a list", b"[]".to_vec(), 400, "invalid_type"),
        ("null", b"null".to_vec(), 400, "invalid_type"),
        ("a number", b"7".to_vec(), 400, "invalid_type"),
        (
            "a form",
            b"model=free&messages=x".to_vec(),
            400,
            "invalid_json",
        ),
        (
            "two documents",
            around(b"\"x\"").repeat(2),
            400,
            "invalid_json",
        ),
        (
            "something behind it",
            [around(b"\"x\""), b"x".to_vec()].concat(),
            400,
            "invalid_json",
        ),
        ("a comma too many", member(r#""n":1,"#), 400, "invalid_json"),
        ("a comment", member("/* x */ \"n\":1"), 400, "invalid_json"),
        ("single quotes", member("'n':1"), 400, "invalid_json"),
        (
            "not a number",
            member(r#""temperature":NaN"#),
            400,
            "invalid_json",
        ),
        (
            "infinity",
            member(r#""temperature":Infinity"#),
            400,
            "invalid_json",
        ),
        ("a leading zero", member(r#""n":01"#), 400, "invalid_json"),
        ("a plus", member(r#""n":+1"#), 400, "invalid_json"),
        ("hexadecimal", member(r#""n":0x1"#), 400, "invalid_json"),
        (
            "bytes that are no UTF-8",
            around(b"\"\xff\xfe\""),
            400,
            "invalid_json",
        ),
        (
            "an overlong slash",
            around(b"\"\xc0\xaf\""),
            400,
            "invalid_json",
        ),
        (
            "a surrogate in UTF-8",
            around(b"\"\xed\xa0\x80\""),
            400,
            "invalid_json",
        ),
        (
            "half a character",
            around(b"\"\xe2\x82\""),
            400,
            "invalid_json",
        ),
        (
            "UTF-16",
            "{\"model\":\"free\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
            400,
            "invalid_json",
        ),
        (
            "a lone high surrogate",
            around(br#""\ud800""#),
            400,
            "invalid_json",
        ),
        (
            "a lone low surrogate",
            around(br#""\udc00""#),
            400,
            "invalid_json",
        ),
        (
            "surrogates the wrong way round",
            around(br#""\udc00\ud800""#),
            400,
            "invalid_json",
        ),
        (
            "a control character",
            around(b"\"a\x01b\""),
            400,
            "invalid_json",
        ),
        (
            "a line break in a text",
            around(b"\"a\nb\""),
            400,
            "invalid_json",
        ),
        (
            "an unknown escape",
            around(br#""\x41""#),
            400,
            "invalid_json",
        ),
        ("half an escape", around(br#""\u12""#), 400, "invalid_json"),
        (
            "a null byte behind it",
            [around(b"\"x\""), vec![0]].concat(),
            400,
            "invalid_json",
        ),
        (
            "1e999",
            member(r#""temperature":1e999"#),
            400,
            "invalid_value",
        ),
        (
            "-1e999",
            member(r#""temperature":-1e999"#),
            400,
            "invalid_value",
        ),
        (
            "a number of 4000 digits",
            member(&format!("\"seed\":{}", "9".repeat(4000))),
            400,
            "invalid_value",
        ),
        (
            "the model twice",
            br#"{"model":"free","model":"fake","messages":[]}"#.to_vec(),
            400,
            "duplicate_parameter",
        ),
        (
            "the model twice, once escaped",
            br#"{"model":"free","\u006dodel":"fake","messages":[]}"#.to_vec(),
            400,
            "duplicate_parameter",
        ),
        (
            "the messages twice",
            member(r#""messages":[]"#),
            400,
            "duplicate_parameter",
        ),
        (
            "the role twice",
            br#"{"model":"free","messages":[{"role":"user","role":"system","content":"x"}]}"#
                .to_vec(),
            400,
            "duplicate_parameter",
        ),
        (
            "a schema's key twice",
            schema(br#"{"b":1,"b":2}"#.to_vec()),
            400,
            "invalid_value",
        ),
        ("nested 65 deep", schema(nested(62)), 400, "json_too_deep"),
        (
            "nested 100000 deep",
            schema(nested(100_000)),
            400,
            "json_too_deep",
        ),
        (
            "100000 opening brackets",
            b"[".repeat(100_000),
            400,
            "json_too_deep",
        ),
        (
            "100000 opening braces",
            b"{\"a\":".repeat(100_000),
            400,
            "json_too_deep",
        ),
    ] {
        refused(&app, what, body, status, code);
    }
    assert_eq!(upstream.calls(), 0, "a bad request reached the upstream");
    for (what, body) in [
        (
            "a byte order mark",
            [b"\xef\xbb\xbf".to_vec(), around(b"\"x\"")].concat(),
        ),
        ("a pair of surrogates", around(br#""\ud83d\ude00""#)),
        ("an escaped null", around(br#""a\u0000b""#)),
        (
            "bidirectional controls",
            around("\"\u{202e}\u{2066}x\"".as_bytes()),
        ),
        ("a schema that is 60 deep", schema(nested(50))),
        (
            "half a megabyte",
            around(&[b"\"", &b"x".repeat(1 << 19)[..], b"\""].concat()),
        ),
    ] {
        let answer = app.send("POST", "/v1/chat/completions", Some(body));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
}

#[test]
fn a_huge_body_is_refused_before_it_is_read_or_where_it_passes_the_limit() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "\n[limits]\nmax_body_bytes = 65536\n");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        tenant.app_key
    );
    for (what, rest) in [
        (
            "announced, and not sent",
            "content-length: 65537\r\n\r\n".to_owned(),
        ),
        (
            "announced as endless",
            "content-length: 999999999999\r\n\r\n".to_owned(),
        ),
        (
            "in one chunk",
            format!(
                "transfer-encoding: chunked\r\n\r\n10001\r\n{}",
                " ".repeat(65_537)
            ),
        ),
        (
            "in chunks",
            format!(
                "transfer-encoding: chunked\r\n\r\n{}",
                format!("1000\r\n{}\r\n", " ".repeat(4096)).repeat(17)
            ),
        ),
    ] {
        let mut raw = Raw::connect(&gateway.data_plane).unwrap();
        raw.write(format!("{head}{rest}").as_bytes());
        let reply = raw
            .reply()
            .unwrap_or_else(|| panic!("{what}: closed without an answer"));
        assert_eq!(reply.status, 413, "{what}: {}", reply.text());
        assert!(
            reply.text().contains("request_too_large"),
            "{what}: {}",
            reply.text()
        );
    }
    // one that does not stop is not read on
    let mut raw = Raw::connect(&gateway.data_plane).unwrap();
    raw.write(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes());
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    let sent = (0..1000)
        .take_while(|_| raw.write(chunk.as_bytes()))
        .count();
    assert!(sent < 1000, "64 MB were taken");
    assert_eq!(upstream.calls(), 0);
    assert_eq!(tenant.app(&gateway).chat("free", "still here").status, 200);
}

#[test]
fn a_body_that_is_not_announced_as_plain_json_is_not_read() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let body = String::from_utf8(around(b"\"x\"")).unwrap();
    let post = |headers: &str| {
        let mut raw = Raw::connect(&gateway.data_plane).unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n{headers}\r\n",
            tenant.app_key,
            body.len()
        );
        raw.write(format!("{head}{body}").as_bytes());
        raw.reply().unwrap()
    };
    for (headers, status) in [
        ("content-type: application/json\r\n", 200),
        ("content-type: APPLICATION/JSON; charset=utf-8\r\n", 200),
        ("", 200),
        ("content-type: text/plain\r\n", 415),
        ("content-type: application/x-www-form-urlencoded\r\n", 415),
        ("content-type: multipart/form-data; boundary=x\r\n", 415),
        ("content-type: application/json, text/plain\r\n", 415),
        (
            "content-type: application/json\r\ncontent-encoding: gzip\r\n",
            415,
        ),
        (
            "content-type: application/json\r\ncontent-encoding: identity\r\n",
            200,
        ),
    ] {
        let reply = post(headers);
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.text());
    }
}
