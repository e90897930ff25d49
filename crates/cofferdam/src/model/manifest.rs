//! The manifest of models that can be fetched: what they are, where from, and the digest that decides.

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

/// One model of the manifest. Sizes are bytes; the digest is SHA-256 in lower-case hex.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    pub name: String,
    pub title: String,
    pub licence: String,
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
    pub hub: String,
    pub python_package: String,
    pub python_version: String,
    pub python_member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    model: Vec<Pinned>,
}

/// Every model of the manifest that this binary was built with.
pub fn pinned() -> Result<Vec<Pinned>> {
    let manifest: Manifest = toml::from_str(include_str!("../../models.toml"))
        .context("the model manifest built into this binary cannot be read")?;
    Ok(manifest.model)
}

/// The model of that name.
pub fn find(name: &str) -> Result<Pinned> {
    let all = pinned()?;
    let names: Vec<_> = all.iter().map(|m| m.name.clone()).collect();
    all.into_iter().find(|m| m.name == name).ok_or_else(|| {
        anyhow!(
            "no model named `{name}` is in the manifest; it has: {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pinned_model_has_a_full_digest_and_a_size() {
        let all = pinned().unwrap();
        assert!(!all.is_empty());
        for model in all {
            assert_eq!(model.sha256.len(), 64, "{}", model.name);
            assert!(
                model.sha256.bytes().all(|b| b.is_ascii_hexdigit()),
                "{}",
                model.name
            );
            assert!(model.bytes > 0, "{}", model.name);
        }
    }
}
