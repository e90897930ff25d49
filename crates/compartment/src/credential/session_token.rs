//! Session tokens: `cfds_<base64url(id of the minting key, 16 bytes ‖ sealed claims)>`.
//!
//! A session token is for one end user of one tenant and lives for minutes. Its claims are sealed under a key of the
//! tenant's own, with the minting key's id as their name: a token that was changed, or comes from another tenant, or says
//! another key minted it, does not open. What is inside (who the end user is) cannot be read by whoever carries it.

use super::{CredentialError, MintError, Reason, SecretToken, presented::MAX_CREDENTIAL_BYTES};
use crate::{
    id::{ApiKeyId, random},
    seal::{Kind, SealError, Sealer},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// The lifetime of a session token where none is asked for, in seconds: 15 minutes.
pub const DEFAULT_SESSION_SECONDS: u32 = 15 * 60;
/// The longest lifetime of a session token, in seconds: a day.
pub const MAX_SESSION_SECONDS: u32 = 24 * 60 * 60;

const PREFIX: &str = "cfds_";
const VERSION: u64 = 1;
const MAX_NAME_BYTES: usize = 256;
/// How far another replica's clock may be ahead of ours.
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What a session token says. Only its tenant's key reads it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionClaims {
    /// The end user, in the tenant's own words: 1 to 256 bytes.
    pub subject: String,
    /// One sitting of that end user, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it was minted.
    pub issued: Timestamp,
    /// When it ends; at most [`MAX_SESSION_SECONDS`] later.
    pub expires: Timestamp,
    /// What it may do, in the words of the key that minted it and no more than that key may.
    pub scopes: Vec<String>,
    /// The models it may name; `None` for all that the minting key may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// A random number that tells this token from others with the same claims.
    #[serde(with = "hex::serde")]
    pub jti: [u8; 16],
}

impl SessionClaims {
    /// Claims for an end user, from `now` on for `seconds`.
    ///
    /// # Errors
    ///
    /// [`MintError::Lifetime`] unless `seconds` is 1 to [`MAX_SESSION_SECONDS`]; [`MintError::Name`];
    /// [`MintError::NoRandomness`].
    pub fn new(
        subject: String,
        session: Option<String>,
        scopes: Vec<String>,
        models: Option<Vec<String>>,
        now: Timestamp,
        seconds: u32,
    ) -> Result<Self, MintError> {
        if !(1..=MAX_SESSION_SECONDS).contains(&seconds) {
            return Err(MintError::Lifetime);
        }
        let expires = now
            .checked_add(SignedDuration::from_secs(i64::from(seconds)))
            .map_err(|_| MintError::Lifetime)?;
        if !is_name(&subject) || session.as_deref().is_some_and(|session| !is_name(session)) {
            return Err(MintError::Name);
        }
        Ok(Self {
            subject,
            session,
            issued: now,
            expires,
            scopes,
            models,
            jti: random()?,
        })
    }
}

impl fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Whether `text` may name a subject or a session: 1 to 256 bytes without control characters.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Makes the token for `claims`, minted by the key `by`. `sealer` is the tenant's, under
/// [`Purpose::SessionToken`](crate::keys::Purpose::SessionToken).
///
/// # Errors
///
/// [`MintError::TooLong`] where the token would be longer than any credential may be; [`MintError::NoRandomness`].
pub fn mint_session(
    sealer: &Sealer,
    by: &ApiKeyId,
    claims: &SessionClaims,
) -> Result<SecretToken, MintError> {
    let plain = Zeroizing::new(serde_json::to_vec(claims).map_err(|_| MintError::TooLong)?);
    let sealed = sealer
        .seal(Kind::SessionToken, by.as_bytes(), VERSION, &plain)
        .map_err(|error| match error {
            SealError::NoRandomness(error) => MintError::NoRandomness(error),
            SealError::TooLong | SealError::DoesNotOpen => MintError::TooLong,
        })?;
    let body = [by.as_bytes().as_slice(), &sealed].concat();
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(body));
    if token.len() > MAX_CREDENTIAL_BYTES {
        Err(MintError::TooLong)
    } else {
        Ok(SecretToken::new(token))
    }
}

/// A session token that somebody shows: well-formed, not proven.
pub struct PresentedSession {
    minted_by: ApiKeyId,
    sealed: Vec<u8>,
}

