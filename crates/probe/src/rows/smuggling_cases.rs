//! Requests whose end can be read in more than one way (RFC 9112, sections 2.2, 5, 6 and 7).

use crate::canary::Canary;
use crate::row::Bench;

/// One way.
pub(super) struct Case {
    pub(super) name: String,
    /// Stands in the body that is meant.
    pub(super) outer: Canary,
    /// Stands in the first line of the request that nobody judged.
    pub(super) inner: Canary,
    pub(super) bytes: Vec<u8>,
}

/// What a case is built from.
struct Parts {
    head: String,
    /// JSON.
    body: String,
    /// A request to the upstream, without any credential for the gateway.
    inner: String,
    outer_canary: Canary,
    inner_canary: Canary,
}

impl Parts {
    fn new(bench: &Bench) -> Parts {
        let (outer, inner) = (bench.canary(), bench.canary());
        Parts {
            head: format!(
                "Host: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n",
                bench.dial.authority(),
                bench.b.authorization()
            ),
            body: bench.b.chat_body(&format!("Hello {outer}")).to_string(),
            inner: format!("GET /v1/models?{inner} HTTP/1.1\r\nHost: {inner}\r\n\r\n"),
            outer_canary: outer,
            inner_canary: inner,
        }
    }

    /// A whole request that begins with `first` and has one more header line, and the inner one behind it.
    fn with_line(&self, first: &str, line: &str) -> String {
        format!(
            "{first}{}{line}\r\nContent-Length: {}\r\n\r\n{}{}",
            self.head,
            self.body.len(),
            self.body,
            self.inner
        )
    }

    fn chunked(&self) -> String {
        format!("{:x}\r\n{}\r\n0\r\n\r\n", self.body.len(), self.body)
    }
}

/// Ways to say that the body is chunked which not every parser hears.
const CODINGS: [&str; 22] = [
    "Transfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;x=1",
    "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "Transfer-Encoding:\r\n chunked",
    "X-Filler: x\r\n Transfer-Encoding: chunked",
    " Transfer-Encoding: chunked",
    "X-Filler: x\nTransfer-Encoding: chunked",
    "X-Filler: x\rTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "TRANSFER-ENCODING: CHUNKED",
];
/// Header lines that parsers differ about, by what they are.
const ODD_LINES: [(&str, &str); 8] = [
    ("a zero byte in a name", "X-A\0: b"),
    ("a zero byte in a value", "X-A: b\0c"),
    ("a line without a colon", "X-A"),
    ("a line without a name", ": x"),
    ("an end of the head in a value", "X-A: b\r"),
    (
        "the length named as the connection's own",
        "Connection: Content-Length",
    ),
    ("a body that is expected, at once", "Expect: 100-continue"),
    ("an expectation that nobody knows", "Expect: x"),
];

/// Ways to write a length; `{n}` is that of the body, `{m}` that of the body and the inner request.
const LENGTHS: [&str; 20] = [
    "Content-Length: {n}\r\nContent-Length: {m}",
    "Content-Length: {m}\r\nContent-Length: {n}",
    "Content-Length: {n}\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: {n}",
    "Content-Length: {n}\r\nContent-Length: {n}",
    "Content-Length: {n}, {m}",
    "Content-Length: {m}, {n}",
    "Content-Length: +{n}",
    "Content-Length: -{n}",
    "Content-Length: 0{n}",
    "Content-Length: 0x{n}",
    "Content-Length: {n}.0",
    "Content-Length: {n} {m}",
    "Content-Length : {n}",
    "Content-Length:\r\n {n}",
    "Content-Length: \u{b}{n}",
    "Content-Length: 18446744073709551616{n}",
    "Content_Length: {n}",
    "X-Filler: x\nContent-Length: {n}",
    "Content-Length: {n}\r\n\tX-Filler: x",
];
/// Ways to write chunks; `{size}` is that of the body, `{body}` and `{inner}` what they say.
const CHUNKS: [&str; 16] = [
    "{size};x=y\r\n{body}\r\n0\r\n\r\n{inner}",
    "{size};x=\"\r\n{body}\r\n0\r\n\r\n{inner}",
    "{size};\r\n{body}\r\n0\r\n\r\n{inner}",
    "{size};x\n{body}\r\n0\r\n\r\n{inner}",
    "{size}\n{body}\n0\n\n{inner}",
    "{size} \r\n{body}\r\n0\r\n\r\n{inner}",
    "0x{size}\r\n{body}\r\n0\r\n\r\n{inner}",
    "+{size}\r\n{body}\r\n0\r\n\r\n{inner}",
    "1000000000000000{size}\r\n{body}\r\n0\r\n\r\n{inner}",
    "{size}\r\n{body}0\r\n\r\n{inner}",
    "{size}\r\n{body}xx0\r\n\r\n{inner}",
    "{size}\r\n{body}\r\n00000000000000000000\r\n\r\n{inner}",
    "{size}\r\n{body}\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: identity\r\n\r\n{inner}",
    "{size}\r\n{body}\r\n0\r\n{inner}",
    "{size}\r\n{body}\r\n0\r\n\r{inner}",
    "{size}\r\n{body}\r\n-1\r\n\r\n{inner}",
];
/// Upgrades that a gateway may believe it was granted.
const UPGRADES: [&str; 5] = [
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cHJvYmVwcm9iZXByb2I=",
    "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "Connection: Upgrade\r\nUpgrade: TLS/1.2",
    "Upgrade: probe",
];
/// First lines that are not quite those of HTTP/1.1.
const LINES: [&str; 14] = [
    "POST {path} HTTP/1.0",
    "POST {path} HTTP/0.9",
    "POST {path} HTTP/1.2",
    "POST {path} HTTP/2.0",
    "POST {path} HTTP/1.1 x",
    "POST {path} HTTP/1.1\t",
    "POST {path}",
    "POST  {path} HTTP/1.1",
    "POST\t{path}\tHTTP/1.1",
    " POST {path} HTTP/1.1",
    "post {path} HTTP/1.1",
    "GET {path} HTTP/1.1",
    "HEAD {path} HTTP/1.1",
    "CONNECT {path} HTTP/1.1",
];

