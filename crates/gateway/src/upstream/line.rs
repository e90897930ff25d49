//! The connections of one tenant to one upstream.
//!
//! Connections, TLS sessions, the breaker on what requests cause and the retry budget all belong to one compartment:
//! nothing that a tenant's request did to a connection can be met by another tenant's. Within a connection a
//! call that is dropped takes its connection with it, so a late answer meets nobody (row 13 of the attack catalogue).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring};

use super::breaker::{Breaker, RetryBudget};
use crate::config::{ConfigError, OpenAiUpstream};

/// Bytes of a response's head, and of the buffer that pieces of its body are read into.
const HEAD_BYTES: usize = 64 * 1024;
/// Header lines of a response.
const HEADERS: usize = 128;
/// TLS sessions a compartment remembers for one upstream.
const TLS_SESSIONS: usize = 8;

/// All lines of one compartment, by upstream; each is made when first used.
pub(crate) struct Lines(Box<[Slot]>);

/// A line and the version of the credential it was made for.
type Slot = Mutex<Option<(u64, Arc<Line>)>>;

impl Lines {
    /// Room for this many upstreams.
    pub(crate) fn new(upstreams: usize) -> Lines {
        Lines((0..upstreams).map(|_| Mutex::default()).collect())
    }

    /// The line to the upstream at `index` for this version of the tenant's credential, made by `dial` if there is none
    /// yet: no connection outlives its credential (row 14 of the attack catalogue). None past the end.
    pub(crate) fn get(
        &self,
        index: usize,
        version: u64,
        dial: impl FnOnce() -> Line,
    ) -> Option<Arc<Line>> {
        let mut line = self.0.get(index)?.lock();
        match &*line {
            Some((made_for, line)) if *made_for == version => Some(Arc::clone(line)),
            _ => {
                let made = Arc::new(dial());
                *line = Some((version, Arc::clone(&made)));
                Some(made)
            }
        }
    }
}

/// One compartment's line to one upstream.
pub(crate) struct Line {
    pub(super) client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Counts what requests can cause.
    pub(super) breaker: Breaker,
    pub(super) retries: RetryBudget,
}

/// How lines to one upstream are made; shared by all compartments and without any state of theirs.
pub(crate) struct Dialler {
    tls: ClientConfig,
    connect_timeout: Duration,
    keep_idle: Duration,
    max_idle_connections: usize,
}

impl Dialler {
    /// Trusts the public authorities and the upstream's own.
    ///
    /// # Errors
    /// A certificate among the upstream's own that is none.
    pub(crate) fn new(name: &str, upstream: &OpenAiUpstream) -> Result<Dialler, ConfigError> {
        let wrong = |problem: String| ConfigError::Entry {
            table: "upstream",
            name: name.to_owned(),
            problem,
        };
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for authority in &upstream.extra_authorities {
            roots
                .add(authority.clone())
                .map_err(|error| wrong(format!("extra_ca_file: {error}")))?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Dialler {
            tls,
            connect_timeout: upstream.connect_timeout,
            keep_idle: upstream.keep_idle,
            max_idle_connections: upstream.max_idle_connections,
        })
    }

    /// A line for one compartment; nothing is connected before its first request.
    pub(crate) fn dial(&self) -> Line {
        let mut tls = self.tls.clone();
        // a resumed session would tie two tenants together in the eyes of whoever watches
        tls.resumption = Resumption::in_memory_sessions(TLS_SESSIONS);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.keep_idle)
            .pool_max_idle_per_host(self.max_idle_connections)
            .http1_max_buf_size(HEAD_BYTES)
            .http1_max_headers(HEADERS)
            .build(connector);
        Line {
            client,
            breaker: Breaker::new(),
            retries: RetryBudget::new(),
        }
    }
}