impl PresentedSession {
    /// Checks the shape; `None` where the prefix is not a session token's. base64url is taken in its one canonical
    /// spelling only.
    pub(super) fn parse(token: &str) -> Option<Result<Self, CredentialError>> {
        let encoded = token.strip_prefix(PREFIX)?;
        let read = || {
            let body = URL_SAFE_NO_PAD.decode(encoded).ok()?;
            let (id, sealed) = body.split_first_chunk()?;
            Some(Self {
                minted_by: ApiKeyId::from_bytes(*id),
                sealed: sealed.to_vec(),
            })
        };
        Some(read().ok_or(Reason::Malformed.into()))
    }

    /// The key that it says minted it, to find the tenant by. Not proven until it opens. Whoever opens it still checks
    /// that this key is neither revoked nor expired.
    #[must_use]
    pub fn minted_by(&self) -> ApiKeyId {
        self.minted_by
    }

    /// Proves and reads the token.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] where it was not minted under `sealer`, was changed, or is not valid at `now`.
    pub fn open(&self, sealer: &Sealer, now: Timestamp) -> Result<SessionClaims, CredentialError> {
        let plain = sealer
            .open(
                Kind::SessionToken,
                self.minted_by.as_bytes(),
                VERSION,
                &self.sealed,
            )
            .map_err(|_| Reason::NotProven)?;
        let claims: SessionClaims =
            serde_json::from_slice(&plain).map_err(|_| Reason::Malformed)?;
        if claims.issued.duration_since(now) > MAX_SKEW {
            return Err(Reason::NotYet.into());
        }
        if claims.expires <= now {
            return Err(Reason::Expired.into());
        }
        Ok(claims)
    }
}

