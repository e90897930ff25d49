//! Tells the kinds of credentials apart.

use super::{CredentialError, PresentedJwt, PresentedKey, PresentedSession, Reason};

/// The longest credential that is looked at, in bytes.
pub const MAX_CREDENTIAL_BYTES: usize = 8192;

/// A credential that somebody shows: well-formed, not proven.
#[derive(Debug)]
pub enum Presented<'a> {
    /// An API key.
    Key(PresentedKey<'a>),
    /// A session token.
    Session(PresentedSession),
    /// A token of some issuer.
    Jwt(Box<PresentedJwt<'a>>),
}

impl<'a> Presented<'a> {
    /// Reads a credential, or the value of an `Authorization` header with the scheme `Bearer` (RFC 6750). Work and memory
    /// are bounded by [`MAX_CREDENTIAL_BYTES`].
    ///
    /// # Errors
    ///
    /// [`CredentialError`] for whatever is not the shape of one of the kinds.
    pub fn parse(authorization: &'a str) -> Result<Self, CredentialError> {
        let token = bearer(authorization);
        if token.len() > MAX_CREDENTIAL_BYTES {
            return Err(Reason::Unrecognised.into());
        }
        if let Some(key) = PresentedKey::parse(token) {
            return key.map(Self::Key);
        }
        if let Some(session) = PresentedSession::parse(token) {
            return session.map(Self::Session);
        }
        PresentedJwt::parse(token).map(|jwt| Self::Jwt(Box::new(jwt)))
    }
}

/// Takes off the scheme, in any case, and the spaces after it.
fn bearer(authorization: &str) -> &str {
    const SCHEME: &str = "bearer ";
    match authorization.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            token.trim_start_matches(' ')
        }
        _ => authorization,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{ApiKeyKind, mint};

    #[test]
    fn the_scheme_is_optional_and_nothing_else_is_forgiven() {
        let (_, token) = mint(ApiKeyKind::Tenant).unwrap();
        let token = token.expose();
        for good in ["", "Bearer ", "bearer ", "BEARER  "] {
            assert!(
                Presented::parse(&format!("{good}{token}")).is_ok(),
                "{good:?}"
            );
        }
        for bad in [
            "Basic ",
            "Bearer",
            "Bearer\t",
            " ",
            "Bearer Bearer ",
            "Token ",
        ] {
            assert!(
                Presented::parse(&format!("{bad}{token}")).is_err(),
                "{bad:?}"
            );
        }
        for bad in [
            "",
            "Bearer ",
            "Bearer",
            "' OR 1=1 --",
            "a.b",
            "a.b.c.d",
            "...",
            "\u{0}",
            "sk-proj-1234",
            "cfds_",
        ] {
            assert!(Presented::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_huge_credential_is_turned_away_unread() {
        let reason = |length| Presented::parse(&"a".repeat(length)).unwrap_err().reason();
        assert_eq!(reason(MAX_CREDENTIAL_BYTES + 1), Reason::Unrecognised);
        let dots = ".".repeat(MAX_CREDENTIAL_BYTES);
        assert!(Presented::parse(&dots).is_err());
    }
}
