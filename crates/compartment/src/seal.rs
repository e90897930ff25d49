//! Seals values so that only their own tenant, under their own name, opens them again; and makes keyed look-up values.
//!
//! A sealed value is `version (1 byte, 0x01) ‖ nonce (24 bytes, random) ‖ ciphertext ‖ tag (16 bytes)` under
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). Where it belongs is not stored with it: tenant, kind, name and
//! version are its associated data, so a value that is moved to another place, or another tenant, does not open.
//!
//! Every composite input of a MAC or of associated data is a list of fields, each preceded by its length as eight
//! big-endian bytes and the list by a domain. That encoding is injective: ("ab", "c") and ("a", "bc") differ.
//! `spec/vectors/seal.json` holds worked examples that other languages share.

use crate::{
    id::{NoRandomness, TenantId, random},
    keys::Secret32,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The longest plaintext that is sealed, in bytes.
pub const MAX_PLAINTEXT_BYTES: usize = 16 << 20;
/// What sealing adds, in bytes: version, nonce and tag.
pub const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const SEAL_DOMAIN: &[u8] = b"cofferdam/seal/1";
const BLIND_DOMAIN: &[u8] = b"cofferdam/blind/1";

/// Why a value was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// More than [`MAX_PLAINTEXT_BYTES`].
    #[error("the value is longer than 16 MiB; it was not sealed; split it")]
    TooLong,
    /// Not sealed by this key for this place, or changed since. Which of these it is cannot be told.
    #[error(
        "a sealed value does not open; nothing of it was used; restore it and its keyring from the same backup"
    )]
    DoesNotOpen,
    /// The operating system gave no random bytes for a nonce.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What a sealed value is. Each has a label that is part of its associated data and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The name an operator gave a tenant.
    TenantName,
    /// What a steward called an API key, and whatever else describes it.
    ApiKey,
    /// A pinned token issuer.
    Issuer,
    /// The credential for an upstream.
    UpstreamCredential,
    /// Limits of a tenant and of its keys, subjects and models.
    Limits,
    /// Details of one call.
    Call,
    /// The claims inside a session token.
    SessionToken,
}

impl Kind {
    #[cfg(test)]
    const ALL: [Self; 7] = [
        Self::TenantName,
        Self::ApiKey,
        Self::Issuer,
        Self::UpstreamCredential,
        Self::Limits,
        Self::Call,
        Self::SessionToken,
    ];

    /// The kind's label in associated data. Changing one makes every value of the kind unreadable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TenantName => "tenant-name",
            Self::ApiKey => "api-key",
            Self::Issuer => "issuer",
            Self::UpstreamCredential => "upstream-credential",
            Self::Limits => "limits",
            Self::Call => "call",
            Self::SessionToken => "session-token",
        }
    }
}

/// Seals and opens the values of one owner under one key.
#[derive(Debug)]
pub struct Sealer {
    key: Secret32,
    /// The tenant's 16 bytes, or none for the deployment itself: no tenant's associated data can equal the deployment's.
    owner: Box<[u8]>,
}

impl Sealer {
    /// A sealer for values of `tenant`.
    #[must_use]
    pub fn new(key: Secret32, tenant: &TenantId) -> Self {
        Self {
            key,
            owner: Box::from(tenant.as_bytes().as_slice()),
        }
    }

    /// A sealer for values of the deployment itself, which belong to no tenant.
    #[must_use]
    pub fn deployment(key: Secret32) -> Self {
        Self {
            key,
            owner: Box::default(),
        }
    }

