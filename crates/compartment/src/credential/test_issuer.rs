//! An issuer for tests: it signs whatever it is told to.

use super::{
    Algorithm, IssuerPin, JwtIdentity, KeySet, Presented, PresentedJwt, Reason, TenantClaim, verify,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
pub(super) const NOW: i64 = 1_767_225_600;

pub(super) fn now() -> Timestamp {
    at(0)
}

pub(super) fn at(seconds_later: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds_later).unwrap()
}

/// One key of each type.
pub(super) struct TestIssuer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    rng: SystemRandom,
}

impl TestIssuer {
    pub(super) fn a() -> Self {
        Self::new(include_str!("testdata/test_only_rsa_2048_a.pem"))
    }

    pub(super) fn b() -> Self {
        Self::new(include_str!("testdata/test_only_rsa_2048_b.pem"))
    }

    fn new(rsa_pem: &str) -> Self {
        let rng = SystemRandom::new();
        let der: String = rsa_pem
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let ec = |algorithm| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &rng).unwrap()
        };
        Self {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap(),
            p256: ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            ed25519: Ed25519KeyPair::from_pkcs8(
                Ed25519KeyPair::generate_pkcs8(&rng).unwrap().as_ref(),
            )
            .unwrap(),
            rng,
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        use Algorithm as A;
        let rsa = |padding: &'static dyn signature::RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa
                .sign(padding, &self.rng, message, &mut signature)
                .unwrap();
            signature
        };
        match algorithm {
            A::RS256 => rsa(&signature::RSA_PKCS1_SHA256),
            A::RS384 => rsa(&signature::RSA_PKCS1_SHA384),
            A::RS512 => rsa(&signature::RSA_PKCS1_SHA512),
            A::PS256 => rsa(&signature::RSA_PSS_SHA256),
            A::PS384 => rsa(&signature::RSA_PSS_SHA384),
            A::PS512 => rsa(&signature::RSA_PSS_SHA512),
            A::ES256 => self
                .p256
                .sign(&self.rng, message)
                .unwrap()
                .as_ref()
                .to_vec(),
            A::ES384 => self
                .p384
                .sign(&self.rng, message)
                .unwrap()
                .as_ref()
                .to_vec(),
            A::EdDSA => self.ed25519.sign(message).as_ref().to_vec(),
        }
    }

    /// Signs these very texts.
    pub(super) fn token_of(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let signed = unsigned(header, claims);
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(super) fn token(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        self.token_of(algorithm, &header.to_string(), &claims.to_string())
    }

    /// A token that is good in every way.
    pub(super) fn good(&self, algorithm: Algorithm) -> String {
        self.token(algorithm, &header(algorithm), &claims())
    }

    /// The public key for one algorithm, under the id that [`header`] names.
    pub(super) fn jwk(&self, algorithm: Algorithm) -> Value {
        use Algorithm as A;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match algorithm {
            A::ES256 | A::ES384 => {
                let (key, crv) = if algorithm == A::ES256 {
                    (&self.p256, "P-256")
                } else {
                    (&self.p384, "P-384")
                };
                let (x, y) =
                    key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
                json!({ "kty": "EC", "crv": crv, "x": encode(x), "y": encode(y) })
            }
            A::EdDSA => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(self.ed25519.public_key().as_ref()) })
            }
            _ => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = self.rsa.public().into();
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
        };
        jwk["kid"] = json!(kid(algorithm));
        jwk["use"] = json!("sig");
        jwk
    }

    /// A key set with one key for each type.
    pub(super) fn jwks(&self) -> Value {
        let of_each_type = [
            Algorithm::RS256,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::EdDSA,
        ];
        json!({ "keys": of_each_type.map(|algorithm| self.jwk(algorithm)) })
    }

    /// The RSA key as it is published, for those who would take it for a secret.
    pub(super) fn rsa_public(&self) -> (Vec<u8>, String) {
        (
            self.rsa.public().as_ref().to_vec(),
            self.jwk(Algorithm::RS256)["n"].as_str().unwrap().to_owned(),
        )
    }
}

pub(super) fn unsigned(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

fn kid(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "p256",
        Algorithm::ES384 => "p384",
        Algorithm::EdDSA => "ed25519",
        _ => "rsa",
    }
}

pub(super) fn header(algorithm: Algorithm) -> Value {
    json!({ "alg": algorithm.name(), "kid": kid(algorithm), "typ": "JWT" })
}

pub(super) fn claims() -> Value {
    json!({
        "iss": "https://login.example.com/",
        "aud": "cofferdam",
        "sub": "auth0|5f7c8ec7",
        "org_id": "org_a",
        "sid": "sitting-1",
        "iat": NOW - 10,
        "nbf": NOW - 10,
        "exp": NOW + 300,
    })
}

pub(super) fn pin() -> IssuerPin {
    IssuerPin {
        issuer: "https://login.example.com/".to_owned(),
        audience: "cofferdam".to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        tenant_claim: TenantClaim {
            name: "org_id".to_owned(),
            value: "org_a".to_owned(),
        },
        subject_claim: "sub".to_owned(),
        session_claim: Some("sid".to_owned()),
        jwks_uri: "https://login.example.com/keys".parse().unwrap(),
    }
}

pub(super) fn parsed(token: &str) -> Result<Box<PresentedJwt<'_>>, super::CredentialError> {
    match Presented::parse(token)? {
        Presented::Jwt(jwt) => Ok(jwt),
        other => panic!("not a JWT: {other:?}"),
    }
}

pub(super) fn check(token: &str, pin: &IssuerPin, keys: &KeySet) -> Result<JwtIdentity, Reason> {
    parsed(token)
        .and_then(|token| verify(&token, pin, keys, now()))
        .map_err(|error| error.reason())
}

pub(super) fn keys_of(issuer: &TestIssuer) -> KeySet {
    KeySet::parse(issuer.jwks().to_string().as_bytes()).unwrap()
}

/// The good claims with one change; a `null` takes the claim away.
pub(super) fn with(name: &str, value: Value) -> Value {
    changed(claims(), name, value)
}

pub(super) fn changed(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    object
}
