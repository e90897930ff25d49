//! `cofferdam model …`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli;
use crate::model::{fetch, manifest};
use crate::show;

/// One model of the manifest, and where it is on this machine.
#[derive(Serialize)]
struct Listed {
    name: String,
    title: String,
    licence: String,
    bytes: u64,
    sha256: String,
    path: Option<PathBuf>,
}

pub fn run(asked: cli::Model) -> Result<()> {
    match asked {
        cli::Model::List { json } => list(json),
        cli::Model::Fetch { name, model_file } => {
            let path = fetch::fetch(
                &manifest::find(&name)?,
                &fetch::cache_dir()?,
                model_file.as_deref(),
            )?;
            println!("{}", path.display());
            Ok(())
        }
        cli::Model::Import { file, output } => import(&file, &output),
    }
}

fn list(json: bool) -> Result<()> {
    let cache = fetch::cache_dir()?;
    let listed: Vec<_> = manifest::pinned()?
        .into_iter()
        .map(|model| {
            let path = cache.join(&model.file);
            let path = fetch::verify(&model, &path).is_ok().then_some(path);
            Listed {
                name: model.name,
                title: model.title,
                licence: model.licence,
                bytes: model.bytes,
                sha256: model.sha256,
                path,
            }
        })
        .collect();
    if json {
        return show::json(&listed);
    }
    let row = |m: &Listed| {
        let here = m
            .path
            .as_ref()
            .map_or("not fetched".to_owned(), |p| p.display().to_string());
        vec![
            m.name.clone(),
            m.title.clone(),
            m.licence.clone(),
            format!("{} MB", m.bytes / 1_000_000),
            here,
        ]
    };
    show::table(
        &["model", "title", "licence", "size", "here"],
        listed.iter().map(row).collect(),
    );
    Ok(())
}

/// Converts a model for the built-in engine, with progress; does nothing if that was done before.
pub fn import(file: &Path, output: &Path) -> Result<()> {
    let bar = ProgressBar::new(1000).with_message("importing");
    let style = ProgressStyle::with_template("  {msg} [{wide_bar}] {percent} %")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    let imported = cell::import::import(file, output, &mut |done| {
        bar.set_position((done * 1000.0) as u64)
    });
    bar.finish_and_clear();
    let imported = imported.with_context(|| format!("{} was not imported", file.display()))?;
    let told = if imported.already_there {
        "was imported before"
    } else {
        "imported"
    };
    println!(
        "{} {told} (SHA-256 {})",
        output.display(),
        imported.result_sha256
    );
    Ok(())
}
