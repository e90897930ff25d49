//! Upstreams behind TLS: whom we trust, and that nothing is sent to whom we do not.
//!
//! `tls/` holds a certificate for `localhost`, its key, and the authority that signed it; made for these tests alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod stand;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use stand::{Stand, chat, fake::chat_answer};

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

/// A server that answers one request on each connection; gives its port and what it was sent.
fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let (port, seen) = (
        listener.local_addr().unwrap().port(),
        Arc::new(Mutex::new(Vec::new())),
    );
    let heard = Arc::clone(&seen);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut stream =
                StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            let mut buffer = vec![0; 65_536];
            if let Ok(read) = stream.read(&mut buffer) {
                heard
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                let body = chat_answer("sealed").to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (port, seen)
}

#[tokio::test]
async fn an_upstream_is_trusted_by_its_authority_and_its_name_alone() {
    let (port, seen) = server();
    let trust = format!("extra_ca_file = \"{}\"", file("ca.pem").display());
    for (url, trust, status) in [
        (format!("https://localhost:{port}/v1"), trust.as_str(), 200),
        // the right authority, another name
        (format!("https://127.0.0.1:{port}/v1"), trust.as_str(), 502),
        // the public authorities did not sign it
        (format!("https://localhost:{port}/v1"), "", 502),
    ] {
        let stand = Stand::with(&format!("url = \"{url}\"\n{trust}"), "", |_| vec![]).await;
        let reply = stand
            .post("/v1/chat/completions", &chat("secret words"))
            .await;
        assert_eq!(reply.status, status, "{url} {trust}: {}", reply.text());
    }
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter()
            .filter(|bytes| bytes.contains("sk-operator-key"))
            .count()
            == 1,
        "sent only where trusted: {seen:?}"
    );
}
