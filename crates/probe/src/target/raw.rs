//! The target byte by byte, for what no HTTP library would send.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::budget::Budget;
use super::client::Client;
use crate::http1::{Head, Reader};
use crate::verdict::Trouble;

/// Trusts the public authorities.
pub(super) fn tls() -> ClientConfig {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[expect(
        clippy::expect_used,
        reason = "the provider supports the versions that it is built with"
    )]
    let builder = builder
        .with_safe_default_protocol_versions()
        .expect("versions of ring");
    builder.with_root_certificates(roots).with_no_client_auth()
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How to reach the target with a socket.
#[derive(Clone)]
pub struct Dial {
    host: Arc<str>,
    port: u16,
    prefix: Arc<str>,
    tls: Option<TlsConnector>,
    budget: Arc<Budget>,
}

/// An answer that came whole, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// Its head, as it was written.
    pub head: Head,
    /// Its body, chunks taken out of their frames.
    pub body: Bytes,
}

impl RawAnswer {
    /// HTTP status; 0 where the first line is none of HTTP/1.
    pub fn status(&self) -> u16 {
        self.head.status().unwrap_or(0)
    }

    /// Whether the status is 2xx.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status())
    }
}

/// One connection.
pub struct Socket {
    reader: Reader<ReadHalf<Box<dyn Wire>>>,
    writer: WriteHalf<Box<dyn Wire>>,
    opened: Instant,
    most: Duration,
}

impl Dial {
    /// To the gateway at this URL.
    ///
    /// # Errors
    /// [`Trouble::Unexpected`] where the URL has no host or port.
    pub fn new(target: &Url, budget: Arc<Budget>) -> Result<Dial, Trouble> {
        let missing = || Trouble::Unexpected("the target's URL has no host".to_owned());
        let host = target.host_str().ok_or_else(missing)?;
        let path = target.path().trim_end_matches('/');
        let path = path
            .strip_suffix("/v1")
            .unwrap_or(path)
            .trim_end_matches('/');
        Ok(Dial {
            host: host.into(),
            port: target.port_or_known_default().ok_or_else(missing)?,
            prefix: path.into(),
            tls: (target.scheme() == "https").then(|| TlsConnector::from(Arc::new(tls()))),
            budget,
        })
    }

    /// What belongs into `Host`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A path of the target as it must stand in a request line: with the prefix of the base URL.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A whole `POST` by that tenant with these further header lines (without line ends), byte for byte, `Connection:
    /// close` left to the caller.
    pub fn post(&self, who: &Client, path: &str, lines: &[String], body: &Value) -> Vec<u8> {
        let body = body.to_string();
        let mut text = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.path(path),
            self.authority(),
            who.authorization(),
            body.len()
        );
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(&body);
        text.into_bytes()
    }

    /// Opens a connection; that counts as one request, and all that happens on it has the time of one.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn open(&self) -> Result<Socket, Trouble> {
        let most = self.budget.spend()?;
        let opened = Instant::now();
        let wire = tokio::time::timeout(most, self.connect()).await;
        let wire = wire.map_err(|_| Trouble::TimedOut)?.map_err(broken)?;
        let (from, to) = tokio::io::split(wire);
        Ok(Socket {
            reader: Reader::new(from),
            writer: to,
            opened,
            most,
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        // a literal IPv6 address has brackets in a URL and none here
        let name = self.host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((name, self.port)).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, tcp).await?))
    }

    /// Sends these bytes on a connection of their own and reads one answer, to a request of that method.
    ///
    /// # Errors
    /// Trouble on the way; an answer that breaks off too.
    pub async fn exchange(&self, method: &str, bytes: &[u8]) -> Result<RawAnswer, Trouble> {
        let mut socket = self.open().await?;
        // a gateway that refuses by the head alone may stop reading before everything is written
        let written = socket.write(bytes).await;
        match socket.answer(method).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(written
                .err()
                .unwrap_or_else(|| Trouble::Connection("closed without an answer".to_owned()))),
            Err(why) => Err(written.err().unwrap_or(why)),
        }
    }
}

impl Socket {
    async fn in_time<T>(
        most: Duration,
        opened: Instant,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Trouble> {
        let left = most.saturating_sub(opened.elapsed());
        let done = tokio::time::timeout(left, work).await;
        done.map_err(|_| Trouble::TimedOut)?.map_err(broken)
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let writer = &mut self.writer;
        let work = async {
            writer.write_all(bytes).await?;
            writer.flush().await
        };
        Socket::in_time(self.most, self.opened, work).await
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn finish(&mut self) -> Result<(), Trouble> {
        Socket::in_time(self.most, self.opened, self.writer.shutdown()).await
    }

    /// The next answer, to a request of that method; none where the connection ended. Interim answers (1xx) are skipped.
    ///
    /// # Errors
    /// Trouble on the way; an answer that breaks off too.
    pub async fn answer(&mut self, method: &str) -> Result<Option<RawAnswer>, Trouble> {
        let reader = &mut self.reader;
        let work = async {
            loop {
                let Some(head) = reader.head().await? else {
                    return Ok(None);
                };
                if matches!(head.status(), Some(100 | 102..=199)) {
                    continue;
                }
                let body = reader.body(head.response_framing(method)).await?;
                return Ok(Some(RawAnswer { head, body }));
            }
        };
        Socket::in_time(self.most, self.opened, work).await
    }

    /// What arrives next, whatever it is, with its time since the connection was opened; none where it ended.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn bytes(&mut self) -> Result<Option<(Duration, usize)>, Trouble> {
        let read = Socket::in_time(self.most, self.opened, self.reader.more()).await?;
        Ok((read > 0).then(|| (self.opened.elapsed(), read)))
    }

    /// Everything that has arrived and was not taken as an answer.
    pub fn ahead(&self) -> &[u8] {
        self.reader.ahead()
    }
}

fn broken(why: io::Error) -> Trouble {
    Trouble::Connection(why.to_string())
}
