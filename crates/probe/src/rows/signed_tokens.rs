//! The row about signed tokens (RFC 7519), after RFC 8725, which names the attacks.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use super::door::{show_tokens, statuses, try_key};
use super::sink::Sink;
use crate::row::{Bench, Row};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(7, |bench| Box::pin(token_confusion(bench)))];

/// 1 January 2100, for tokens that must not be refused for their age.
const LATER: u64 = 4_102_444_800;
/// What a server that takes `kid` for a file, a query or a URL would read as the key.
const KEY_IDS: [(&str, &str); 5] = [
    ("../../../../../../dev/null", ""),
    ("/dev/null", ""),
    ("x' UNION SELECT 'probe'-- ", "probe"),
    ("x\" UNION SELECT \"probe\"-- ", "probe"),
    ("no-such-key", ""),
];
/// Secrets that come with examples, and none.
const SECRETS: [&str; 6] = [
    "",
    "secret",
    "your-256-bit-secret",
    "changeme",
    "key",
    "null",
];

/// Row 7. No token that nobody issued is let in, however it is made.
async fn token_confusion(bench: &Bench) -> Result<Finding, Trouble> {
    let issued = [("B", &bench.b), ("A", &bench.a)];
    let issued: Vec<(&str, Token)> = issued
        .into_iter()
        .filter_map(|(tenant, who)| Some((tenant, Token::read(who.key().secret())?)))
        .collect();
    let sink = Sink::open(bench, &bench.b).await?;
    let sink_counts = sink.is_awake().await;
    let forged = forgeries(&issued, &sink.url("/jwks.json"), bench.canary().text());
    let (knocks, mut leaks) = show_tokens(bench, &forged).await?;
    let fetched = sink.settled().await;
    if fetched > 0 {
        leaks.push(format!(
            "the gateway fetched keys from where a token pointed, {fetched} times"
        ));
    }
    let control = match issued.first() {
        None => Control::Absent(format!(
            "neither key is a signed token, so none that is accepted is known; {} forged ones were refused all the same",
            forged.len()
        )),
        Some((tenant, token)) => {
            let knocked = try_key(bench, &token.text).await?;
            let algorithm = token
                .header
                .get("alg")
                .and_then(Value::as_str)
                .unwrap_or("none");
            if knocked.is_served() && sink_counts {
                Control::Shown(format!("{tenant}'s own token ({algorithm}) is let in"))
            } else {
                Control::Missing(format!(
                    "{tenant}'s own token was answered {}",
                    knocked.status
                ))
            }
        }
    };
    Ok(Finding::counted(
        control,
        leaks.len() as u64,
        forged.len() as u64,
        "forged tokens were let in",
    )
    .details(leaks)
    .detail("not tried: the issuer's public key as an HMAC secret, which the probe does not know")
    .detail(format!("answers: {}", statuses(&knocks)))
    .reproduce("take a token, set its alg to none, drop its signature, and call with it: 401"))
}

/// A signed token in its compact form.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    header: Value,
    payload: Value,
    signature: String,
}

