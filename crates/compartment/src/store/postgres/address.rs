//! Where the database is, and how a connection to it is made.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config, NoTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use crate::store::StoreError;

/// How long the server has to take a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a peer may be silent, with data on its way, before the connection is given up.
const SILENT: Duration = Duration::from_secs(10);

/// What every session sets: where the tables are, and bounds for statements, locks and forgotten transactions.
const SESSION: &str = "SET search_path = cofferdam; SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '60s'; SET synchronous_commit = on; SET client_min_messages = warning";

/// The address of a Postgres database.
#[derive(Clone)]
pub struct PostgresAddress {
    config: Box<Config>,
    /// `None` where the connection is in the clear.
    tls: Option<MakeRustlsConnect>,
}

impl PostgresAddress {
    /// Reads a `postgres://user@host:port/database` address. A password in it is refused: it would stand in a
    /// configuration file; `password` is where it comes from.
    ///
    /// `sslmode` is `disable`, `require` or `verify-full`; the latter two are the same here, because a certificate is
    /// always checked, against the shipped roots or those in the PEM file that `sslrootcert` names. Without it, TLS is
    /// required, but for a loopback address or a socket.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence for whoever wrote the configuration.
    pub fn parse(address: &str, password: Option<&str>) -> Result<Self, String> {
        let mut url =
            Url::parse(address).map_err(|error| format!("the address is no URL: {error}"))?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            return Err("the address does not begin with postgres://".to_owned());
        }
        if url.password().is_some() {
            return Err("the address holds a password; put it into a file of its own".to_owned());
        }
        let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
        for (name, value) in url.query_pairs() {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => roots = Some(PathBuf::from(&*value)),
                _ => rest.push((name.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
        let mut config: Config = url
            .as_str()
            .parse()
            .map_err(|error: postgres::Error| format!("the address is not valid: {error}"))?;
        let encrypted = match mode.as_deref() {
            None => !config.get_hosts().iter().all(is_here),
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(other) => {
                return Err(format!(
                    "sslmode \"{other}\" is not known here; use disable, require or verify-full"
                ));
            }
        };
        config
            .ssl_mode(if encrypted {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .application_name("cofferdam")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENT)
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3);
        if let Some(password) = password {
            config.password(password);
        }
        let tls = encrypted.then(|| tls(roots)).transpose()?;
        Ok(Self {
            config: Box::new(config),
            tls,
        })
    }

    /// Connects. Blocks.
    pub(in crate::store) fn connect(&self) -> Result<Client, StoreError> {
        let connected = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        let mut client = connected.inspect_err(|error| {
            let why = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            tracing::warn!(why, "the database takes no connection");
        })?;
        client.batch_execute(SESSION)?;
        Ok(client)
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAddress")
            .field("hosts", &self.config.get_hosts())
            .field("database", &self.config.get_dbname())
            .field("encrypted", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether it is this machine: what goes there is not on any wire.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .trim_matches(['[', ']'])
                    .parse::<IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback())
        }
    }
}

fn tls(roots: Option<PathBuf>) -> Result<MakeRustlsConnect, String> {
    let mut trusted = RootCertStore::empty();
    match roots {
        None => trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let unreadable = |error: &dyn fmt::Display| {
                format!("sslrootcert {} cannot be read: {error}", path.display())
            };
            for certificate in
                CertificateDer::pem_file_iter(&path).map_err(|error| unreadable(&error))?
            {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                trusted
                    .add(certificate)
                    .map_err(|error| unreadable(&error))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_over_a_network_is_encrypted_unless_somebody_says_otherwise() {
        for (address, encrypted) in [
            ("postgres://u@db.example/d", Some(true)),
            ("postgres://u@db.example/d?sslmode=require", Some(true)),
            ("postgres://u@db.example/d?sslmode=verify-full", Some(true)),
            ("postgres://u@db.example/d?sslmode=disable", Some(false)),
            ("postgres://u@127.0.0.1:5432/d", Some(false)),
            ("postgres://u@localhost/d", Some(false)),
            ("postgres://u@localhost/d?sslmode=require", Some(true)),
            ("postgres:///d?host=/run/postgresql&user=u", Some(false)),
            ("postgres://u@127.0.0.1,db.example/d", Some(true)),
            ("postgres://u@db.example/d?sslmode=prefer", None),
            ("postgres://u:secret@db.example/d", None),
            ("mysql://u@db.example/d", None),
            ("not an address", None),
            ("postgres://u@db.example/d?sslrootcert=/nowhere.pem", None),
        ] {
            let parsed = PostgresAddress::parse(address, Some("hush"));
            assert_eq!(
                parsed.as_ref().ok().map(|parsed| parsed.tls.is_some()),
                encrypted,
                "{address}: {:?}",
                parsed.err()
            );
        }
    }

    #[test]
    fn no_password_is_shown() {
        let address = PostgresAddress::parse("postgres://u@localhost/d", Some("hush")).unwrap();
        assert!(!format!("{address:?}").contains("hush"));
    }
}
