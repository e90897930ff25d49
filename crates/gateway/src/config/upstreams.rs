//! Where completions come from.

use std::{collections::BTreeSet, ffi::OsString, fs, path::Path, path::PathBuf, time::Duration};

use http::HeaderValue;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use url::Url;
use wire::openai::{MaxTokensField, check_extra_allowed};
use zeroize::Zeroizing;

use super::{ConfigError, file, within};
pub use file::DerivedFields as Derived;

/// One place where completions come from.
#[derive(Debug)]
pub struct UpstreamSettings {
    /// The operator's name for it.
    pub name: String,
    /// What it is.
    pub kind: UpstreamKind,
}

/// What an upstream is.
#[derive(Debug)]
pub enum UpstreamKind {
    /// Any server that speaks the OpenAI API.
    OpenAi(OpenAiUpstream),
    /// The built-in engine.
    Cell(CellUpstream),
}

/// A server that speaks the OpenAI API.
#[derive(Debug)]
pub struct OpenAiUpstream {
    /// Base URL that ends in `/v1`, without a slash after it.
    pub base: Url,
    /// `Bearer …` with the operator's key; marked sensitive, so that `Debug` hides it.
    pub authorization: Option<HeaderValue>,
    /// Authorities trusted in addition to the public ones.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// Which derived fields it gets.
    pub derived: Derived,
    /// Body fields beyond the OpenAI API that callers may send.
    pub extra_fields: Vec<String>,
    /// How it bounds its output.
    pub max_tokens_field: MaxTokensField,
    /// For a TCP connection.
    pub connect_timeout: Duration,
    /// Until a stream's head.
    pub first_byte_timeout: Duration,
    /// Between two pieces of an answer.
    pub idle_timeout: Duration,
    /// For a whole call.
    pub total_timeout: Duration,
    /// Bytes of an answer.
    pub max_response_bytes: usize,
    /// How long an idle connection is kept.
    pub keep_idle: Duration,
    /// Idle connections kept for each tenant.
    pub max_idle_connections: usize,
}

/// The built-in engine.
#[derive(Debug)]
pub struct CellUpstream {
    /// The program that runs as a cell: this one.
    pub program: PathBuf,
    /// The arguments that make it one.
    pub args: Vec<OsString>,
    /// The model file that its cells load.
    pub model_file: PathBuf,
    /// Tokens of context at most; the model's own length without one.
    pub context_limit: Option<u32>,
    /// Generations that may wait behind the running one of a cell.
    pub queue: u32,
    /// Threads of each cell.
    pub threads: usize,
    /// Cells at once for all tenants together.
    pub max_cells: usize,
    /// Until a started cell answers.
    pub start_timeout: Duration,
    /// After which an unused cell is stopped.
    pub idle_stop: Duration,
    /// For a whole call.
    pub total_timeout: Duration,
}

const TABLE: &str = "upstream";
const MOST_EXTRA_FIELDS: usize = 64;

pub(super) fn check(entries: &[file::Upstream]) -> Result<Vec<UpstreamSettings>, ConfigError> {
    let mut names = BTreeSet::new();
    entries
        .iter()
        .map(|entry| {
            let (name, kind) = match entry {
                file::Upstream::OpenAi(entry) => {
                    (&entry.name, UpstreamKind::OpenAi(open_ai(entry)?))
                }
                file::Upstream::Cell(entry) => (&entry.name, UpstreamKind::Cell(cell(entry)?)),
            };
            let legal = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            };
            if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
                return Err(wrong(name, "a name is 1 to 64 of a-z 0-9 - _"));
            }
            if !names.insert(name) {
                return Err(wrong(name, "the name stands twice"));
            }
            Ok(UpstreamSettings {
                name: name.clone(),
                kind,
            })
        })
        .collect()
}

fn open_ai(entry: &file::OpenAi) -> Result<OpenAiUpstream, ConfigError> {
    if entry.extra_fields.len() > MOST_EXTRA_FIELDS {
        return Err(wrong(&entry.name, "extra_fields holds more than 64 names"));
    }
    let derived = entry.derived.ok_or_else(|| {
        wrong(
            &entry.name,
            "`derived` is not given: it keeps tenants apart in the server's prefix cache; say openai or vllm, or none where \
             the server keeps no such cache",
        )
    })?;
    check_extra_allowed(&entry.extra_fields).map_err(|bad| wrong(&entry.name, &bad.to_string()))?;
    Ok(OpenAiUpstream {
        base: base(&entry.url).map_err(|problem| wrong(&entry.name, problem))?,
        authorization: entry.key_file.as_deref().map(authorization).transpose()?,
        extra_authorities: entry
            .extra_ca_file
            .as_deref()
            .map(authorities)
            .transpose()?
            .unwrap_or_default(),
        derived,
        extra_fields: entry.extra_fields.clone(),
        max_tokens_field: entry.max_tokens_field.unwrap_or(match derived {
            Derived::OpenAi => MaxTokensField::MaxCompletionTokens,
            Derived::Vllm | Derived::None => MaxTokensField::MaxTokens,
        }),
        connect_timeout: millis("connect_timeout_ms", entry.connect_timeout_ms, 50, 60_000)?,
        first_byte_timeout: millis(
            "first_byte_timeout_ms",
            entry.first_byte_timeout_ms,
            100,
            600_000,
        )?,
        idle_timeout: millis("idle_timeout_ms", entry.idle_timeout_ms, 100, 600_000)?,
        total_timeout: millis("total_timeout_ms", entry.total_timeout_ms, 100, 3_600_000)?,
        max_response_bytes: number(
            "max_response_bytes",
            entry.max_response_bytes,
            1024,
            256 << 20,
        )?,
        keep_idle: millis("keep_idle_ms", entry.keep_idle_ms, 0, 600_000)?,
        max_idle_connections: number("max_idle_connections", entry.max_idle_connections, 0, 1024)?,
    })
}

