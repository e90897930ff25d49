//! Forged tokens of an issuer, each beside one that is good.

use super::{test_issuer::*, *};
use serde_json::json;

use Algorithm::ES256;

#[test]
fn a_good_token_of_every_algorithm_is_admitted() {
    let issuer = TestIssuer::a();
    let keys = keys_of(&issuer);
    assert_eq!(keys.len(), 4);
    for algorithm in Algorithm::ALL {
        let identity = check(&issuer.good(algorithm), &pin(), &keys).unwrap();
        assert_eq!(identity.subject, "auth0|5f7c8ec7");
        assert_eq!(identity.session.as_deref(), Some("sitting-1"));
        assert_eq!(identity.expires, at(300));
        assert!(
            !format!("{identity:?}").contains("auth0"),
            "an end user's name is never printed"
        );
    }
}

#[test]
fn forged_claims_are_refused() {
    let issuer = TestIssuer::a();
    let keys = keys_of(&issuer);
    let cases = [
        ("another audience", "aud", json!("other"), Reason::Claims),
        (
            "an audience among several",
            "aud",
            json!(["cofferdam", "other"]),
            Reason::Claims,
        ),
        (
            "an audience among several, last",
            "aud",
            json!(["other", "cofferdam"]),
            Reason::Claims,
        ),
        (
            "the audience twice",
            "aud",
            json!(["cofferdam", "cofferdam"]),
            Reason::Claims,
        ),
        ("no audience in the list", "aud", json!([]), Reason::Claims),
        (
            "an audience in another case",
            "aud",
            json!("Cofferdam"),
            Reason::Claims,
        ),
        (
            "an audience that starts alike",
            "aud",
            json!("cofferdam2"),
            Reason::Claims,
        ),
        (
            "an audience in an object",
            "aud",
            json!({ "cofferdam": true }),
            Reason::Claims,
        ),
        ("no audience", "aud", json!(null), Reason::Claims),
        (
            "another issuer",
            "iss",
            json!("https://evil.example.com/"),
            Reason::Claims,
        ),
        (
            "an issuer without its slash",
            "iss",
            json!("https://login.example.com"),
            Reason::Claims,
        ),
        (
            "an issuer that starts alike",
            "iss",
            json!("https://login.example.com/x"),
            Reason::Claims,
        ),
        (
            "the issuer in a list",
            "iss",
            json!(["https://login.example.com/"]),
            Reason::Claims,
        ),
        ("no issuer", "iss", json!(null), Reason::Claims),
        ("another tenant", "org_id", json!("org_b"), Reason::Claims),
        (
            "the tenant in a list",
            "org_id",
            json!(["org_a"]),
            Reason::Claims,
        ),
        (
            "the tenant in a list with another",
            "org_id",
            json!(["org_b", "org_a"]),
            Reason::Claims,
        ),
        (
            "a number for the tenant",
            "org_id",
            json!(1),
            Reason::Claims,
        ),
        ("true for the tenant", "org_id", json!(true), Reason::Claims),
        (
            "the tenant in an object",
            "org_id",
            json!({ "org_a": "org_a" }),
            Reason::Claims,
        ),
        (
            "the tenant in another case",
            "org_id",
            json!("ORG_A"),
            Reason::Claims,
        ),
        (
            "the tenant with a space",
            "org_id",
            json!("org_a "),
            Reason::Claims,
        ),
        (
            "the tenant with a NUL",
            "org_id",
            json!("org_a\0"),
            Reason::Claims,
        ),
        ("an empty tenant", "org_id", json!(""), Reason::Claims),
        ("no tenant", "org_id", json!(null), Reason::Claims),
        ("no subject", "sub", json!(null), Reason::Claims),
        ("an empty subject", "sub", json!(""), Reason::Claims),
        ("a number for the subject", "sub", json!(42), Reason::Claims),
        (
            "an endless subject",
            "sub",
            json!("x".repeat(257)),
            Reason::Claims,
        ),
        (
            "a subject with a line end",
            "sub",
            json!("a\nb"),
            Reason::Claims,
        ),
        ("no session", "sid", json!(null), Reason::Claims),
        (
            "a list for the session",
            "sid",
            json!(["a"]),
            Reason::Claims,
        ),
        ("expired", "exp", json!(NOW - 1), Reason::Expired),
        (
            "expired this very second",
            "exp",
            json!(NOW),
            Reason::Expired,
        ),
        (
            "expired by a fraction",
            "exp",
            json!(NOW as f64 + 0.5),
            Reason::Expired,
        ),
        ("no end", "exp", json!(null), Reason::Claims),
        (
            "a text for the end",
            "exp",
            json!("9999999999"),
            Reason::Claims,
        ),
        ("an end beyond time", "exp", json!(u64::MAX), Reason::Claims),
        ("an end beyond numbers", "exp", json!(1e300), Reason::Claims),
        ("not yet", "nbf", json!(NOW + 61), Reason::NotYet),
        (
            "a text for the beginning",
            "nbf",
            json!("0"),
            Reason::Claims,
        ),
        (
            "issued in the future",
            "iat",
            json!(NOW + 61),
            Reason::NotYet,
        ),
        (
            "a list for the issuing",
            "iat",
            json!([NOW]),
            Reason::Claims,
        ),
    ];
    for (what, name, value, reason) in cases {
        let forged = issuer.token(ES256, &header(ES256), &with(name, value));
        assert_eq!(check(&forged, &pin(), &keys), Err(reason), "{what}");
    }
    for (what, name, value) in [
        ("unchanged", "org_id", json!("org_a")),
        ("the one audience in a list", "aud", json!(["cofferdam"])),
        ("clocks a little apart", "nbf", json!(NOW + 60)),
        ("clocks a little apart", "iat", json!(NOW + 60)),
        ("no beginning", "nbf", json!(null)),
        ("a fraction of a second", "exp", json!(NOW as f64 + 1.5)),
        ("the longest subject", "sub", json!("x".repeat(256))),
    ] {
        let good = issuer.token(ES256, &header(ES256), &with(name, value));
        assert!(
            check(&good, &pin(), &keys).is_ok(),
            "the positive control: {what}"
        );
    }
}

