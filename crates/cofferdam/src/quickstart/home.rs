//! The quickstart's folder: a configuration, secrets, a keyring, the data, each made only if it is not there yet.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::Quickstart;

/// The name callers use for the quickstart's model.
pub const MODEL: &str = "smollm2-135m-instruct";

/// Where things are in the quickstart's folder.
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Makes the folders, readable by their owner only.
    pub fn make(dir: &Path) -> Result<Home> {
        let home = Home {
            dir: std::path::absolute(dir)?,
        };
        for dir in [home.dir.clone(), home.secrets()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .with_context(|| {
                    format!(
                        "the folder {} cannot be made; name another with --home",
                        dir.display()
                    )
                })?;
        }
        Ok(home)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the gateway's log goes while the tour has the terminal.
    pub fn log(&self) -> PathBuf {
        self.dir.join("cofferdam.log")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("cofferdam.toml")
    }

    /// Keys in the clear, apart from the data: what a vault or a secret store would hold.
    pub fn secrets(&self) -> PathBuf {
        self.dir.join("secrets")
    }

    pub fn operator_key(&self) -> PathBuf {
        self.secrets().join("operator.key")
    }

    /// The file of a tenant's key, such as `acme.app.key`.
    pub fn tenant_key(&self, tenant: &str, role: &str) -> PathBuf {
        self.secrets().join(format!("{tenant}.{role}.key"))
    }

    /// Where a tenant's journal is exported to.
    pub fn journal(&self, tenant: &str) -> PathBuf {
        self.dir.join(format!("{tenant}.journal.jsonl"))
    }

    /// Writes the configuration if there is none; an existing one is gone on with, whatever it says.
    pub fn configure(&self, asked: &Quickstart, model_file: Option<&Path>) -> Result<()> {
        let text = match (&asked.upstream, model_file) {
            (Some(url), _) => configuration(asked, &server(asked, url)?),
            (None, Some(file)) => configuration(asked, &built_in(file)),
            (None, None) => anyhow::bail!("neither a model nor an upstream was given"),
        };
        write_new(&self.dir.join("prices.toml"), PRICES)?;
        // last: a configuration that is there says that everything before it is
        write_new(&self.config(), &text)
    }
}

fn write_new(file: &Path, text: &str) -> Result<()> {
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Ok(mut open) => open
            .write_all(text.as_bytes())
            .with_context(|| format!("{} cannot be written", file.display())),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e).with_context(|| format!("{} cannot be written", file.display())),
    }
}

/// What the built-in model costs is the operator's to say; these amounts show how.
const PRICES: &str = r#"# Prices of your own, over the shipped ones. Amounts are per million tokens.
currency = "USD"
retrieved = "2026-11-24"

[[model]]
name = "smollm2-135m-instruct"
vendor = "this machine"
input = "0.02"
output = "0.08"
source = "an example: what a million tokens cost you here is yours to find out"
as_of = "2026-11-24"
"#;

fn configuration(asked: &Quickstart, upstream: &str) -> String {
    format!(
        "# Written by `cofferdam quickstart`. Tenants, keys and limits are not here: they are data, see `cofferdam --help`.\n\
         listen = \"{}\"\n\
         admin_listen = \"{}\"\n\
         data_dir = \"data\"\n\
         keyring_dir = \"keyring\"\n\
         log = \"pretty\"\n\
         prices = \"prices.toml\"\n\n\
         [keys]\n\
         provider = \"file\"\n\
         file = \"secrets/root.key\"\n\n\
         {upstream}",
        asked.listen, asked.admin_listen
    )
}

fn built_in(model_file: &Path) -> String {
    format!(
        "[[upstream]]\nkind = \"cell\"\nname = \"built-in\"\nmodel_file = {}\n\n\
         [[model]]\nname = \"{MODEL}\"\nupstream = \"built-in\"\nmax_output_tokens = 1024\n",
        quoted(&model_file.to_string_lossy())
    )
}

fn server(asked: &Quickstart, url: &str) -> Result<String> {
    let key = match &asked.upstream_key_file {
        Some(file) => format!(
            "key_file = {}\n",
            quoted(&std::path::absolute(file)?.to_string_lossy())
        ),
        None => String::new(),
    };
    let model = asked.upstream_model.as_deref().unwrap_or("gpt-4o-mini");
    Ok(format!(
        "[[upstream]]\nkind = \"openai\"\nname = \"server\"\nurl = {}\n{key}\
         # if the server keeps a prefix cache, say which fields keep tenants apart in it: openai or vllm\n\
         derived = \"none\"\n\n\
         [[model]]\nname = {model}\nupstream = \"server\"\n",
        quoted(url),
        model = quoted(model),
    ))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
