//! `cofferdam probe`: the isolation conformance suite against a gateway.

use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use probe::{Admin, Key, Limits, Mode, Options, ProbeError, Progress, Report, Scale};
use wire::steward::Secret;

use crate::cli;

/// Something failed, or a test that was tried gave no answer.
const NOT_CLEAN: u8 = 1;
/// Nothing was tested.
const REFUSED: u8 = 2;
/// Columns of the table where the terminal does not say.
const WIDTH: u16 = 110;

/// Tests, writes the reports and shows the table.
///
/// # Errors
/// A report that cannot be written. A run that is refused is no error here but the status 2.
pub fn run(asked: cli::Probe) -> Result<ExitCode> {
    match prepared(&asked) {
        Ok((options, files)) => tested(options, files),
        Err(why) => refused(&why),
    }
}

/// Everything that can be wrong before anything is sent.
fn prepared(asked: &cli::Probe) -> Result<(Options, Files)> {
    let options = options(asked)?;
    options.check()?;
    // before the run: a report that cannot be written must not be found out after it
    Ok((options, Files::create(asked)?))
}

fn tested(options: Options, files: Files) -> Result<ExitCode> {
    eprintln!("seed {}", options.seed);
    let runtime = tokio::runtime::Runtime::new().context("the runtime did not start")?;
    let report = match runtime.block_on(probe::run(options, show)) {
        Ok(report) => report,
        Err(why) => return refused(&why.into()),
    };
    files.write(&report)?;
    let out = std::io::stdout();
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let width = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    print!("{}", report.table(width.unwrap_or(WIDTH), colour));
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_CLEAN)
    })
}

fn refused(why: &anyhow::Error) -> Result<ExitCode> {
    eprintln!("error: {why:#}");
    Ok(ExitCode::from(REFUSED))
}

fn options(asked: &cli::Probe) -> Result<Options> {
    let key_a = key('a', asked.key_a_file.as_deref(), asked.key_a.as_ref())?;
    let key_b = key('b', asked.key_b_file.as_deref(), asked.key_b.as_ref())?;
    let mode = asked
        .echo
        .map_or(Mode::Live, |listen| Mode::Echo { listen });
    let seed = match asked.seed {
        Some(seed) => seed,
        None => getrandom::u64()
            .context("the system gave no random seed; nothing was sent; give one with --seed")?,
    };
    let scale = if asked.certificate {
        Scale::Certificate
    } else {
        Scale::Smoke
    };
    let mut options = Options::new(asked.target.clone(), key_a, key_b, mode, seed);
    options.model.clone_from(&asked.model);
    options.embedding_model.clone_from(&asked.embedding_model);
    options.only.clone_from(&asked.only);
    options.scale = scale;
    options.limits = Limits::of(scale);
    options.i_operate_this_target = asked.i_operate_this_target;
    if let Some(requests) = asked.max_requests {
        options.limits.requests = requests;
    }
    if let Some(minutes) = asked.max_minutes {
        options.limits.time = Duration::from_secs(60 * minutes);
    }
    if let (Some(url), Some(file)) = (&asked.admin, &asked.operator_key_file) {
        let key = from_file(file)?;
        options.admin = Some(Admin {
            url: url.clone(),
            key,
        });
    }
    Ok(options)
}

/// A tenant's key from wherever it was given; the file first, because it is the safest.
fn key(tenant: char, file: Option<&Path>, given: Option<&Secret>) -> Result<Key> {
    match (file, given) {
        (Some(file), _) => from_file(file),
        (None, Some(given)) => Ok(Key::new(given.expose())?),
        (None, None) => {
            let upper = tenant.to_ascii_uppercase();
            anyhow::bail!(
                "tenant {upper} has no key; nothing was sent; give it with --key-{tenant}-file, COFFERDAM_PROBE_KEY_{upper} or --key-{tenant}"
            )
        }
    }
}

fn from_file(file: &Path) -> Result<Key> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| {
        format!(
            "the key file {} was not read; nothing was sent",
            file.display()
        )
    })?;
    let key: Result<Key, ProbeError> = Key::new(&text);
    key.with_context(|| format!("{} holds no key", file.display()))
}

/// Writes a report in one form.
type Form = fn(&Report) -> String;

/// Where the report goes, in which form.
struct Files(Vec<(File, PathBuf, Form)>);

impl Files {
    fn create(asked: &cli::Probe) -> Result<Files> {
        let wanted: [(&Option<PathBuf>, Form); 3] = [
            (&asked.json, Report::json),
            (&asked.html, Report::html),
            (&asked.junit, Report::junit),
        ];
        let mut files = Vec::new();
        for (path, form) in wanted {
            if let Some(path) = path {
                let file = File::create(path);
                let file = file.with_context(|| {
                    format!(
                        "the report {} cannot be written; nothing was sent",
                        path.display()
                    )
                })?;
                files.push((file, path.clone(), form));
            }
        }
        Ok(Files(files))
    }

    fn write(self, report: &Report) -> Result<()> {
        for (mut file, path, form) in self.0 {
            let written = file.write_all(form(report).as_bytes());
            written.with_context(|| format!("the report {} was not written", path.display()))?;
        }
        Ok(())
    }
}

/// One line for each row, on standard error, so that standard output is the report alone.
fn show(progress: Progress<'_>) {
    match progress {
        Progress::Listening(address) => eprintln!("the echo upstream listens on {address}"),
        Progress::Begins(entry) => eprint!("{:>2} {} … ", entry.id, entry.title),
        Progress::Again(_) => eprint!("FAIL, once more on fresh seeds … "),
        Progress::Ended(row) => eprintln!("{} ({:.1} s)", row.finding.verdict.word(), row.seconds),
    }
}