#[test]
fn forged_headers_are_refused() {
    let issuer = TestIssuer::a();
    let other = TestIssuer::b();
    let keys = keys_of(&issuer);
    let jwk = other.jwk(ES256);
    for (what, name, value, reason) in [
        ("none", "alg", json!("none"), Reason::Algorithm),
        ("None", "alg", json!("None"), Reason::Algorithm),
        ("no algorithm", "alg", json!(null), Reason::Algorithm),
        ("an HMAC", "alg", json!("HS256"), Reason::Algorithm),
        ("another case", "alg", json!("es256"), Reason::Algorithm),
        (
            "a list of algorithms",
            "alg",
            json!(["ES256"]),
            Reason::Algorithm,
        ),
        (
            "a curve that is not taken",
            "alg",
            json!("ES256K"),
            Reason::Algorithm,
        ),
        (
            "an algorithm of another key type",
            "alg",
            json!("RS256"),
            Reason::NotProven,
        ),
        (
            "an algorithm of another curve",
            "alg",
            json!("ES384"),
            Reason::NotProven,
        ),
        ("no key id", "kid", json!(null), Reason::UnknownKey),
        (
            "a number for the key id",
            "kid",
            json!(0),
            Reason::UnknownKey,
        ),
        (
            "an unknown key id",
            "kid",
            json!("p257"),
            Reason::UnknownKey,
        ),
        ("an empty key id", "kid", json!(""), Reason::UnknownKey),
        (
            "a path for the key id",
            "kid",
            json!("../../dev/null"),
            Reason::UnknownKey,
        ),
        (
            "SQL for the key id",
            "kid",
            json!("p256' OR '1'='1"),
            Reason::UnknownKey,
        ),
        (
            "the id of another key",
            "kid",
            json!("ed25519"),
            Reason::NotProven,
        ),
        ("a key of its own", "jwk", jwk.clone(), Reason::Algorithm),
        (
            "an address of keys",
            "jku",
            json!("https://evil.example.com/keys"),
            Reason::Algorithm,
        ),
        ("a certificate", "x5c", json!(["MIIB"]), Reason::Algorithm),
        (
            "an address of certificates",
            "x5u",
            json!("https://evil.example.com/c"),
            Reason::Algorithm,
        ),
        (
            "a critical extension",
            "crit",
            json!(["exp"]),
            Reason::Algorithm,
        ),
        (
            "an unencoded payload",
            "b64",
            json!(false),
            Reason::Algorithm,
        ),
        ("compression", "zip", json!("DEF"), Reason::Algorithm),
        ("encryption", "enc", json!("A256GCM"), Reason::Algorithm),
        (
            "a token for something else",
            "typ",
            json!("logout+jwt"),
            Reason::Algorithm,
        ),
    ] {
        let forged = issuer.token(ES256, &changed(header(ES256), name, value), &claims());
        assert_eq!(check(&forged, &pin(), &keys), Err(reason), "{what}");
        assert!(
            check(&issuer.good(ES256), &pin(), &keys).is_ok(),
            "the positive control"
        );
    }
    // Signed with the key that the header brings along, which is how that attack goes.
    let forged = other.token(ES256, &changed(header(ES256), "jwk", jwk), &claims());
    assert!(check(&forged, &pin(), &keys).is_err());
    for typ in [
        json!(null),
        json!("at+JWT"),
        json!("jwt"),
        json!("application/at+jwt"),
    ] {
        let good = issuer.token(ES256, &changed(header(ES256), "typ", typ), &claims());
        assert!(check(&good, &pin(), &keys).is_ok());
    }
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let issuer = TestIssuer::a();
    let keys = keys_of(&issuer);
    let (header, claims) = (header(ES256).to_string(), claims().to_string());
    let doubled = |object: &str, member: &str| object.replacen('{', &format!("{{{member},"), 1);
    for (header, claims) in [
        (header.clone(), doubled(&claims, r#""org_id":"org_b""#)),
        (header.clone(), doubled(&claims, r#""org_id":"org_a""#)),
        (header.clone(), doubled(&claims, r#""aud":"other""#)),
        (doubled(&header, r#""alg":"none""#), claims.clone()),
        (header.clone(), format!("[{claims}]")),
        (header.clone(), "null".to_owned()),
        (header.clone(), format!("{claims}{claims}")),
        (header.clone(), "{".repeat(4000)),
        (header.clone(), format!(r#"{{"a":{}"#, "[".repeat(4000))),
        (format!("\u{feff}{header}"), claims.clone()),
    ] {
        let forged = issuer.token_of(ES256, &header, &claims);
        assert_eq!(
            check(&forged, &pin(), &keys),
            Err(Reason::Malformed),
            "{header} {claims}"
        );
    }
    assert!(
        check(&issuer.token_of(ES256, &header, &claims), &pin(), &keys).is_ok(),
        "the positive control"
    );
}

#[test]
fn only_claims_that_are_texts_can_lead_to_a_pin() {
    let token = unsigned(
        r#"{"alg":"ES256","kid":"k"}"#,
        r#"{"b":"2","a":"1","n":1,"l":["1"],"o":{"a":"1"}}"#,
    );
    let token = format!("{token}.AA");
    let token = parsed(&token).unwrap();
    assert_eq!(
        token.unproven().texts().collect::<Vec<_>>(),
        [("a", "1"), ("b", "2")]
    );
    assert_eq!(
        (token.unproven().text("n"), token.unproven().issuer()),
        (None, None)
    );
}

#[test]
fn every_refusal_reads_the_same_to_the_caller() {
    let issuer = TestIssuer::a();
    let keys = keys_of(&issuer);
    let shown = |token: &str| {
        parsed(token)
            .and_then(|token| verify(&token, &pin(), &keys, now()))
            .unwrap_err()
            .to_string()
    };
    let expired = shown(&issuer.token(ES256, &header(ES256), &with("exp", json!(1))));
    for token in [
        issuer.token(ES256, &header(ES256), &with("org_id", json!("org_b"))),
        issuer.token(ES256, &changed(header(ES256), "kid", json!("x")), &claims()),
        TestIssuer::b().good(ES256),
        "a.b.c".to_owned(),
    ] {
        assert_eq!(shown(&token), expired);
    }
}
