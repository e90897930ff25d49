//! `cofferdam audit …`. Verifying and proving need no server and no trust in one.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use evidence::export::{self, Report, Trust, Wanted};
use evidence::{Checkpoint, Id, VerifierKey};

use super::operator;
use crate::cli;
use crate::show;

/// What a failed verification exits with; other failures exit with 1.
const TAMPERED: u8 = 2;

pub fn run(asked: cli::Audit) -> Result<ExitCode> {
    match asked {
        cli::Audit::Export {
            tenant,
            output,
            reach,
        } => {
            let path = format!("/admin/v1/tenants/{tenant}/journal/export");
            let bytes = write(&mut operator(&reach)?.get_stream(&path)?, &output)?;
            match reach.json {
                true => show::json(&serde_json::json!({"file": output, "bytes": bytes}))?,
                false => println!(
                    "{bytes} bytes written to {}; check them with `cofferdam audit verify`",
                    output.display()
                ),
            }
            Ok(ExitCode::SUCCESS)
        }
        cli::Audit::Verify {
            file,
            key,
            deployment_key,
            earlier,
            json,
        } => {
            let trust = trust(
                key.as_deref(),
                deployment_key.as_deref(),
                earlier.as_deref(),
            )?;
            match export::verify(open(&file)?, &trust) {
                Ok(report) if json => show::json(&report)?,
                Ok(report) => tell(&report),
                Err(finding) if json => {
                    show::json(&finding)?;
                    return Ok(ExitCode::from(TAMPERED));
                }
                Err(finding) => {
                    eprintln!("NOT VALID: {finding}");
                    return Ok(ExitCode::from(TAMPERED));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        cli::Audit::Prove { file, call, seq } => {
            let wanted = match (call, seq) {
                (Some(call), _) => Wanted::Call(Id::new(call).context("that is not a call's id")?),
                (None, Some(seq)) => Wanted::Seq(seq),
                (None, None) => bail!("name a record with --call or --seq"),
            };
            match export::prove(open(&file)?, &Trust::default(), &wanted) {
                Ok(proof) => show::json(&proof)?,
                Err(finding) => {
                    eprintln!("NOT PROVEN: {finding}");
                    return Ok(ExitCode::from(TAMPERED));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes beside the file and renames, so that half an export never has its name.
pub fn write(from: &mut dyn std::io::Read, output: &Path) -> Result<u64> {
    let folder = output
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("{} cannot be written to", folder.display()))?;
    let bytes = std::io::copy(from, part.as_file_mut())
        .context("the export broke off; nothing was kept")?;
    part.as_file_mut().flush()?;
    part.as_file().sync_all()?;
    part.persist(output)
        .map_err(|e| e.error)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    Ok(bytes)
}

fn open(file: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::new(File::open(file).with_context(|| {
        format!("{} cannot be opened", file.display())
    })?))
}

fn trust(key: Option<&str>, deployment_key: Option<&str>, earlier: Option<&Path>) -> Result<Trust> {
    let parse = |key: &str| {
        key.parse::<VerifierKey>()
            .context("that is not a verifier key")
    };
    let vkey = key.map(parse).transpose()?;
    let earlier = match (earlier, &vkey) {
        (None, _) => None,
        (Some(_), None) => bail!("--earlier needs --key: an unpinned checkpoint proves nothing"),
        (Some(file), Some(vkey)) => {
            let note = std::fs::read(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            Some(
                Checkpoint::parse_verify(&note, vkey)
                    .context("the earlier checkpoint is not signed by that key")?,
            )
        }
    };
    Ok(Trust {
        vkey,
        deployment_vkey: deployment_key.map(parse).transpose()?,
        earlier,
    })
}

/// The report, for people.
pub fn tell(report: &Report) {
    println!("valid: {} records of {}", report.records, report.origin);
    println!(
        "signed by {}{}",
        report.vkey,
        if report.pinned {
            ""
        } else {
            "  (as the file says; pin it with --key)"
        }
    );
    let kinds = report
        .kinds
        .iter()
        .map(|(kind, count)| vec![kind.to_string(), count.to_string()])
        .collect();
    show::table(&["record", "count"], kinds);
    for caveat in &report.caveats {
        println!("note: {caveat}");
    }
}