impl fmt::Debug for PresentedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedSession")
            .field("minted_by", &self.minted_by)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        credential::{ApiKeyKind, Presented, mint},
        id::TenantId,
        keys::Secret32,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn sealer(key: u8, tenant: u8) -> Sealer {
        Sealer::new(
            Secret32::from_bytes([key; 32]),
            &TenantId::from_bytes([tenant; 16]),
        )
    }

    fn claims(seconds: u32) -> Result<SessionClaims, MintError> {
        let models = Some(vec!["small".to_owned()]);
        SessionClaims::new(
            "anna@example.com".into(),
            Some("s1".into()),
            vec!["infer".into()],
            models,
            at(0),
            seconds,
        )
    }

    fn open(token: &str, sealer: &Sealer, now: Timestamp) -> Result<SessionClaims, Reason> {
        match Presented::parse(token) {
            Ok(Presented::Session(session)) => {
                session.open(sealer, now).map_err(|error| error.reason())
            }
            Ok(_) => panic!("taken for something else"),
            Err(error) => Err(error.reason()),
        }
    }

    const BY: ApiKeyId = ApiKeyId::from_bytes([5; 16]);

    #[test]
    fn a_session_token_says_what_was_sealed_into_it_and_hides_it_from_its_bearer() {
        let claims = claims(60).unwrap();
        let token = mint_session(&sealer(1, 1), &BY, &claims).unwrap();
        assert_eq!(
            open(token.expose(), &sealer(1, 1), at(0)),
            Ok(claims.clone())
        );
        let Ok(Presented::Session(shown)) = Presented::parse(token.expose()) else {
            panic!("a session token")
        };
        assert_eq!(shown.minted_by(), BY);
        let body = URL_SAFE_NO_PAD.decode(&token.expose()[5..]).unwrap();
        for secret in ["anna", "infer", "small"] {
            assert!(
                !body
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes())
            );
            assert!(!format!("{claims:?} {shown:?} {token:?}").contains(secret));
        }
        let again = mint_session(&sealer(1, 1), &BY, &claims).unwrap();
        assert_ne!(token.expose(), again.expose());
    }

    #[test]
    fn a_session_token_opens_for_its_own_tenant_only() {
        let token = mint_session(&sealer(1, 1), &BY, &claims(60).unwrap()).unwrap();
        for (key, tenant) in [(1, 2), (2, 1), (2, 2)] {
            assert_eq!(
                open(token.expose(), &sealer(key, tenant), at(0)),
                Err(Reason::NotProven)
            );
        }
        assert!(
            open(token.expose(), &sealer(1, 1), at(0)).is_ok(),
            "the positive control"
        );
    }

    #[test]
    fn a_changed_or_cut_session_token_never_opens() {
        let sealer = sealer(1, 1);
        let token = mint_session(&sealer, &BY, &claims(60).unwrap()).unwrap();
        let token = token.expose();
        let body = URL_SAFE_NO_PAD.decode(&token[5..]).unwrap();
        for at_byte in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.clone();
                changed[at_byte] ^= 1 << bit;
                let changed = format!("cfds_{}", URL_SAFE_NO_PAD.encode(changed));
                assert_eq!(
                    open(&changed, &sealer, at(0)),
                    Err(Reason::NotProven),
                    "byte {at_byte}, bit {bit}"
                );
            }
        }
        for at_char in 0..token.len() {
            assert!(
                open(&token[..at_char], &sealer, at(0)).is_err(),
                "cut off after {at_char}"
            );
            let mut changed = token.to_owned().into_bytes();
            changed[at_char] ^= 1;
            assert!(
                open(&String::from_utf8(changed).unwrap(), &sealer, at(0)).is_err(),
                "character {at_char}"
            );
        }
        for end in ["A", "=", "==", ".", " ", "\n", "\0"] {
            assert!(
                open(&format!("{token}{end}"), &sealer, at(0)).is_err(),
                "{end:?}"
            );
        }
        assert!(open(token, &sealer, at(0)).is_ok(), "the positive control");
    }

    #[test]
    fn what_is_sealed_for_another_place_is_no_session_token() {
        let sealer = sealer(1, 1);
        let plain = serde_json::to_vec(&claims(60).unwrap()).unwrap();
        let token = |kind, name: &[u8], version| {
            let sealed = sealer.seal(kind, name, version, &plain).unwrap();
            format!(
                "cfds_{}",
                URL_SAFE_NO_PAD.encode([BY.as_bytes().as_slice(), &sealed].concat())
            )
        };
        assert!(
            open(&token(Kind::SessionToken, BY.as_bytes(), 1), &sealer, at(0)).is_ok(),
            "the positive control"
        );
        for forged in [
            token(Kind::UpstreamCredential, BY.as_bytes(), 1),
            token(Kind::SessionToken, &[6; 16], 1),
            token(Kind::SessionToken, b"", 1),
            token(Kind::SessionToken, BY.as_bytes(), 2),
        ] {
            assert_eq!(open(&forged, &sealer, at(0)), Err(Reason::NotProven));
        }
        let (_, key) = mint(ApiKeyKind::Tenant).unwrap();
        assert!(open(&key.expose().replace("cfdk_", "cfds_"), &sealer, at(0)).is_err());
    }

    #[test]
    fn a_session_token_lives_as_long_as_it_says_and_no_longer() {
        let sealer = sealer(1, 1);
        let token = mint_session(&sealer, &BY, &claims(60).unwrap()).unwrap();
        for (second, expected) in [
            (-61, Some(Reason::NotYet)),
            (-60, None),
            (0, None),
            (59, None),
            (60, Some(Reason::Expired)),
            (100_000, Some(Reason::Expired)),
        ] {
            assert_eq!(
                open(token.expose(), &sealer, at(second)).err(),
                expected,
                "{second}"
            );
        }
        for (seconds, fits) in [
            (0, false),
            (1, true),
            (MAX_SESSION_SECONDS, true),
            (MAX_SESSION_SECONDS + 1, false),
        ] {
            assert_eq!(claims(seconds).is_ok(), fits, "{seconds}");
        }
    }

    #[test]
    fn names_and_tokens_are_bounded() {
        let new = |subject: &str, session: Option<&str>, models: usize| {
            let models = Some(vec!["m".repeat(64); models]);
            let session = session.map(str::to_owned);
            SessionClaims::new(subject.to_owned(), session, vec![], models, at(0), 60)
        };
        let long = "x".repeat(257);
        for (subject, session) in [
            ("", None),
            (long.as_str(), None),
            ("a\0", None),
            ("a", Some("")),
            ("a", Some(&long)),
        ] {
            assert_eq!(
                new(subject, session, 0),
                Err(MintError::Name),
                "{subject} {session:?}"
            );
        }
        let mint = |models| mint_session(&sealer(1, 1), &BY, &new("a", None, models).unwrap());
        assert!(mint(64).is_ok());
        assert_eq!(mint(200).map(drop), Err(MintError::TooLong));
    }
}
