//! The names callers may ask for, and where each leads.

use std::collections::BTreeMap;

use policy::Task;

use super::{ConfigError, UpstreamSettings, file, within};

/// One name that callers may ask for.
#[derive(Clone, Debug)]
pub struct Model {
    /// What callers write.
    pub name: String,
    /// Which upstream, as an index into the configured list.
    pub upstream: usize,
    /// What the upstream calls it.
    pub upstream_model: String,
    /// What it does.
    pub task: Task,
    /// What it costs.
    pub tariff: Tariff,
    /// Most output tokens of one choice.
    pub max_output_tokens: u32,
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tariff {
    /// Nothing is paid for it, as the operator declared.
    Free,
    /// The price of this entry in the catalogue; without one, calls are refused.
    Catalogue(String),
}

/// All names that callers may ask for.
#[derive(Debug, Default)]
pub struct Models(BTreeMap<String, Model>);

impl Models {
    /// The model of exactly this name.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.0.get(name)
    }

    /// All models, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.0.values()
    }
}

const TABLE: &str = "model";

pub(super) fn check(
    entries: &[file::Model],
    upstreams: &[UpstreamSettings],
) -> Result<Models, ConfigError> {
    let mut models = BTreeMap::new();
    for entry in entries {
        let wrong = |problem: &str| ConfigError::Entry {
            table: TABLE,
            name: entry.name.clone(),
            problem: problem.to_owned(),
        };
        if !is_model_name(&entry.name) {
            return Err(wrong(
                "a name is 1 to 128 of A-Z a-z 0-9 - _ . : /, without empty or dotted parts",
            ));
        }
        let upstream = upstreams
            .iter()
            .position(|upstream| upstream.name == entry.upstream)
            .ok_or_else(|| wrong("its upstream is not configured"))?;
        let upstream_model = entry
            .upstream_model
            .clone()
            .unwrap_or_else(|| entry.name.clone());
        if upstream_model.is_empty() || upstream_model.len() > 256 {
            return Err(wrong("upstream_model is 1 to 256 bytes"));
        }
        let tariff = match (entry.free, &entry.price) {
            (true, Some(_)) => return Err(wrong("it is free and has a price")),
            (true, None) => Tariff::Free,
            (false, Some(price)) => Tariff::Catalogue(price.clone()),
            (false, None) => Tariff::Catalogue(upstream_model.clone()),
        };
        let max_output_tokens = within(
            TABLE,
            "max_output_tokens",
            entry.max_output_tokens,
            1,
            1_000_000,
        )?;
        let model = Model {
            name: entry.name.clone(),
            upstream,
            upstream_model,
            task: entry.task,
            tariff,
            max_output_tokens: u32::try_from(max_output_tokens).unwrap_or(1_000_000),
        };
        if models.insert(entry.name.clone(), model).is_some() {
            return Err(wrong("the name stands twice"));
        }
    }
    Ok(Models(models))
}

/// Names are also paths (`/v1/models/{name}`), so only what the listener lets through as a path.
fn is_model_name(name: &str) -> bool {
    name.len() <= 128
        && name.split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        })
}
