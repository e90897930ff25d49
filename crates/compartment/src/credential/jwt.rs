//! A JWT in compact form (RFC 7519, RFC 7515), taken apart and not yet believed.

use super::{Algorithm, CredentialError, Reason, jwks::PublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// The most members of a header or of a set of claims.
const MAX_MEMBERS: usize = 128;
/// Header members that would have us take a key from the token, skip a part of it or read it another way.
const REFUSED: [&str; 8] = ["jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"];

/// A JWT that somebody shows: well-formed, not proven.
pub struct PresentedJwt<'a> {
    algorithm: Algorithm,
    kid: String,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> PresentedJwt<'a> {
    /// Takes a token apart. What the header may say is decided here: one of our algorithms by its exact name, a key id,
    /// and nothing that names, brings or skips a key.
    ///
    /// # Errors
    ///
    /// [`CredentialError`].
    pub(super) fn parse(token: &'a str) -> Result<Self, CredentialError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::Unrecognised)?;
        let (header, claims) = signed.split_once('.').ok_or(Reason::Unrecognised)?;
        if claims.contains('.') {
            return Err(Reason::Unrecognised.into());
        }
        let header: Members = decode(header)?;
        if REFUSED.iter().any(|name| header.0.contains_key(*name)) {
            return Err(Reason::Algorithm.into());
        }
        if header
            .0
            .get("typ")
            .is_some_and(|typ| !is_access_or_identity(typ))
        {
            return Err(Reason::Algorithm.into());
        }
        let text = |name| header.0.get(name).and_then(Value::as_str);
        Ok(Self {
            algorithm: text("alg")
                .and_then(Algorithm::named)
                .ok_or(Reason::Algorithm)?,
            kid: text("kid").ok_or(Reason::UnknownKey)?.to_owned(),
            claims: decode(claims).map(Claims)?,
            signed,
            signature: URL_SAFE_NO_PAD
                .decode(signature)
                .map_err(|_| Reason::Malformed)?,
        })
    }

    /// What the token says, to find out which pin would prove it. Nothing here is believed yet.
    #[must_use]
    pub fn unproven(&self) -> &Claims {
        &self.claims
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, once `key` has signed them.
    pub(super) fn proven_by(&self, key: &PublicKey) -> Result<&Claims, CredentialError> {
        if key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature) {
            Ok(&self.claims)
        } else {
            Err(Reason::NotProven.into())
        }
    }
}

impl fmt::Debug for PresentedJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedJwt")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// RFC 8725 §3.11: a token made for something else (a logout, a security event) is none of ours.
fn is_access_or_identity(typ: &Value) -> bool {
    let kinds = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];
    typ.as_str()
        .is_some_and(|typ| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(typ)))
}

/// What a token claims.
pub struct Claims(Members);

impl Claims {
    /// The issuer, where the token names one.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// A claim that is a text. A list that holds the text, or a number that looks like it, is not that text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.0.get(name).and_then(Value::as_str)
    }

    /// Every claim that is a text, with its name, in the order of the names. At most 128.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.0.0.iter();
        members.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.0.get(name)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({} members)", self.0.0.len())
    }
}

/// A JSON object in which no name occurs twice: RFC 7519 §4 leaves open which of two would win, and two readers that
/// choose differently can be played against each other.
struct Members(BTreeMap<String, Value>);

fn decode(part: &str) -> Result<Members, CredentialError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Reason::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Reason::Malformed.into())
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {MAX_MEMBERS} members")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.len() == MAX_MEMBERS || members.insert(name, value).is_some() {
                        return Err(A::Error::custom("too many members, or one twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Once)
    }
}