fn cell(entry: &file::Cell) -> Result<CellUpstream, ConfigError> {
    let context_limit = entry
        .context_limit
        .map(|limit| number("context_limit", limit, 16, 1 << 24))
        .transpose()?;
    let program = std::env::current_exe().map_err(|error| {
        wrong(
            &entry.name,
            &format!("this program's own file is not known ({error})"),
        )
    })?;
    Ok(CellUpstream {
        program,
        args: vec![OsString::from("cell")],
        context_limit: context_limit.and_then(|limit| u32::try_from(limit).ok()),
        queue: u32::try_from(within(TABLE, "queue", entry.queue, 0, 1024)?).unwrap_or(1024),
        model_file: entry.model_file.clone(),
        threads: number("threads", entry.threads, 1, 256)?,
        max_cells: number("max_cells", entry.max_cells, 1, 4096)?,
        start_timeout: millis("start_timeout_ms", entry.start_timeout_ms, 1_000, 600_000)?,
        idle_stop: millis("idle_stop_ms", entry.idle_stop_ms, 1_000, 86_400_000)?,
        total_timeout: millis("total_timeout_ms", entry.total_timeout_ms, 100, 3_600_000)?,
    })
}

/// The base URL with its one `/v1`; both spellings of the file mean the same.
fn base(text: &str) -> Result<Url, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "the url cannot be read")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("the url is not http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the url holds a credential; it belongs in key_file");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the url has a query or fragment");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&if path.ends_with("/v1") {
        path
    } else {
        format!("{path}/v1")
    });
    Ok(url)
}

/// Longest key in bytes.
const LONGEST_KEY: usize = 4096;

fn authorization(path: &Path) -> Result<HeaderValue, ConfigError> {
    let problem = |problem: &str| ConfigError::File {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let text =
        Zeroizing::new(fs::read_to_string(path).map_err(|error| problem(&error.to_string()))?);
    let key = text.trim();
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(problem("a key is one line of 1 to 4096 bytes"));
    }
    bearer(key).ok_or_else(|| problem("a key is one line of printable characters"))
}

/// `Bearer key`, marked sensitive. None if the key holds what a header cannot.
pub(crate) fn bearer(key: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {key}"));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let problem = |problem: String| ConfigError::File {
        path: path.to_owned(),
        problem,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| problem(format!("the certificates cannot be read ({error})")))?;
    if found.is_empty() {
        return Err(problem("it holds no certificate".to_owned()));
    }
    Ok(found)
}

fn wrong(name: &str, problem: &str) -> ConfigError {
    ConfigError::Entry {
        table: TABLE,
        name: name.to_owned(),
        problem: problem.to_owned(),
    }
}

fn number(field: &'static str, value: u64, least: u64, most: u64) -> Result<usize, ConfigError> {
    // every bound here fits 32 bits
    within(TABLE, field, value, least, most)
        .map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

fn millis(field: &'static str, value: u64, least: u64, most: u64) -> Result<Duration, ConfigError> {
    within(TABLE, field, value, least, most).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_with_and_without_v1_mean_the_same() {
        for (text, expected) in [
            ("https://api.example.com", Ok("https://api.example.com/v1")),
            ("https://api.example.com/", Ok("https://api.example.com/v1")),
            (
                "https://api.example.com/v1",
                Ok("https://api.example.com/v1"),
            ),
            (
                "https://api.example.com/v1/",
                Ok("https://api.example.com/v1"),
            ),
            (
                "http://10.0.0.7:8000/serve/llm",
                Ok("http://10.0.0.7:8000/serve/llm/v1"),
            ),
            ("ftp://api.example.com", Err("the url is not http or https")),
            (
                "https://key@api.example.com",
                Err("the url holds a credential; it belongs in key_file"),
            ),
            (
                "https://api.example.com/?a=b",
                Err("the url has a query or fragment"),
            ),
            ("nonsense", Err("the url cannot be read")),
        ] {
            assert_eq!(
                base(text).map(String::from),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn an_upstream_key_does_not_show_in_debug() {
        assert!(!format!("{:?}", bearer("sk-very-secret").unwrap()).contains("secret"));
        assert!(bearer("two\nlines").is_none());
    }
}
