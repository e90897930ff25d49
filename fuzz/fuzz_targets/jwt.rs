//! Tokens and key sets of an issuer. Nothing that a fuzzer writes is signed by the pinned key, so nothing is ever proven.
//!
//! The input is header, claims and signature with a zero byte between them, or a key set.

#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use compartment::credential::{Algorithm, IssuerPin, KeySet, Presented, TenantClaim, verify};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The public keys of RFC 8037 appendix A.2 and RFC 7515 appendix A.3.
const KEYS: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","kid":"b","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

static FIXED: LazyLock<(KeySet, IssuerPin)> = LazyLock::new(|| {
    let pin = IssuerPin {
        issuer: "https://i.example.com/".to_owned(),
        audience: "a".to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        tenant_claim: TenantClaim {
            name: "t".to_owned(),
            value: "1".to_owned(),
        },
        subject_claim: "sub".to_owned(),
        session_claim: None,
        jwks_uri: "https://i.example.com/keys".parse().expect("an address"),
    };
    (KeySet::parse(KEYS.as_bytes()).expect("a key set"), pin)
});

fuzz_target!(|data: &[u8]| {
    let _ = KeySet::parse(data).map(|keys| keys.len());
    let mut parts = data
        .splitn(3, |byte| *byte == 0)
        .map(|part| URL_SAFE_NO_PAD.encode(part));
    let (Some(header), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (keys, pin) = &*FIXED;
    if let Ok(Presented::Jwt(token)) = Presented::parse(&format!("{header}.{claims}.{signature}")) {
        assert!(verify(&token, pin, keys, Timestamp::UNIX_EPOCH).is_err());
    }
});
