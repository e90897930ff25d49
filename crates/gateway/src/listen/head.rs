//! What a request's head must look like before the router may see it.
//!
//! The router, the authentication and the logs all judge the one path checked here. Nothing is normalised: a
//! path that would need it does not exist. (Row 5, 11 and 12 of the attack catalogue.)

use http::{HeaderMap, HeaderName, Method, Request, Version, header, uri::Uri};

use crate::refusal::Refusal;

/// Headers that decide who asks, or where a message ends: one of them at most.
const SINGLE: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Longest path in bytes; model names are the only long part.
const LONGEST_PATH: usize = 512;

/// Refuses a head that two parsers could read in two ways.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    target(request.method(), request.uri())?;
    for name in &SINGLE {
        if request.headers().get_all(name).iter().nth(1).is_some() {
            return Err(Refusal::bad_head(format!(
                "more than one {name} header; nothing was done; send it once"
            )));
        }
    }
    host(request.version(), request.headers())?;
    if request.headers().contains_key(header::UPGRADE) {
        return Err(Refusal::bad_head(
            "this server upgrades no connections; nothing was done; ask again without upgrade",
        ));
    }
    if request
        .headers()
        .get(header::TRANSFER_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Refusal::bad_head(
            "the only transfer coding read here is chunked; nothing was done; send a content-length",
        ));
    }
    if request
        .headers()
        .get(header::EXPECT)
        .is_some_and(|expect| !expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Refusal::of(
            417,
            "unsupported_expectation",
            "the only expectation met here is 100-continue; nothing was done; ask again without it",
        ));
    }
    Ok(())
}

fn target(method: &Method, uri: &Uri) -> Result<(), Refusal> {
    if *method == Method::CONNECT {
        return Err(Refusal::bad_head(
            "this server tunnels nothing; nothing was done; send the request itself",
        ));
    }
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Refusal::bad_head(
            "the request target must be a path (origin form); nothing was done; send only the path",
        ));
    }
    if !plain(uri.path()) {
        return Err(Refusal::unknown_path());
    }
    Ok(())
}

/// A path that means the same to everybody: no escapes, no empty or dotted segments, no parameters.
fn plain(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else {
        return false;
    };
    path.len() <= LONGEST_PATH
        && segments.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        })
}

/// RFC 9112 section 3.2: exactly one Host with HTTP/1.1, and a value that is only a host. It is read no further:
/// no route, tenant or upstream depends on it.
fn host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(host) = headers.get(header::HOST) else {
        if version == Version::HTTP_10 {
            return Ok(());
        }
        return Err(Refusal::bad_head(
            "the host header is missing; nothing was done; send it once",
        ));
    };
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    if host.len() > 255 || !host.as_bytes().iter().all(legal) {
        return Err(Refusal::bad_head(
            "the host header is not a host; nothing was done; send the host alone",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_everybody_reads_alike_reaches_the_router() {
        for path in [
            "/v1/chat/completions",
            "/models/org/model-1.5:q4",
            "/tenant/v1/keys/key_00ff",
        ] {
            assert!(plain(path), "{path}");
        }
        for path in [
            "",
            "*",
            "/",
            "//",
            "//v1/models",
            "/v1//models",
            "/v1/models/",
            "/./v1/models",
            "/v1/../v1/models",
            "/v1/%6dodels",
            "/v1%2fmodels",
            "/v1/models;a=b",
            "/v1/models\\",
            "/v1/mod\u{e9}ls",
            "/v1/models/..",
            "/v1/models/~",
        ] {
            assert!(!plain(path), "{path}");
        }
        assert!(!plain(&format!("/{}", "a".repeat(LONGEST_PATH))));
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        let check = |method: &str, uri: &str, version: Version, headers: &[(&str, &str)]| -> u16 {
            let mut request = Request::builder().method(method).uri(uri).version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            super::check(&request.body(()).unwrap())
                .map_or_else(|refusal| refusal.status(), |()| 200)
        };
        let v11 = Version::HTTP_11;
        let host = ("host", "gateway.example:7070");
        for (expected, method, uri, version, headers) in [
            (200, "POST", "/v1/models", v11, vec![host]),
            (200, "POST", "/v1/models?limit=2", v11, vec![host]),
            (200, "GET", "/v1/models", Version::HTTP_10, vec![]),
            (200, "GET", "/v1/models", v11, vec![("host", "[::1]:7070")]),
            (
                200,
                "POST",
                "/v1/models",
                v11,
                vec![host, ("expect", "100-Continue")],
            ),
            (400, "GET", "/v1/models", v11, vec![]),
            (400, "GET", "/v1/models", v11, vec![host, host]),
            (400, "GET", "/v1/models", v11, vec![("host", "x/?")]),
            (400, "GET", "/v1/models", v11, vec![("host", "x@y")]),
            (
                400,
                "GET",
                "http://gateway.example/v1/models",
                v11,
                vec![host],
            ),
            (400, "CONNECT", "gateway.example:7070", v11, vec![host]),
            (
                400,
                "GET",
                "/v1/models",
                v11,
                vec![
                    host,
                    ("authorization", "Bearer a"),
                    ("authorization", "Bearer a"),
                ],
            ),
            (
                400,
                "POST",
                "/v1/models",
                v11,
                vec![host, ("content-length", "1"), ("content-length", "1")],
            ),
            (
                400,
                "POST",
                "/v1/models",
                v11,
                vec![host, ("transfer-encoding", "gzip, chunked")],
            ),
            (
                400,
                "GET",
                "/v1/models",
                v11,
                vec![host, ("upgrade", "h2c")],
            ),
            (
                417,
                "POST",
                "/v1/models",
                v11,
                vec![host, ("expect", "200-ok")],
            ),
            (404, "GET", "/v1/%6dodels", v11, vec![host]),
            (404, "OPTIONS", "*", v11, vec![host]),
        ] {
            assert_eq!(
                check(method, uri, version, &headers),
                expected,
                "{method} {uri} {headers:?}"
            );
        }
    }
}