/// Every case, with canaries of its own.
pub(super) fn cases(bench: &Bench) -> Vec<Case> {
    let path = bench.dial.path("/v1/chat/completions");
    let first = format!("POST {path} HTTP/1.1\r\n");
    let mut cases = Vec::new();
    let mut add = |name: &str, write: &dyn Fn(&Parts) -> String| {
        let parts = Parts::new(bench);
        let bytes = write(&parts).into_bytes();
        cases.push(Case {
            name: name.escape_debug().to_string(),
            outer: parts.outer_canary,
            inner: parts.inner_canary,
            bytes,
        });
    };
    for coding in CODINGS {
        add(&format!("length over everything, and {coding}"), &|p| {
            let body = format!("{}{}", p.chunked(), p.inner);
            format!(
                "{first}{}Content-Length: {}\r\n{coding}\r\n\r\n{body}",
                p.head,
                body.len()
            )
        });
        add(&format!("a short length, and {coding}"), &|p| {
            let hidden = format!("{}{}", p.body, p.inner);
            format!(
                "{first}{}{coding}\r\nContent-Length: {}\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
                p.head,
                p.body.len(),
                hidden.len()
            )
        });
    }
    for length in LENGTHS {
        add(length, &|p| {
            let length = length
                .replace("{n}", &p.body.len().to_string())
                .replace("{m}", &(p.body.len() + p.inner.len()).to_string());
            format!("{first}{}{length}\r\n\r\n{}{}", p.head, p.body, p.inner)
        });
    }
    for chunks in CHUNKS {
        add(chunks, &|p| {
            let chunks = chunks
                .replace("{size}", &format!("{:x}", p.body.len()))
                .replace("{body}", &p.body)
                .replace("{inner}", &p.inner);
            format!(
                "{first}{}Transfer-Encoding: chunked\r\n\r\n{chunks}",
                p.head
            )
        });
    }
    for upgrade in UPGRADES {
        add(upgrade, &|p| p.with_line(&first, upgrade));
        add(&format!("no body, and {upgrade}"), &|p| {
            format!(
                "GET {} HTTP/1.1\r\n{}{upgrade}\r\n\r\n{}",
                path.replace("chat/completions", "models"),
                p.head,
                p.inner
            )
        });
    }
    for line in LINES {
        let line = line.replace("{path}", &path);
        add(&line, &|p| {
            format!(
                "{line}\r\n{}Content-Length: {}\r\n\r\n{}{}",
                p.head,
                p.body.len(),
                p.body,
                p.inner
            )
        });
        add(&format!("{line} and chunks"), &|p| {
            format!(
                "{line}\r\n{}Transfer-Encoding: chunked\r\n\r\n{}{}",
                p.head,
                p.chunked(),
                p.inner
            )
        });
    }
    add("HTTP/1.0 with a body without a length", &|p| {
        format!(
            "POST {path} HTTP/1.0\r\n{}Connection: keep-alive\r\n\r\n{}{}",
            p.head, p.body, p.inner
        )
    });
    add("a body without a length", &|p| {
        format!("{first}{}\r\n{}{}", p.head, p.body, p.inner)
    });
    add("bare line feeds", &|p| {
        let head = format!("{first}{}Content-Length: {}\r\n\r\n", p.head, p.body.len())
            .replace("\r\n", "\n");
        format!("{head}{}{}", p.body, p.inner)
    });
    add("bare carriage returns", &|p| {
        let head = format!("{first}{}Content-Length: {}\r\n\r\n", p.head, p.body.len())
            .replace("\r\n", "\r");
        format!("{head}{}{}", p.body, p.inner)
    });
    for (name, line) in ODD_LINES {
        add(name, &|p| p.with_line(&first, line));
    }
    add("the inner request in the path", &|p| {
        let inner = p
            .inner
            .trim_end()
            .replace("\r\n", "%0d%0a")
            .replace(' ', "%20");
        format!(
            "POST {path}?%20HTTP/1.1%0d%0a%0d%0a{inner} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}",
            p.head,
            p.body.len(),
            p.body
        )
    });
    add("the inner request in a value of the body", &|p| {
        let body = p.body.replace(
            "Hello ",
            &format!("Hello {}", p.inner.escape_default()).replace("\\'", "'"),
        );
        format!(
            "{first}{}Content-Length: {}\r\n\r\n{body}",
            p.head,
            body.len()
        )
    });
    add("the preface of HTTP/2 behind", &|p| {
        format!(
            "{first}{}Content-Length: {}\r\n\r\n{}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}",
            p.head,
            p.body.len(),
            p.body,
            p.inner
        )
    });
    cases
}
