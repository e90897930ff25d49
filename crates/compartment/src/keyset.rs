//! The keys of one owner, derived once and kept while its compartment is open.

use crate::{
    id::{CallId, TenantId},
    keys::{Purpose, RootKey, Secret32},
    principal::BlindName,
    seal::{Kind, SealError, Sealer, blind, blind16, side_channel_token},
};
use zeroize::Zeroizing;

/// A new number drops what every upstream has cached for every tenant.
const SALT_EPOCH: u64 = 1;

/// The keys of one tenant. The root key itself is gone again once these are derived.
pub(crate) struct TenantKeys {
    sealer: Sealer,
    index: Secret32,
    salt: Secret32,
    pseudonym: Secret32,
    journal_blind: Secret32,
    journal_commit: Secret32,
    pub(crate) credential_hash: Secret32,
    pub(crate) session_tokens: Sealer,
}

impl TenantKeys {
    pub(crate) fn derive(root: &RootKey, tenant: &TenantId) -> Self {
        Self {
            sealer: Sealer::new(root.derive(Purpose::Store), tenant),
            index: root.derive(Purpose::Index),
            salt: root.derive(Purpose::Salt),
            pseudonym: root.derive(Purpose::Pseudonym),
            journal_blind: root.derive(Purpose::JournalBlind),
            journal_commit: root.derive(Purpose::JournalCommit),
            credential_hash: root.derive(Purpose::CredentialHash),
            session_tokens: Sealer::new(root.derive(Purpose::SessionToken), tenant),
        }
    }

    pub(crate) fn seal(
        &self,
        kind: Kind,
        name: &[u8],
        version: u64,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.sealer.seal(kind, name, version, plain)
    }

    pub(crate) fn open(
        &self,
        kind: Kind,
        name: &[u8],
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.sealer.open(kind, name, version, sealed)
    }

    /// Where the store finds a thing that has a name: it never sees the name.
    pub(crate) fn index(&self, label: &str, name: &str) -> [u8; 32] {
        blind(&self.index, label, &[name.as_bytes()])
    }

    pub(crate) fn blind_subject(&self, subject: &str) -> BlindName {
        self.blind_name("subject", &[subject.as_bytes()])
    }

    /// A session belongs to a subject: the same session name of another subject is another session.
    pub(crate) fn blind_session(&self, subject: &str, session: &str) -> BlindName {
        self.blind_name("session", &[subject.as_bytes(), session.as_bytes()])
    }

    fn blind_name(&self, label: &str, parts: &[&[u8]]) -> BlindName {
        BlindName {
            stored: blind16(&self.pseudonym, label, parts),
            journalled: blind16(&self.journal_blind, label, parts),
        }
    }

    /// The salt of a call's commitments, one for each call. Whoever proves what was said gets this one alone.
    pub(crate) fn commitment_salt(&self, call: &CallId) -> [u8; 32] {
        blind(&self.journal_commit, "call", &[call.as_bytes()])
    }

    /// A field for an upstream, see [`side_channel_token`].
    pub(crate) fn upstream_field(
        &self,
        label: &str,
        upstream: &str,
        caller: Option<&str>,
    ) -> String {
        side_channel_token(&self.salt, label, upstream, SALT_EPOCH, caller)
    }
}

/// The deployment's own keys: names that operators chose, and what finds a tenant.
pub(crate) struct DeploymentKeys {
    sealer: Sealer,
    index: Secret32,
    pub(crate) credential_hash: Secret32,
}

impl DeploymentKeys {
    pub(crate) fn derive(root: &RootKey) -> Self {
        Self {
            sealer: Sealer::deployment(root.derive(Purpose::Store)),
            index: root.derive(Purpose::Index),
            credential_hash: root.derive(Purpose::CredentialHash),
        }
    }

    pub(crate) fn seal_name(&self, tenant: &TenantId, name: &str) -> Result<Vec<u8>, SealError> {
        self.sealer
            .seal(Kind::TenantName, tenant.as_bytes(), 1, name.as_bytes())
    }

    pub(crate) fn open_name(&self, tenant: &TenantId, sealed: &[u8]) -> Result<String, SealError> {
        let plain = self
            .sealer
            .open(Kind::TenantName, tenant.as_bytes(), 1, sealed)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::DoesNotOpen)
    }

    pub(crate) fn index_name(&self, name: &str) -> [u8; 32] {
        blind(&self.index, "tenant-name", &[name.as_bytes()])
    }

    pub(crate) fn index_issuer(&self, issuer: &str) -> [u8; 32] {
        blind(&self.index, "issuer", &[issuer.as_bytes()])
    }

    pub(crate) fn index_claim_name(&self, issuer: &str, claim: &str) -> [u8; 32] {
        blind(
            &self.index,
            "tenant-claim-name",
            &[issuer.as_bytes(), claim.as_bytes()],
        )
    }

    pub(crate) fn index_claim(&self, issuer: &str, claim: &str, value: &str) -> [u8; 32] {
        blind(
            &self.index,
            "tenant-claim",
            &[issuer.as_bytes(), claim.as_bytes(), value.as_bytes()],
        )
    }
}
