//! What models cost: the list that is shipped, and the operator's own list over it.
//!
//! One TOML file: a `currency`, the day it was `retrieved`, and one `[[model]]` table for each model. Names are
//! matched whole. A dated snapshot is an alias that the file lists, never a prefix that we guess: a guess could turn a
//! dear model into a cheap one.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::{LongRates, MAX_NAME_BYTES, Nanos, PolicyError, Price, Rates, Task};

/// The list that comes with this version.
const SHIPPED: &str = include_str!("../prices.toml");
/// The largest price list that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// The price list of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    currency: String,
    retrieved: String,
    models: BTreeMap<String, ModelEntry>,
    aliases: BTreeMap<String, String>,
}

/// One model of a price list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// Its name in the list.
    pub name: String,
    /// Who sells it.
    pub vendor: String,
    /// What it is for.
    pub task: Task,
    /// What it costs.
    pub price: Price,
    /// The most tokens of input and output together, where known. For people; no decision rests on it.
    pub context: Option<u32>,
    /// The most output tokens of one answer, where known.
    pub max_output: Option<u32>,
    /// Where the price was read.
    pub source: String,
    /// The date (`YYYY-MM-DD`) that the source states or was read at.
    pub as_of: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    currency: Spanned<String>,
    retrieved: Spanned<String>,
    #[serde(default, rename = "model")]
    models: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    name: Spanned<String>,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    vendor: String,
    #[serde(default = "text")]
    task: Task,
    input: Spanned<Nanos>,
    cached_input: Option<Nanos>,
    cache_write: Option<Nanos>,
    output: Option<Nanos>,
    long: Option<LongRates>,
    per_request: Option<Nanos>,
    context: Option<u32>,
    max_output: Option<u32>,
    source: String,
    as_of: Spanned<String>,
}

fn text() -> Task {
    Task::Text
}

impl Catalogue {
    /// The list that comes with this version: public prices of well-known models, as old as [`Catalogue::retrieved`].
    ///
    /// # Errors
    /// Never in a build that passes its tests; an error rather than a panic so that nothing runs without prices.
    pub fn shipped() -> Result<Catalogue, PolicyError> {
        Catalogue::parse(SHIPPED)
    }

    /// Reads a price list of at most 4 MiB.
    ///
    /// # Errors
    /// [`PolicyError::Catalogue`] with the line: unknown field, amount that is not a decimal string, a name that
    /// stands twice, cached input dearer than input, an embedding model with a price for output, a bad date.
    pub fn parse(text: &str) -> Result<Catalogue, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(PolicyError::Catalogue {
                line: 1,
                reason: format!("it is larger than {MAX_BYTES} bytes"),
            });
        }
        read(text).map_err(|wrong| PolicyError::Catalogue {
            line: line_of(text, wrong.offset),
            reason: wrong.reason,
        })
    }

    /// This list with the operator's over it. A model that the operator names replaces the one of that name as a
    /// whole; aliases keep following the name.
    ///
    /// # Errors
    /// [`PolicyError::Catalogue`] when the currencies differ, or when an alias is the name of another model here.
    pub fn overridden_by(mut self, over: Catalogue) -> Result<Catalogue, PolicyError> {
        let refuse = |reason| Err(PolicyError::Catalogue { line: 1, reason });
        if over.currency != self.currency {
            return refuse(format!(
                "the currency is {}, and that of the list below is {}",
                over.currency, self.currency
            ));
        }
        for (alias, name) in over.aliases {
            if self.models.contains_key(&alias) {
                return refuse(format!(
                    "the alias {alias:?} is a model of the list below; give it a table of its own"
                ));
            }
            self.aliases.insert(alias, name);
        }
        for (name, entry) in over.models {
            self.aliases.remove(&name);
            self.models.insert(name, entry);
        }
        self.retrieved = over.retrieved;
        Ok(self)
    }

    /// The price of a model by its name or an alias; `None` where the list does not have it.
    pub fn price(&self, model: &str) -> Option<Price> {
        self.model(model).map(|entry| entry.price)
    }

    /// A model by its name or an alias.
    pub fn model(&self, model: &str) -> Option<&ModelEntry> {
        let name = self.aliases.get(model).map_or(model, String::as_str);
        self.models.get(name)
    }

    /// All models in the order of their names.
    pub fn models(&self) -> impl Iterator<Item = &ModelEntry> {
        self.models.values()
    }

    /// The currency of every amount, such as `USD`.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The date (`YYYY-MM-DD`) the list was put together.
    pub fn retrieved(&self) -> &str {
        &self.retrieved
    }
}