impl Token {
    fn read(text: &str) -> Option<Token> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return None;
        };
        let read = |part: &str| -> Option<Value> {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok().filter(Value::is_object)
        };
        Some(Token {
            text: text.to_owned(),
            header: read(header).filter(|header| header.get("alg").is_some())?,
            payload: read(payload)?,
            signature: (*signature).to_owned(),
        })
    }

    /// What a token might look like, where none is known.
    fn invented() -> Token {
        let payload = json!({
            "iss": "https://issuer.example", "sub": "admin", "aud": "api", "iat": 1_700_000_000, "exp": LATER,
            "tenant": "admin", "tenant_id": "admin", "org_id": "admin", "role": "admin", "scope": "admin infer",
        });
        Token {
            text: String::new(),
            header: json!({"alg": "RS256", "typ": "JWT", "kid": "1"}),
            payload,
            signature: part(&json!("no signature of anybody, but as long as one is")),
        }
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn with(object: &Value, changes: &Value) -> Value {
    let mut changed = object.clone();
    if let (Some(fields), Some(changes)) = (changed.as_object_mut(), changes.as_object()) {
        fields.extend(changes.clone());
    }
    changed
}

fn mac(algorithm: &str, secret: &[u8], header: &Value, payload: &Value) -> String {
    let signed = format!("{}.{}", part(header), part(payload));
    let algorithm = match algorithm {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// How each was made, and the token.
fn forgeries(issued: &[(&str, Token)], keys_at: &str, canary: &str) -> Vec<(String, String)> {
    let base = issued
        .first()
        .map_or_else(Token::invented, |(_, token)| token.clone());
    let mut forged = Vec::new();
    let mut add = |how: &str, token: String| forged.push((how.to_owned(), token));
    let (header, payload, signature) = (&base.header, &base.payload, base.signature.as_str());
    let join = |header: &Value, payload: &Value, signature: &str| {
        format!("{}.{}.{signature}", part(header), part(payload))
    };

    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = with(header, &json!({"alg": none}));
        add(
            &format!("alg {none:?} without a signature"),
            join(&header, payload, ""),
        );
        add(
            &format!("alg {none:?} with the old signature"),
            join(&header, payload, signature),
        );
    }
    add(
        "alg none with two parts",
        format!(
            "{}.{}",
            part(&with(header, &json!({"alg": "none"}))),
            part(payload)
        ),
    );
    for alg in [
        json!(null),
        json!(["none"]),
        json!({"none": true}),
        json!(0),
    ] {
        add(
            &format!("alg {alg}"),
            join(&with(header, &json!({"alg": alg})), payload, ""),
        );
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        let header = with(header, &json!({"alg": algorithm}));
        for secret in SECRETS {
            add(
                &format!("{algorithm} with the secret {secret:?}"),
                mac(algorithm, secret.as_bytes(), &header, payload),
            );
        }
    }
    for (id, secret) in KEY_IDS {
        let header = with(header, &json!({"alg": "HS256", "kid": id}));
        add(
            &format!("key id {id:?}"),
            mac("HS256", secret.as_bytes(), &header, payload),
        );
    }
    for name in ["jku", "x5u"] {
        let header = with(header, &json!({name: keys_at, "kid": canary}));
        add(
            &format!("{name} of the attacker"),
            join(&header, payload, signature),
        );
    }
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("probe"), "alg": "HS256"});
    let brings_key = with(header, &json!({"alg": "HS256", "jwk": jwk}));
    add(
        "a key of the attacker in the header",
        mac("HS256", b"probe", &brings_key, payload),
    );
    add(
        "a critical extension that nobody knows",
        join(
            &with(header, &json!({"crit": ["probe"], "probe": 1})),
            payload,
            signature,
        ),
    );
    let from_attacker = with(
        payload,
        &json!({"iss": keys_at.trim_end_matches("/jwks.json")}),
    );
    add(
        "an issuer of the attacker",
        mac(
            "HS256",
            b"probe",
            &with(header, &json!({"alg": "HS256"})),
            &from_attacker,
        ),
    );

    // the claims changed and the old signature kept: whoever reads before verifying takes them
    for changes in [
        json!({"sub": canary}),
        json!({"aud": "another-service"}),
        json!({"iss": "https://other.example"}),
        json!({"tenant": canary, "tenant_id": canary, "org_id": canary, "organization": canary}),
        json!({"role": "admin", "roles": ["admin"], "scope": "admin", "is_admin": true}),
        json!({"exp": LATER, "nbf": 0}),
        json!({"exp": null}),
    ] {
        let names: Vec<&str> = changes
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let changed = with(payload, &changes);
        // a token that says so already is not changed by it
        if changed != *payload {
            add(
                &format!("changed {}", names.join(", ")),
                join(header, &changed, signature),
            );
        }
    }
    add("no claims", join(header, &json!({}), signature));
    for (how, signature) in bad_signatures(signature) {
        add(how, join(header, payload, &signature));
    }
    if let [(_, one), (_, other)] = issued {
        add(
            "A's claims under B's signature",
            join(&one.header, &other.payload, &one.signature),
        );
        add(
            "B's claims under A's signature",
            join(&other.header, &one.payload, &other.signature),
        );
    }
    // what was not issued cannot come out the same by chance, but a lenient issuer may have issued it
    forged.retain(|(_, token)| issued.iter().all(|(_, own)| own.text != *token));
    forged
}

/// Signatures that are none of anything.
fn bad_signatures(signature: &str) -> Vec<(&'static str, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let flipped = |place: usize| {
        let mut bytes = bytes.clone();
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    };
    vec![
        ("no signature", String::new()),
        (
            "half of the signature",
            signature.chars().take(signature.len() / 2).collect(),
        ),
        ("one bit of the signature flipped at the front", flipped(0)),
        (
            "one bit of the signature flipped at the end",
            flipped(bytes.len().saturating_sub(1)),
        ),
        ("a signature of zeros", URL_SAFE_NO_PAD.encode([0; 64])),
        (
            "a signature of zeros in DER",
            URL_SAFE_NO_PAD.encode([0x30, 6, 2, 1, 0, 2, 1, 0]),
        ),
        ("a signature of ones", URL_SAFE_NO_PAD.encode([0xff; 64])),
        (
            "a signature in the other base64",
            format!("{}==", STANDARD.encode(b"probe")),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_and_more_forgeries_are_all_different_and_none_is_the_token_itself() {
        let token = Token {
            text: format!(
                "{}.{}.c2ln",
                part(&json!({"alg": "HS256"})),
                part(&json!({"sub": "b"}))
            ),
            ..Token::invented()
        };
        let token = Token::read(&token.text).unwrap();
        for issued in [vec![], vec![("B", token.clone())]] {
            let forged = forgeries(&issued, "http://127.0.0.1:1/jwks.json", "ca7a");
            let mut tokens: Vec<&str> = forged.iter().map(|(_, token)| token.as_str()).collect();
            assert!(!tokens.contains(&token.text.as_str()));
            tokens.sort_unstable();
            let all = tokens.len();
            tokens.dedup();
            assert!(all >= 40 && tokens.len() == all, "{all} {}", tokens.len());
        }
    }

    #[test]
    fn only_three_parts_with_an_algorithm_are_a_token() {
        for text in ["sk-key", "a.b.c", "e30.e30.e30", ""] {
            assert!(Token::read(text).is_none(), "{text}");
        }
        // the example of RFC 7515, appendix A.1, begins so
        assert!(Token::read("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.e30.dBjf").is_some());
    }
}
