//! A small client of Cofferdam's own interfaces, for the commands and the quickstart.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::BodyReader;
use wire::openai::error::ErrorBody;

/// Longest answer that is read into memory, in bytes; exports are streamed instead.
const LONGEST_ANSWER: u64 = 64 << 20;
/// A call to the built-in engine on a slow machine takes its time.
const TIMEOUT: Duration = Duration::from_secs(300);

/// One base URL and one credential.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    bearer: String,
}

/// An answer as it came: status and body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(base: &str, key: &str) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        Client {
            agent,
            base: base.trim_end_matches('/').to_owned(),
            bearer: format!("Bearer {key}"),
        }
    }

    /// A client whose key stands in a file, on one line.
    pub fn with_key_file(base: &str, file: &Path) -> Result<Client> {
        let key = std::fs::read_to_string(file).with_context(|| {
            format!(
                "the key file {} cannot be read; name another with --operator-key-file",
                file.display()
            )
        })?;
        Ok(Client::new(base, key.trim()))
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.typed(
            path,
            self.agent
                .get(self.url(path))
                .header("authorization", &self.bearer)
                .call(),
        )
    }

    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.typed(
            path,
            self.agent
                .delete(self.url(path))
                .header("authorization", &self.bearer)
                .call(),
        )
    }

    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.typed(
            path,
            self.agent
                .post(self.url(path))
                .header("authorization", &self.bearer)
                .send_json(body),
        )
    }

    pub fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.typed(
            path,
            self.agent
                .patch(self.url(path))
                .header("authorization", &self.bearer)
                .send_json(body),
        )
    }

    /// The answer whatever its status, for comparing refusals to the byte.
    pub fn raw(&self, path: &str) -> Result<Answer> {
        let called = self
            .agent
            .get(self.url(path))
            .header("authorization", &self.bearer)
            .call();
        self.answer(called)
    }

    /// The body as a stream, for exports and for streamed answers. A refusal is an error.
    pub fn post_stream(&self, path: &str, body: &impl Serialize) -> Result<BodyReader<'static>> {
        let called = self
            .agent
            .post(self.url(path))
            .header("authorization", &self.bearer)
            .send_json(body);
        self.stream(path, called)
    }

    /// As [`Client::post_stream`], for `GET`.
    pub fn get_stream(&self, path: &str) -> Result<BodyReader<'static>> {
        let called = self
            .agent
            .get(self.url(path))
            .header("authorization", &self.bearer)
            .call();
        self.stream(path, called)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn stream(&self, path: &str, called: Called) -> Result<BodyReader<'static>> {
        let answer = self.reached(called)?;
        if answer.status().is_success() {
            return Ok(answer.into_body().into_reader());
        }
        let status = answer.status().as_u16();
        Err(refused(path, status, &body(answer)?))
    }

    fn typed<T: DeserializeOwned>(&self, path: &str, called: Called) -> Result<T> {
        let Answer { status, body } = self.answer(called)?;
        if !(200..300).contains(&status) {
            return Err(refused(path, status, &body));
        }
        serde_json::from_slice(&body).with_context(|| {
            format!("{path} answered something unexpected; is this another version of Cofferdam?")
        })
    }

    fn answer(&self, called: Called) -> Result<Answer> {
        let answer = self.reached(called)?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: body(answer)?,
        })
    }

    fn reached(&self, called: Called) -> Result<ureq::http::Response<ureq::Body>> {
        called.with_context(|| {
            format!(
                "{} was not reached; is `cofferdam serve` running there?",
                self.base
            )
        })
    }
}

type Called = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn body(answer: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>> {
    answer
        .into_body()
        .into_with_config()
        .limit(LONGEST_ANSWER)
        .read_to_vec()
        .context("the answer broke off")
}

/// The message of an OpenAI-shaped refusal.
fn refused(path: &str, status: u16, body: &[u8]) -> anyhow::Error {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(told) => anyhow!("{path}: {} ({status})", told.error.message),
        Err(_) => anyhow!("{path} was refused with status {status}"),
    }
}

/// Writes a secret to a file that only its owner can read. An existing file is left alone.
pub fn keep_secret(file: &Path, secret: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Ok(mut open) => {
            writeln!(open, "{secret}")?;
            open.sync_all()?;
            Ok(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} exists already and was not overwritten", file.display())
        }
        Err(e) => Err(e).with_context(|| format!("{} cannot be written", file.display())),
    }
}
