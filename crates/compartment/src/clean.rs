//! A request after the tenant's rules, and the fields that go out with it: the only thing an upstream accepts.

use std::fmt;

/// A request that may leave. Only [`crate::Permit::clean`] makes one, so nothing is sent that was not admitted, paid
/// for, recorded and cleaned.
///
/// The policy that is applied today is named in the journal, `no-rules/1`: the texts pass as they are.
pub struct Clean<R> {
    pub(crate) request: R,
    pub(crate) derived: Derived,
    pub(crate) max_output: u32,
}

impl<R> Clean<R> {
    /// The request as it may be sent.
    #[must_use]
    pub fn request(&self) -> &R {
        &self.request
    }

    /// The cache and identity fields that replace the caller's own.
    #[must_use]
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// The most output tokens for each choice; the upstream must be told this number.
    #[must_use]
    pub fn max_output(&self) -> u32 {
        self.max_output
    }
}

impl<R> fmt::Debug for Clean<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clean")
            .field("max_output", &self.max_output)
            .finish_non_exhaustive()
    }
}

/// Cache and identity fields derived under the tenant's key: 43 characters of base64url each, equal for equal inputs
/// within one tenant and upstream, unlinkable across tenants and across upstreams.
#[derive(Clone, PartialEq, Eq)]
pub struct Derived {
    pub(crate) cache_salt: String,
    pub(crate) prompt_cache_key: String,
    pub(crate) safety_identifier: String,
}

impl Derived {
    /// Partitions an upstream's prefix cache by tenant (`cache_salt` of vLLM and SGLang). The caller's own salt is
    /// folded in, so it can part its caches further and never join another's.
    #[must_use]
    pub fn cache_salt(&self) -> &str {
        &self.cache_salt
    }

    /// Routes to a warm cache (`prompt_cache_key` of OpenAI). The caller's own key is folded in.
    #[must_use]
    pub fn prompt_cache_key(&self) -> &str {
        &self.prompt_cache_key
    }

    /// Stands for the end user where one is known, for the tenant otherwise (`safety_identifier` of OpenAI).
    #[must_use]
    pub fn safety_identifier(&self) -> &str {
        &self.safety_identifier
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived(3 fields of 43 characters)")
    }
}
