//! The keys that checkpoints are signed and verified with.

use crate::{Error, Id};
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use signed_note::{VerificationError, Verifier, Verifiers};
use zeroize::Zeroize;

/// The private half: an Ed25519 key (RFC 8032) that signs a log's checkpoints. Wiped from memory on drop.
pub struct JournalSigner(SigningKey);

impl JournalSigner {
    /// Takes the 32 bytes of an Ed25519 seed. The argument's own copy is wiped; the caller's is the caller's to wipe.
    #[must_use]
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Self(key)
    }

    /// The public half, under the name of the log it signs for.
    #[must_use]
    pub fn verifier_key(&self, origin: &Id) -> VerifierKey {
        VerifierKey {
            origin: origin.clone(),
            key: self.0.verifying_key(),
        }
    }

    /// This key under the log's name, in the shape `signed_note` signs with.
    pub(crate) fn named<'k>(&'k self, origin: &'k Id) -> impl signed_note::Signer + 'k {
        Named {
            signer: self,
            id: self.verifier_key(origin).key_id(),
            origin,
        }
    }
}

impl std::fmt::Debug for JournalSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalSigner(ed25519)")
    }
}

struct Named<'k> {
    signer: &'k JournalSigner,
    origin: &'k Id,
    id: u32,
}

impl signed_note::Signer for Named<'_> {
    fn name(&self) -> &str {
        self.origin.as_str()
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.signer.0.try_sign(text)?.to_bytes().to_vec())
    }
}

/// The public half: what an auditor pins. Its name is the log's origin, so a key never verifies another log's
/// checkpoints. Written as a C2SP signed-note verifier key, `name+hash+base64`.
///
/// ```
/// use evidence::{Id, JournalSigner, VerifierKey};
/// # fn main() -> Result<(), evidence::Error> {
/// let key = JournalSigner::from_seed([7; 32]).verifier_key(&Id::new("cofferdam/log_1")?);
/// assert_eq!(key.to_string().parse::<VerifierKey>()?, key);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    origin: Id,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The name of the log that the key signs for.
    #[must_use]
    pub fn origin(&self) -> &Id {
        &self.origin
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&signed_note::new_ed25519_verifier_key(
            self.origin.as_str(),
            &self.key,
        ))
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::NotAVerifierKey`] where the text is not the one spelling of an Ed25519 verifier key with the right
    /// hash, or the key is one of the weak points that verify anything.
    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (name, rest) = text.split_once('+')?;
            let (_, key) = rest.split_once('+')?;
            let bytes = BASE64_STANDARD.decode(key).ok()?;
            let key = VerifyingKey::from_bytes(bytes.get(1..)?.try_into().ok()?).ok()?;
            let origin = Id::new(name).ok()?;
            (!key.is_weak()).then_some(Self { origin, key })
        };
        // Printing it again checks the hash and the algorithm byte, and that there is no second spelling.
        read()
            .filter(|key| key.to_string() == text)
            .ok_or(Error::NotAVerifierKey)
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}

impl Verifier for VerifierKey {
    fn name(&self) -> &str {
        self.origin.as_str()
    }

    fn key_id(&self) -> u32 {
        const ED25519: u8 = 1;
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        signed_note::key_id(self.origin.as_str(), &key)
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        // Strict: one signature must not have several accepted encodings (RFC 8032 leaves room for that).
        Signature::from_slice(signature).is_ok_and(|s| self.key.verify_strict(text, &s).is_ok())
    }
}

impl Verifiers for VerifierKey {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        if name == self.origin.as_str() && id == self.key_id() {
            Ok(self)
        } else {
            Err(VerificationError::UnknownKey {
                name: name.to_owned(),
                id,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_key_has_one_spelling() {
        let key = JournalSigner::from_seed([7; 32]).verifier_key(&Id::new("cofferdam/a").unwrap());
        let text = key.to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), key);
        let (name, rest) = text.split_once('+').unwrap();
        let (hash, point) = rest.split_once('+').unwrap();
        for bad in [
            String::new(),
            "a+b".to_owned(),
            format!("cofferdam/b+{rest}"),
            format!("{name}+{}+{point}", hash.to_uppercase() + "0"),
            format!("{name}+00000000+{point}"),
            format!("{text} "),
            format!("{name}+{hash}+{}", &point[..point.len() - 4]),
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_that_verifies_anything_is_refused() {
        let weak = VerifyingKey::from_bytes(&{
            let mut identity = [0; 32];
            identity[0] = 1;
            identity
        })
        .unwrap();
        let text = signed_note::new_ed25519_verifier_key("cofferdam/a", &weak);
        assert!(text.parse::<VerifierKey>().is_err());
    }

    #[test]
    fn a_signer_does_not_print_its_key() {
        assert_eq!(
            format!("{:?}", JournalSigner::from_seed([7; 32])),
            "JournalSigner(ed25519)"
        );
    }
}
