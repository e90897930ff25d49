//! An issuer's public keys: a JWK set (RFC 7517), read strictly enough to be believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The longest key set that is read, in bytes.
pub const MAX_JWKS_BYTES: usize = 256 << 10;
/// The most keys in a set.
pub const MAX_KEYS: usize = 64;

const MAX_KID_BYTES: usize = 256;
/// RSA moduli, in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). There is no `none` and no HMAC: they cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name in a token's header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that very name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// The key set is too long, has too many keys or is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the answer is not a JWK set of at most 256 KiB and 64 keys; the keys known before stay; ask the issuer"
)]
pub struct NotAKeySet;

/// Public keys by their id. Keys that cannot verify what we take (other uses, other types, too weak, without an id) are
/// left out when it is read, and so is an id that two keys share.
#[derive(Default)]
pub struct KeySet(HashMap<String, PublicKey>);

impl KeySet {
    /// Reads a JWK set.
    ///
    /// # Errors
    ///
    /// [`NotAKeySet`].
    pub fn parse(body: &[u8]) -> Result<Self, NotAKeySet> {
        if body.len() > MAX_JWKS_BYTES {
            return Err(NotAKeySet);
        }
        let set: Set = serde_json::from_slice(body).map_err(|_| NotAKeySet)?;
        if set.keys.len() > MAX_KEYS {
            return Err(NotAKeySet);
        }
        let mut keys = HashMap::new();
        let mut shared = Vec::new();
        for (kid, key) in set.keys.into_iter().filter_map(|jwk| jwk.usable()) {
            if keys.insert(kid.clone(), key).is_some() {
                shared.push(kid);
            }
        }
        shared.iter().for_each(|kid| drop(keys.remove(kid)));
        Ok(Self(keys))
    }

    /// How many usable keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

/// Members we do not use are ignored (RFC 7517 §4). A member of the wrong type makes the key unusable, not the set.
#[derive(Deserialize)]
#[serde(untagged)]
enum Jwk {
    Read(Box<Members>),
    Unreadable(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: String,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn usable(self) -> Option<(String, PublicKey)> {
        let Self::Read(jwk) = self else { return None };
        let for_signatures = jwk.r#use.as_deref().is_none_or(|usage| usage == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures || !(1..=MAX_KID_BYTES).contains(&jwk.kid.len()) {
            return None;
        }
        let material = jwk.material()?;
        let only = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::named(name).filter(|&alg| material.fits(alg))?),
        };
        Some((jwk.kid, PublicKey { only, material }))
    }
}

impl Members {
    fn material(&self) -> Option<Material> {
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                // A leading zero would make a short modulus look long; ring refuses one as well.
                let strong =
                    n.first().is_some_and(|&high| high & 0x80 != 0) && RSA_BYTES.contains(&n.len());
                strong.then_some(Material::Rsa(RsaPublicKeyComponents { n, e }))
            }
            ("EC", Some("P-256")) => {
                point(bytes(&self.x)?, bytes(&self.y)?, 32).map(Material::P256)
            }
            ("EC", Some("P-384")) => {
                point(bytes(&self.x)?, bytes(&self.y)?, 48).map(Material::P384)
            }
            ("OKP", Some("Ed25519")) => bytes(&self.x)
                .filter(|x| x.len() == 32)
                .map(Material::Ed25519),
            _ => None,
        }
    }
}

/// An uncompressed point (SEC 1 §2.3.3). That it lies on the curve is checked with each verification.
fn point(x: Vec<u8>, y: Vec<u8>, bytes: usize) -> Option<Vec<u8>> {
    (x.len() == bytes && y.len() == bytes).then(|| [&[4], x.as_slice(), &y].concat())
}

/// One public key and what it may verify.
pub(super) struct PublicKey {
    only: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Material {
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        match self {
            Self::Rsa(_) => {
                matches!(
                    algorithm,
                    A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512
                )
            }
            Self::P256(_) => algorithm == A::ES256,
            Self::P384(_) => algorithm == A::ES384,
            Self::Ed25519(_) => algorithm == A::EdDSA,
        }
    }
}

impl PublicKey {
    /// Whether `signature` is this key's over `message` by `algorithm`. The key's type decides which algorithms there
    /// are; the token's header can only name one of those.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        use Algorithm as A;
        if self.only.is_some_and(|only| only != algorithm) {
            return false;
        }
        let verified = match (&self.material, algorithm) {
            (Material::Rsa(key), A::RS256) => {
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Material::Rsa(key), A::RS384) => {
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA384, message, signature)
            }
            (Material::Rsa(key), A::RS512) => {
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA512, message, signature)
            }
            (Material::Rsa(key), A::PS256) => {
                key.verify(&signature::RSA_PSS_2048_8192_SHA256, message, signature)
            }
            (Material::Rsa(key), A::PS384) => {
                key.verify(&signature::RSA_PSS_2048_8192_SHA384, message, signature)
            }
            (Material::Rsa(key), A::PS512) => {
                key.verify(&signature::RSA_PSS_2048_8192_SHA512, message, signature)
            }
            (Material::P256(key), A::ES256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key)
                    .verify(message, signature)
            }
            (Material::P384(key), A::ES384) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, key)
                    .verify(message, signature)
            }
            (Material::Ed25519(key), A::EdDSA) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }
}
