//! `cofferdam quickstart`: from nothing to two tenants that chat and cannot reach each other. Every step can be taken
//! again: what is there is gone on from.

mod home;
mod tour;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cli::Quickstart;
use crate::client::keep_secret;
use crate::commands::model::import;
use crate::model::{fetch, manifest};
use crate::{app, config};
use home::{Home, MODEL};

/// Runs the whole of it.
pub fn run(asked: &Quickstart) -> Result<()> {
    let home = Home::make(&asked.home)?;
    step("a home for everything", &home.dir().display().to_string());
    if home.config().exists() {
        println!("  it is there already; going on from it");
    } else {
        let model = match asked.upstream {
            Some(_) => None,
            None => Some(model(asked)?),
        };
        home.configure(asked, model.as_deref())?;
    }
    let config = config::read(&home.config())?;
    if let Some(key) = app::init(&config)? {
        keep_secret(&home.operator_key(), key.expose())?;
        println!("  the operator key is in {}", home.operator_key().display());
    }
    app::log_quietly(&home.log())?;
    let running = app::start(config)?;
    step(
        "serving",
        &format!(
            "data plane http://{}, control plane http://{}",
            running.data_plane, running.control_plane
        ),
    );
    let told = tour::take(&home, &running);
    if asked.once || told.is_err() {
        return told;
    }
    println!(
        "\nServing on; stop it with Ctrl-C. The log is in {}.",
        home.log().display()
    );
    running.until_told_to_stop()
}

/// The model, fetched and in the form that the built-in engine is fast with.
fn model(asked: &Quickstart) -> Result<PathBuf> {
    let pinned = manifest::find(MODEL)?;
    step(
        "a model",
        &format!("{} ({}), pinned by SHA-256", pinned.title, pinned.licence),
    );
    let cache = fetch::cache_dir()?;
    let file = fetch::fetch(&pinned, &cache, asked.model_file.as_deref())?;
    std::fs::create_dir_all(&cache)
        .with_context(|| format!("{} cannot be made", cache.display()))?;
    let ready = cache.join(format!("{}.q8_0.gguf", pinned.name));
    import(&file, &ready)?;
    Ok(ready)
}

/// Says what comes next.
fn step(what: &str, more: &str) {
    println!("\n\u{25b8} {what}: {more}");
}
