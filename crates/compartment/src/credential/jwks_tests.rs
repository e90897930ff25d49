//! Which of an issuer's keys are taken, and which pins.

use super::{test_issuer::*, *};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use Algorithm::{ES256, ES384, EdDSA, RS256};

#[test]
fn keys_that_cannot_be_trusted_are_left_out() {
    let issuer = TestIssuer::a();
    // As long as a modulus of 1024 bits; whether it is one does not matter.
    let weak = URL_SAFE_NO_PAD.encode([&[0xc1], [0x5b; 127].as_slice()].concat());
    let padded = URL_SAFE_NO_PAD.encode([[0; 128].as_slice(), &[0xc1], &[0x5b; 127]].concat());
    let rsa = issuer.jwk(RS256);
    for (what, key, usable) in [
        ("unchanged", rsa.clone(), 1),
        ("no use", changed(rsa.clone(), "use", json!(null)), 1),
        (
            "for encryption",
            changed(rsa.clone(), "use", json!("enc")),
            0,
        ),
        (
            "operations with verify",
            changed(rsa.clone(), "key_ops", json!(["verify"])),
            1,
        ),
        (
            "operations without",
            changed(rsa.clone(), "key_ops", json!(["encrypt"])),
            0,
        ),
        ("no id", changed(rsa.clone(), "kid", json!(null)), 0),
        ("an empty id", changed(rsa.clone(), "kid", json!("")), 0),
        (
            "an endless id",
            changed(rsa.clone(), "kid", json!("k".repeat(257))),
            0,
        ),
        ("1024 bits", changed(rsa.clone(), "n", json!(weak)), 0),
        (
            "1024 bits behind zeros",
            changed(rsa.clone(), "n", json!(padded)),
            0,
        ),
        ("no modulus", changed(rsa.clone(), "n", json!(null)), 0),
        (
            "standard base64",
            changed(rsa.clone(), "n", json!("+/==")),
            0,
        ),
        (
            "an algorithm of another type",
            changed(rsa.clone(), "alg", json!("ES256")),
            0,
        ),
        (
            "an unknown algorithm",
            changed(rsa.clone(), "alg", json!("RSA1_5")),
            0,
        ),
        (
            "an unknown type",
            changed(rsa.clone(), "kty", json!("XYZ")),
            0,
        ),
        (
            "a member of the wrong type",
            changed(rsa.clone(), "kty", json!(7)),
            0,
        ),
        (
            "a curve that does not fit",
            changed(issuer.jwk(ES256), "crv", json!("P-384")),
            0,
        ),
        (
            "a curve that is not taken",
            changed(issuer.jwk(ES256), "crv", json!("secp256k1")),
            0,
        ),
        (
            "half a point",
            changed(issuer.jwk(ES256), "y", json!(null)),
            0,
        ),
        (
            "a short point",
            changed(issuer.jwk(EdDSA), "x", json!("AAAA")),
            0,
        ),
        ("no object", json!("key"), 0),
    ] {
        let set = json!({ "keys": [key, issuer.jwk(ES384)] });
        let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
        assert_eq!(set.len(), usable + 1, "{what}: and its neighbour stays");
    }
    let twice =
        json!({ "keys": [issuer.jwk(RS256), TestIssuer::b().jwk(RS256), issuer.jwk(ES256)] });
    let keys = KeySet::parse(twice.to_string().as_bytes()).unwrap();
    assert_eq!(
        check(&issuer.good(RS256), &pin(), &keys),
        Err(Reason::UnknownKey),
        "an id that names two keys"
    );
    assert!(check(&issuer.good(ES256), &pin(), &keys).is_ok());
}

#[test]
fn a_key_set_is_bounded() {
    let issuer = TestIssuer::a();
    let set = |keys: usize| json!({ "keys": vec![issuer.jwk(ES256); keys] }).to_string();
    assert!(KeySet::parse(set(MAX_KEYS).as_bytes()).is_ok());
    assert!(KeySet::parse(set(MAX_KEYS + 1).as_bytes()).is_err());
    let padded = format!("{}{}", issuer.jwks(), " ".repeat(MAX_JWKS_BYTES));
    assert!(
        KeySet::parse(padded.as_bytes()).is_err()
            && KeySet::parse(padded.trim_end().as_bytes()).is_ok()
    );
    for bad in [
        "",
        "[]",
        "{}",
        "null",
        "{\"keys\":{}}",
        "<html>",
        "{\"keys\":[",
        "\u{0}",
    ] {
        assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_pin_that_could_not_hold_is_refused() {
    assert_eq!(pin().check(), Ok(()));
    let refused = |field: &str, change: &dyn Fn(&mut IssuerPin)| {
        let mut pin = pin();
        change(&mut pin);
        assert_eq!(pin.check().map_err(|error| error.field), Err(field));
    };
    for issuer in [
        "",
        "login.example.com",
        "http://login.example.com/",
        "https://user@login.example.com/",
        "https://login.example.com/?a",
        "https://login.example.com/#a",
        "https://127.0.0.1/",
        "https://localhost/",
    ] {
        refused("issuer", &|pin| pin.issuer = issuer.to_owned());
    }
    for uri in [
        "http://login.example.com/keys",
        "https://169.254.169.254/latest",
        "https://[::1]/keys",
        "https://2130706433/keys",
        "https://0x7f.1/keys",
        "https://localhost./keys",
        "https://a.localhost/keys",
        "https://a:b@login.example.com/keys",
        "file:///etc/passwd",
    ] {
        refused("jwks_uri", &|pin| pin.jwks_uri = uri.parse().unwrap());
    }
    refused("audience", &|pin| pin.audience.clear());
    refused("audience", &|pin| pin.audience = "a".repeat(513));
    refused("algorithms", &|pin| pin.algorithms.clear());
    refused("tenant_claim.value", &|pin| pin.tenant_claim.value.clear());
    for name in ["", "sub", "iss", "aud", "exp", "sid"] {
        refused("tenant_claim.name", &|pin| {
            pin.tenant_claim.name = name.to_owned()
        });
    }
    refused("subject_claim", &|pin| pin.subject_claim.clear());
    refused("session_claim", &|pin| {
        pin.session_claim = Some(String::new())
    });

    let json = serde_json::to_value(pin()).unwrap();
    assert_eq!(
        serde_json::from_value::<IssuerPin>(json.clone()).unwrap(),
        pin()
    );
    for algorithms in [json!(["none"]), json!(["HS256"]), json!(["rs256"])] {
        assert!(
            serde_json::from_value::<IssuerPin>(changed(json.clone(), "algorithms", algorithms))
                .is_err()
        );
    }
    assert!(
        serde_json::from_value::<IssuerPin>(changed(json, "leeway", json!(9))).is_err(),
        "an unknown field"
    );
}
