//! What the operator's file says about the data plane, as valid types.
//!
//! [`file`] holds the shapes of the TOML tables; everything here has been checked once, at start. The binary
//! owns the file as a whole and hands over the tables `[limits]`, `[[upstream]]` and `[[model]]`.

pub mod file;
mod limits;
mod models;
mod upstreams;

use std::path::PathBuf;

pub use limits::{CallLimits, ListenLimits};
pub use models::{Model, Models, Tariff};
pub(crate) use upstreams::bearer;
pub use upstreams::{CellUpstream, Derived, OpenAiUpstream, UpstreamKind, UpstreamSettings};

/// The data plane's configuration, checked.
#[derive(Debug)]
pub struct DataPlane {
    /// Bounds of every connection.
    pub listen: ListenLimits,
    /// Bounds of every call.
    pub calls: CallLimits,
    /// Where completions come from, by name.
    pub upstreams: Vec<UpstreamSettings>,
    /// What callers may ask for.
    pub models: Models,
}

impl DataPlane {
    /// Checks the tables and reads the upstream keys they point to.
    ///
    /// # Errors
    /// The first value that is out of its bounds, names something that is not there, or cannot be read.
    pub fn check(
        limits: &file::Limits,
        upstreams: &[file::Upstream],
        models: &[file::Model],
    ) -> Result<DataPlane, ConfigError> {
        let (listen, calls) = limits::check(limits)?;
        let upstreams = upstreams::check(upstreams)?;
        let models = models::check(models, &upstreams)?;
        Ok(DataPlane {
            listen,
            calls,
            upstreams,
            models,
        })
    }
}

/// Why a configuration was refused. The process does not start with one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its documented bounds.
    #[error("{table}.{field} is {value}; nothing was started; choose {least} to {most}")]
    OutOfBounds {
        /// The TOML table.
        table: &'static str,
        /// The field in it.
        field: &'static str,
        /// What the file says.
        value: u64,
        /// Least allowed value.
        least: u64,
        /// Largest allowed value.
        most: u64,
    },
    /// A value that means nothing.
    #[error("{table} \"{name}\": {problem}; nothing was started; correct the entry")]
    Entry {
        /// The TOML table.
        table: &'static str,
        /// The entry's name, as the operator wrote it.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that cannot be used.
    #[error("{path}: {problem}; nothing was started; correct the file or its path", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        problem: String,
    },
}

/// `value` if it lies within the bounds.
fn within(
    table: &'static str,
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<u64, ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::OutOfBounds {
        table,
        field,
        value,
        least,
        most,
    })
}