fn read(text: &str) -> Result<Catalogue, Wrong> {
    let raw: RawFile = toml::from_str(text)?;
    let currency = raw.currency.get_ref();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(at(
            &raw.currency,
            "currency is three capital letters, such as \"USD\"",
        ));
    }
    date(&raw.retrieved)?;
    let mut catalogue = Catalogue {
        currency: raw.currency.into_inner(),
        retrieved: raw.retrieved.into_inner(),
        models: BTreeMap::new(),
        aliases: BTreeMap::new(),
    };
    for model in &raw.models {
        let name = unused(&catalogue, &model.name)?;
        catalogue.models.insert(name.clone(), entry(model)?);
        for alias in &model.aliases {
            let alias = unused(&catalogue, alias)?;
            catalogue.aliases.insert(alias, name.clone());
        }
    }
    Ok(catalogue)
}

/// The name, unless the list has it already.
fn unused(catalogue: &Catalogue, name: &Spanned<String>) -> Result<String, Wrong> {
    let text = name.get_ref();
    if text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control) {
        return Err(at(
            name,
            format!("a name has 1 to {MAX_NAME_BYTES} printable bytes"),
        ));
    }
    if catalogue.model(text).is_some() {
        return Err(at(
            name,
            format!("{text:?} stands in the list twice; keep one"),
        ));
    }
    Ok(text.clone())
}

fn entry(raw: &RawModel) -> Result<ModelEntry, Wrong> {
    date(&raw.as_of)?;
    let output = match (raw.task, raw.output) {
        (Task::Text, Some(output)) => output,
        (Task::Text, None) => {
            return Err(at(
                &raw.name,
                "output is missing: a text model needs a price for it",
            ));
        }
        (Task::Embedding, None) => Nanos::ZERO,
        (Task::Embedding, Some(_)) => {
            return Err(at(
                &raw.name,
                "an embedding model has no output tokens; remove output",
            ));
        }
    };
    let RawModel {
        cached_input,
        cache_write,
        ..
    } = *raw;
    let rates = Rates {
        input: *raw.input.get_ref(),
        cached_input,
        cache_write,
        output,
    };
    let price =
        Price::of(rates).and_then(|price| raw.long.map_or(Ok(price), |long| price.and_long(long)));
    let price = price.map_err(|error| at(&raw.input, error.to_string()))?;
    Ok(ModelEntry {
        name: raw.name.get_ref().clone(),
        vendor: raw.vendor.clone(),
        task: raw.task,
        price: price.and_per_request(raw.per_request.unwrap_or(Nanos::ZERO)),
        context: raw.context,
        max_output: raw.max_output,
        source: raw.source.clone(),
        as_of: raw.as_of.get_ref().clone(),
    })
}

fn date(text: &Spanned<String>) -> Result<(), Wrong> {
    match text.get_ref().parse::<jiff::civil::Date>() {
        Ok(date) if date.to_string() == *text.get_ref() => Ok(()),
        _ => Err(at(text, "a date is written as \"2026-01-31\"")),
    }
}

/// What is wrong in a list, and at which byte.
struct Wrong {
    offset: usize,
    reason: String,
}

impl From<toml::de::Error> for Wrong {
    fn from(error: toml::de::Error) -> Wrong {
        Wrong {
            offset: error.span().map_or(0, |span| span.start),
            reason: error.message().to_owned(),
        }
    }
}

fn at<T>(place: &Spanned<T>, reason: impl Into<String>) -> Wrong {
    Wrong {
        offset: place.span().start,
        reason: reason.into(),
    }
}

/// The line of a byte offset, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