    /// Seals `plaintext` for the place (`kind`, `name`, `version`).
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] above [`MAX_PLAINTEXT_BYTES`]; [`SealError::NoRandomness`] without a nonce.
    pub fn seal(
        &self,
        kind: Kind,
        name: &[u8],
        version: u64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        encrypt(&self.key, &self.place(kind, name, version), plaintext)
    }

    /// Opens what [`Sealer::seal`] sealed for the very same place. The plaintext is zeroized when dropped.
    ///
    /// # Errors
    ///
    /// [`SealError::DoesNotOpen`] for anything else.
    pub fn open(
        &self,
        kind: Kind,
        name: &[u8],
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        decrypt(&self.key, &self.place(kind, name, version), sealed)
    }

    fn place(&self, kind: Kind, name: &[u8], version: u64) -> Vec<u8> {
        fields(&[
            SEAL_DOMAIN,
            &self.owner,
            kind.label().as_bytes(),
            name,
            &version.to_be_bytes(),
        ])
    }
}

/// Encrypts under `key` with a random nonce; `aad` is from [`fields`], starting with a domain.
pub(crate) fn encrypt(key: &Secret32, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    encrypt_with(key, aad, plaintext, &random()?)
}

/// The nonce is an argument so that vectors can be checked. Nothing outside this file may choose one.
fn encrypt_with(
    key: &Secret32,
    aad: &[u8],
    plaintext: &[u8],
    nonce: &[u8; NONCE_BYTES],
) -> Result<Vec<u8>, SealError> {
    if plaintext.len() > MAX_PLAINTEXT_BYTES {
        return Err(SealError::TooLong);
    }
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let ciphertext = cipher
        .encrypt(
            XNonce::from_slice(nonce),
            Payload {
                msg: plaintext,
                aad,
            },
        )
        .map_err(|_| SealError::TooLong)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Decrypts what [`encrypt`] made under the same key and associated data.
pub(crate) fn decrypt(
    key: &Secret32,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if sealed.len() > MAX_PLAINTEXT_BYTES + OVERHEAD_BYTES {
        return Err(SealError::DoesNotOpen);
    }
    let (&format, rest) = sealed.split_first().ok_or(SealError::DoesNotOpen)?;
    let (nonce, ciphertext) = rest
        .split_at_checked(NONCE_BYTES)
        .ok_or(SealError::DoesNotOpen)?;
    if format != FORMAT {
        return Err(SealError::DoesNotOpen);
    }
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt(
            XNonce::from_slice(nonce),
            Payload {
                msg: ciphertext,
                aad,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::DoesNotOpen)
}

/// Encodes a list of fields injectively: each as its length (eight bytes, big-endian) and its bytes.
pub(crate) fn fields(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// A keyed value that stands for `parts` where they must be found or compared but not read: HMAC-SHA256 (RFC 2104) over
/// the domain, `label` and every part, each with its length.
#[must_use]
pub fn blind(key: &Secret32, label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    let mut field = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    field(BLIND_DOMAIN);
    field(label.as_bytes());
    parts.iter().for_each(|part| field(part));
    mac.finalize().into_bytes().into()
}

/// The first 16 bytes of [`blind`], for indexes where 128 bits are plenty.
#[must_use]
pub fn blind16(key: &Secret32, label: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut head = [0; 16];
    head.copy_from_slice(blind(key, label, parts).split_at(16).0);
    head
}

/// The value that an upstream gets in place of a caller's cache or identity field: 43 characters of base64url, within
/// every upstream's bound. `label` names the field, `backend` the upstream; a new `epoch` drops what the upstream has
/// cached for this tenant; the caller's own value is folded in beneath the tenant's key, so that no caller can name
/// another tenant's. No value and an empty value differ.
#[must_use]
pub fn side_channel_token(
    salt: &Secret32,
    label: &str,
    backend: &str,
    epoch: u64,
    caller: Option<&str>,
) -> String {
    let epoch = epoch.to_be_bytes();
    let ours: [&[u8]; 2] = [backend.as_bytes(), &epoch];
    let mac = match caller {
        Some(caller) => blind(
            salt,
            label,
            &[ours.as_slice(), &[caller.as_bytes()]].concat(),
        ),
        None => blind(salt, label, &ours),
    };
    URL_SAFE_NO_PAD.encode(mac)
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed(key: &Secret32) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key.expose()).expect("a key of any length")
}

#[cfg(test)]
mod tests;
