//! How a provider that holds one key itself, rather than asking a service, wraps root keys.

use super::{KeyError, Secret32, Wrapped};
use crate::seal;

const DOMAIN: &[u8] = b"cofferdam/local-wrap/1";

/// Wraps `key` under `kek`. The name is part of the associated data, so that each name is a key of its own in effect.
pub(super) fn wrap(
    kek: &Secret32,
    name: &str,
    aad: &[u8],
    key: &Secret32,
) -> Result<Wrapped, KeyError> {
    Wrapped::new(seal::encrypt(
        kek,
        &seal::fields(&[DOMAIN, name.as_bytes(), aad]),
        key.expose(),
    )?)
}

pub(super) fn unwrap(
    kek: &Secret32,
    name: &str,
    aad: &[u8],
    wrapped: &Wrapped,
) -> Result<Secret32, KeyError> {
    let key = seal::decrypt(
        kek,
        &seal::fields(&[DOMAIN, name.as_bytes(), aad]),
        wrapped.as_bytes(),
    )?;
    Secret32::from_slice(&key).ok_or(KeyError::DoesNotOpen)
}
