//! What callers show at the door: API keys, session tokens and tokens of a tenant's own issuers.
//!
//! | looks like | is | proven by |
//! |---|---|---|
//! | `cfdk_…`, `cfdo_…` | an API key of a tenant, of the operator | a keyed hash of the whole token ([`PresentedKey`]) |
//! | `cfds_…` | a session token of an end user | AEAD under the tenant's own key ([`PresentedSession`]) |
//! | `….….…` | a JWT of a pinned issuer | its signature and every pinned claim ([`PresentedJwt`]) |
//!
//! Nothing read from a credential is believed before the whole of it is proven. What comes earlier (a key id, an
//! issuer's name) only says where to look for the key that proves it. A credential is never cached or compared by a part.

mod api_key;
mod error;
mod jwks;
mod jwks_cache;
mod jwt;
mod oidc;
mod presented;
mod session_token;
mod token;

#[cfg(test)]
mod forged_signatures;
#[cfg(test)]
mod forged_tokens;
#[cfg(test)]
mod jwks_cache_tests;
#[cfg(test)]
mod jwks_tests;
#[cfg(test)]
mod test_issuer;

pub use api_key::{ApiKeyKind, MAX_API_KEY_BYTES, PresentedKey, keyed_hash, mint};
pub use error::{CredentialError, MintError, Reason};
pub use jwks::{Algorithm, KeySet, MAX_JWKS_BYTES, MAX_KEYS, NotAKeySet};
pub use jwks_cache::{FetchError, FetchJwks, JwksCache};
pub use jwt::{Claims, PresentedJwt};
pub use oidc::{IssuerPin, JwtIdentity, PinError, TenantClaim, verify};
pub use presented::{MAX_CREDENTIAL_BYTES, Presented};
pub use session_token::{
    DEFAULT_SESSION_SECONDS, MAX_SESSION_SECONDS, PresentedSession, SessionClaims, mint_session,
};
pub use token::SecretToken;
