//! A listener that nobody should ever call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::row::Bench;
use crate::target::Client;
use crate::verdict::Trouble;

/// How long a call that was steered here may take to come.
const LATE: Duration = Duration::from_millis(200);

/// Counts connections, and ends each with an error; stops when dropped.
pub(super) struct Sink {
    /// Host and port, as the gateway can reach it.
    pub(super) authority: String,
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Sink {
    /// Listens beside the echo upstream, under the name by which the gateway calls that.
    pub(super) async fn open(bench: &Bench, who: &Client) -> Result<Sink, Trouble> {
        let echo = bench.echo()?;
        let (marker, mark) = (bench.canary(), echo.mark());
        who.chat(&format!("Hello {marker}")).await?;
        let arrived = echo.requests_with(mark, marker.text());
        let host = arrived.first().and_then(|request| request.head.get("host"));
        let ip = echo.address().ip();
        let name = host
            .and_then(|host| host.rsplit_once(':'))
            .map_or(host, |(name, _)| Some(name));
        let listener = TcpListener::bind((ip, 0)).await;
        let listener = listener.map_err(|why| Trouble::Connection(why.to_string()))?;
        let address = listener
            .local_addr()
            .map_err(|why| Trouble::Connection(why.to_string()))?;
        let connections = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            loop {
                if let Ok((mut stream, _)) = listener.accept().await {
                    count.fetch_add(1, Ordering::Relaxed);
                    // an answer lets whoever came go on at once, and not come again
                    let _ = stream
                        .write_all(
                            b"HTTP/1.1 403 Sink\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                        )
                        .await;
                }
            }
        });
        Ok(Sink {
            authority: format!("{}:{}", name.unwrap_or("127.0.0.1"), address.port()),
            address,
            connections,
            accepting,
        })
    }

    /// A URL that leads here.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    /// Connections until now.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether a connection comes within a moment after all that was sent.
    pub(super) async fn settled(&self) -> u64 {
        tokio::time::sleep(LATE).await;
        self.connections()
    }

    /// Whether it counts: calls it once itself, and takes that connection out of the count.
    pub(super) async fn is_awake(&self) -> bool {
        let before = self.connections();
        if TcpStream::connect(self.address).await.is_err() {
            return false;
        }
        for _ in 0..100 {
            if self.connections() > before {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
