//! Links to images. The gateway never fetches one; an upstream would, from inside somebody's network.

/// Media types of images, all that OpenAI documents.
const IMAGE_TYPES: [&str; 5] = [
    "image/png",
    "image/jpeg",
    "image/jpg",
    "image/webp",
    "image/gif",
];
/// Longest web address, in bytes.
const LONGEST_ADDRESS: usize = 8192;
/// Names that lead inside a network: RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`, and what networks call themselves.
const INSIDE: [&str; 14] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "localdomain",
    "arpa",
    "test",
    "invalid",
    "svc",
    "onion",
];

/// What a link to an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// `data:image/…;base64,…`: the image itself. Holds no readable text.
    Data,
    /// `http://` or `https://` with a host name that looks public.
    Web,
}

/// Recognises a link to an image that may be passed on; the reason where it may not.
///
/// Web addresses are passed on only in a plain form that every URL parser reads alike: a host name (no IP address in any
/// spelling), no user information, no backslash, whitespace or control character, and not a name that leads inside a
/// network. A public name can still resolve to a private address: an upstream that must not reach its own network has
/// to be stopped there (vLLM: `--allowed-media-domains`), and SECURITY says so.
pub(crate) fn recognise(link: &str) -> Result<Link, &'static str> {
    if let Some(data) = strip_scheme(link, "data:") {
        return recognise_data(data);
    }
    let Some(address) = strip_scheme(link, "https://").or_else(|| strip_scheme(link, "http://"))
    else {
        return Err("expected a data: URL with a base64 image, or an http(s) URL.");
    };
    if link.len() > LONGEST_ADDRESS || !link.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(
            "expected a URL of visible ASCII characters without backslashes, up to 8192 bytes.",
        );
    }
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let port_good = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    if port_good && public_name(host) {
        Ok(Link::Web)
    } else {
        Err("expected a URL with a public host name.")
    }
}

fn strip_scheme<'a>(link: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = link.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn recognise_data(data: &str) -> Result<Link, &'static str> {
    let Some((kind, payload)) = data.split_once(";base64,") else {
        return Err("expected a data: URL with a base64 image.");
    };
    if !IMAGE_TYPES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(kind))
    {
        return Err("expected an image of type png, jpeg, webp or gif.");
    }
    if is_base64(payload) {
        Ok(Link::Data)
    } else {
        Err("expected base64 after the comma.")
    }
}

/// True for text of the base64 alphabet only, plain or URL-safe (RFC 4648), so that no readable text hides in a payload
/// that nobody looks into.
pub(crate) fn is_base64(payload: &str) -> bool {
    let payload = payload.trim_end_matches('=');
    !payload.is_empty()
        && payload
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'))
}

fn public_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label_good = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let Some((_, top)) = host.rsplit_once('.') else {
        return false;
    };
    // The last label of an IPv4 address is a number in decimal, octal or hexadecimal; no top-level domain starts with a digit.
    let top_good = top.starts_with(|c: char| c.is_ascii_alphabetic()) && !INSIDE.contains(&top);
    host.len() <= 253 && top_good && host.split('.').all(label_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_and_addresses_that_look_public_to_every_parser_pass() {
        let good = [
            ("data:image/png;base64,iVBORw0KGgo=", Link::Data),
            ("DATA:IMAGE/JPEG;base64,AAAA", Link::Data),
            ("https://example.com/a.png?x=1#y", Link::Web),
            ("HTTP://Example.Com.:8080", Link::Web),
            (
                "https://xn--bcher-kva.example/ü".trim_end_matches('ü'),
                Link::Web,
            ),
        ];
        for (link, expected) in good {
            assert_eq!(recognise(link), Ok(expected), "{link}");
        }
        for bad in [
            "",
            "example.com",
            "//example.com",
            "file:///etc/passwd",
            "ftp://example.com",
            "gopher://example.com",
            "http:/example.com",
            "http:\\\\example.com",
            "https://",
            "https:///x",
            "https://:80",
            "https://a:b@example.com",
            "https://example.com@127.0.0.1",
            "https://127.0.0.1",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest",
            "http://8.8.8.8",
            "http://2130706433",
            "http://0x7f.0.0.1",
            "http://0177.0.0.1",
            "http://127.1",
            "http://1.2.3.0x4",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]",
            "http://localhost",
            "http://a.localhost.",
            "http://LOCALHOST",
            "http://metadata.google.internal/",
            "http://printer.local",
            "http://intranet",
            "http://a..b.com",
            "http://.com",
            "http://example.com:",
            "http://example.com:99999999",
            "http://example.com\\@127.0.0.1",
            "http://exa mple.com",
            "http://example.com/\u{0}",
            "http://example.com/ü",
            "http://①②⑦.⓪.⓪.①",
            "http://ⓛocalhost.com",
            "http://1.0.0.127.in-addr.arpa",
            "http://%31%32%37.com",
            "http://example.com\n",
            "data:text/plain,hello",
            "data:text/plain;base64,aGVsbG8=",
            "data:image/png,raw",
            "data:image/svg+xml;base64,AAAA",
            "data:image/png;base64,",
            "data:image/png;base64,the secret is x",
            "data:image/png;charset=x;base64,AAAA",
        ] {
            assert!(recognise(bad).is_err(), "{bad}");
        }
    }
}
