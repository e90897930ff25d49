//! `cofferdam store copy`

use std::path::PathBuf;

use anyhow::Result;
use compartment::Copied;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app;
use crate::cli::Store;
use crate::config::{self, Store as Where};

/// Copies the deployment of a configuration from one store to another.
pub fn run(command: Store) -> Result<()> {
    let Store::Copy(asked) = command;
    let config = config::read(&asked.config.config)?;
    let place = |store, file: Option<&PathBuf>| match store {
        Where::Postgres { address, .. } => Where::Postgres {
            address,
            password_file: file.cloned(),
        },
        embedded @ Where::Embedded => embedded,
    };
    let from = place(
        config::store(asked.from, None)?,
        asked.from_password_file.as_ref(),
    );
    let to = place(
        config::store(asked.to, None)?,
        asked.to_password_file.as_ref(),
    );
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let copied = app::copy_store(&config, &from, &to, &mut |copied| {
        spinner.set_message(told(copied));
        spinner.tick();
    });
    spinner.finish_and_clear();
    println!("copied and compared: {}", told(&copied?));
    println!("the source is as it was; set `store` in the configuration to serve from the copy");
    Ok(())
}

fn told(copied: &Copied) -> String {
    format!(
        "{} tenants, {} more were there already; {} records, {} other rows, {} heads of the deployment log",
        copied.tenants, copied.unchanged, copied.records, copied.rows, copied.heads
    )
}
