//! Tokens whose signature is not what it seems, each beside one that is good.

use super::{test_issuer::*, *};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};

use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};

fn hs256(secret: &[u8], header: &Value) -> String {
    let signed = unsigned(&header.to_string(), &claims().to_string());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(signed.as_bytes());
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let issuer = TestIssuer::a();
    let keys = keys_of(&issuer);
    let (der, modulus) = issuer.rsa_public();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        URL_SAFE_NO_PAD.encode(&der)
    );
    for secret in [der.as_slice(), modulus.as_bytes(), pem.as_bytes(), b""] {
        for alg in ["HS256", "RS256", "none"] {
            let forged = hs256(secret, &changed(header(RS256), "alg", json!(alg)));
            assert!(check(&forged, &pin(), &keys).is_err(), "{alg}");
        }
    }
    assert!(
        check(&issuer.good(RS256), &pin(), &keys).is_ok(),
        "the positive control"
    );
    let hmac_key =
        json!({ "keys": [{ "kty": "oct", "kid": "rsa", "k": "c2VjcmV0", "alg": "HS256" }] });
    assert!(
        KeySet::parse(hmac_key.to_string().as_bytes())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn only_pinned_algorithms_are_taken_even_when_the_key_could_do_more() {
    let issuer = TestIssuer::a();
    let keys = keys_of(&issuer);
    for pinned in [RS256, ES256, EdDSA] {
        let pin = IssuerPin {
            algorithms: vec![pinned],
            ..pin()
        };
        for algorithm in Algorithm::ALL {
            let expected = if algorithm == pinned {
                None
            } else {
                Some(Reason::Algorithm)
            };
            assert_eq!(
                check(&issuer.good(algorithm), &pin, &keys).err(),
                expected,
                "{algorithm:?}"
            );
        }
    }
    // The key set itself says RS256 only.
    let only = json!({ "keys": [changed(issuer.jwk(RS256), "alg", json!("RS256"))] });
    let keys = KeySet::parse(only.to_string().as_bytes()).unwrap();
    assert!(check(&issuer.good(RS256), &pin(), &keys).is_ok());
    assert_eq!(
        check(&issuer.good(PS256), &pin(), &keys),
        Err(Reason::NotProven)
    );
}

#[test]
fn another_issuers_signature_proves_nothing() {
    let (issuer, other) = (TestIssuer::a(), TestIssuer::b());
    let keys = keys_of(&issuer);
    for algorithm in Algorithm::ALL {
        assert_eq!(
            check(&other.good(algorithm), &pin(), &keys),
            Err(Reason::NotProven),
            "{algorithm:?}"
        );
        let foreign = check(&other.good(algorithm), &pin(), &keys_of(&other));
        assert!(
            foreign.is_ok(),
            "the positive control: it is good where it belongs"
        );
        // The signature of a good token under the claims of another.
        let good = issuer.good(algorithm);
        let signature = good.rsplit_once('.').unwrap().1;
        let claims = with("sub", json!("somebody else")).to_string();
        let forged = format!(
            "{}.{signature}",
            unsigned(&header(algorithm).to_string(), &claims)
        );
        assert_eq!(
            check(&forged, &pin(), &keys),
            Err(Reason::NotProven),
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_cut_or_changed_token_is_refused() {
    let (issuer, other) = (TestIssuer::a(), TestIssuer::b());
    let keys = keys_of(&issuer);
    for algorithm in [ES256, EdDSA, RS256, ES384] {
        let good = issuer.good(algorithm);
        let foreign = other.good(algorithm);
        assert!(check(&good, &pin(), &keys).is_ok(), "the positive control");
        let body = good.rfind('.').unwrap() + 1;
        for at in 0..good.len() {
            // RSA's signatures are long and slow to check; every seventh place will do.
            if algorithm == RS256 && at % 7 != 0 {
                continue;
            }
            assert!(
                check(&good[..at], &pin(), &keys).is_err(),
                "cut off after {at}"
            );
            let mut changed = good.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&changed, &pin(), &keys).is_err(), "changed at {at}");
            // The attack on caches keyed by the first characters: they are alike, the rest is another's.
            if at >= body && good[at..] != foreign[at.min(foreign.len())..] {
                let alike = format!("{}{}", &good[..at], &foreign[at.min(foreign.len())..]);
                assert!(check(&alike, &pin(), &keys).is_err(), "alike for {at}");
            }
        }
        for forged in [
            format!("{good}."),
            format!(".{good}"),
            format!("{good}A"),
            format!("{good}="),
            format!("{good} "),
            format!("{good}\n"),
            good.replacen('.', "..", 1),
            format!("{}.", good.rsplit_once('.').unwrap().0),
            good.rsplit_once('.').unwrap().0.to_owned(),
        ] {
            assert!(check(&forged, &pin(), &keys).is_err(), "{forged}");
        }
    }
}
