//! The listener's promises, over raw sockets: what one connection may cost, and that a head means one thing only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::post};
use gateway::{
    config::ListenLimits,
    listen::{Drained, serve},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const LIMITS: ListenLimits = ListenLimits {
    max_connections: 8,
    max_head_bytes: 4096,
    max_headers: 16,
    head_timeout: Duration::from_millis(300),
    idle_timeout: Duration::from_millis(900),
    write_stall: Duration::from_millis(300),
    drain: Duration::from_millis(500),
};

struct House {
    address: SocketAddr,
    asked: Arc<AtomicU32>,
    gate: Arc<Notify>,
    stop: CancellationToken,
    served: JoinHandle<Drained>,
}

/// `/echo` gives the body back, `/gate` waits for the gate, `/endless` never ends.
async fn house(limits: ListenLimits) -> House {
    let (asked, gate, stop) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(Notify::new()),
        CancellationToken::new(),
    );
    let (count, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let router = Router::new()
        .route(
            "/echo",
            post(move |body: String| async move {
                count.fetch_add(1, Ordering::SeqCst);
                body
            }),
        )
        .route("/gate", post(move || async move { wait.notified().await }))
        .route(
            "/endless",
            post(|| async {
                let block = bytes::Bytes::from(vec![b'x'; 65_536]);
                Body::from_stream(futures_util::stream::repeat_with(move || {
                    Ok::<_, std::io::Error>(block.clone())
                }))
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(listener, router, limits, stop.clone()));
    House {
        address,
        asked,
        gate,
        stop,
        served,
    }
}

impl House {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends the bytes and reads until the server closes or nothing more comes for 200 ms.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        // the server may refuse and close before everything is written
        let _ = socket.write_all(bytes).await;
        read_what_comes(&mut socket).await
    }
}

async fn read_what_comes(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read)) = timeout(Duration::from_millis(200), socket.read(&mut buffer)).await {
        if read == 0 {
            all.extend_from_slice(b"<closed>");
            break;
        }
        all.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Waits until the server closes; fails if it has not within five seconds.
async fn closed(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = timeout(Duration::from_secs(5), socket.read_to_end(&mut all))
        .await
        .expect("the server never closed");
    String::from_utf8_lossy(&all).into_owned()
}

const ECHO: &str = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_head_that_reads_two_ways_is_refused_and_its_connection_closed() {
    let house = house(LIMITS).await;
    let long = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
        "a".repeat(8192)
    );
    let many = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "a: b\r\n".repeat(32)
    );
    let smuggled = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nX";
    let cases = [
        ("400", "POST /echo HTTP/1.1\r\n\r\n".to_owned()),
        ("400", "POST /echo HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned()),
        ("400", "POST /echo HTTP/1.1\r\nhost: x/?\r\n\r\n".to_owned()),
        ("400", "POST http://x/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi".to_owned()),
        ("400", "CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("400", "POST /echo HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nPRI * HTTP/2.0".to_owned()),
        ("400", "POST /echo HTTP/1.1\r\nhost: x\r\nauthorization: a\r\nAuthorization: b\r\n\r\n".to_owned()),
        ("404", "POST //echo HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("404", "POST /%65cho HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("404", "POST /echo; HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("404", "POST /x/../echo HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        // the parser's own refusals
        ("400", format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi{smuggled}")),
        ("400", format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: +2\r\n\r\nhi{smuggled}")),
        ("400", format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length : 2\r\n\r\nhi{smuggled}")),
        ("400", format!("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}")),
        ("400", format!("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}")),
        ("400", format!("POST /echo HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")),
        ("400", format!("POST /echo HTTP/1.1\r\nhost: x\r\n a: folded\r\n\r\n{smuggled}")),
        ("400", "POST /echo HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n".to_owned()),
        ("400", "GARBAGE\r\n\r\n".to_owned()),
        ("431", long),
        ("431", many),
    ];
    for (status, bytes) in cases {
        let said = house.say(bytes.as_bytes()).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status}"))
                || said.starts_with(&format!("HTTP/1.0 {status}")),
            "{bytes:?} -> {said:?}"
        );
        assert!(said.ends_with("<closed>"), "{bytes:?} -> {said:?}");
        assert_eq!(said.matches("HTTP/1.").count(), 1, "{bytes:?} -> {said:?}");
    }
    assert_eq!(house.asked.load(Ordering::SeqCst), 0, "no handler ran");
}

#[tokio::test]
async fn a_length_beside_chunks_is_one_request_and_the_end_of_its_connection() {
    let house = house(LIMITS).await;
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "Transfer-Encoding: Chunked\r\nContent-Length: 0",
    ] {
        let before = house.asked.load(Ordering::SeqCst);
        let said = house
            .say(
                format!(
                    "POST /echo HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n2\r\nhi\r\n0\r\n\r\n{ECHO}"
                )
                .as_bytes(),
            )
            .await;
        assert!(said.ends_with("hi<closed>"), "{framing} -> {said:?}");
        assert_eq!(
            said.matches("HTTP/1.1 200").count(),
            1,
            "{framing} -> {said:?}"
        );
        assert_eq!(house.asked.load(Ordering::SeqCst) - before, 1);
    }
}

#[tokio::test]
async fn broken_chunks_never_become_a_second_request() {
    let house = house(LIMITS).await;
    for body in [
        "zz\r\nhi\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhi",
        "2\r\nhiXX0\r\n\r\n",
        "-1\r\nhi\r\n0\r\n\r\n",
    ] {
        let said = house.say(format!("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{body}{ECHO}").as_bytes()).await;
        assert!(!said.contains("HTTP/1.1 200"), "{body:?} -> {said:?}");
        assert!(said.ends_with("<closed>"), "{body:?} -> {said:?}");
    }
    assert_eq!(house.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn plain_requests_keep_their_connection_and_both_http_versions_are_served() {
    let house = house(LIMITS).await;
    let mut socket = house.connect().await;
    for _ in 0..3 {
        socket.write_all(ECHO.as_bytes()).await.unwrap();
        let said = read_what_comes(&mut socket).await;
        assert!(
            said.starts_with("HTTP/1.1 200") && said.ends_with("hi"),
            "{said:?}"
        );
    }
    let said = house
        .say(b"POST /echo HTTP/1.0\r\ncontent-length: 2\r\n\r\nhi")
        .await;
    assert!(
        said.starts_with("HTTP/1.0 200") && said.ends_with("hi<closed>"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_head_that_drips_is_cut_though_every_byte_resets_nothing() {
    let house = house(LIMITS).await;
    // on a new connection, and again after a request was served
    for first in ["", ECHO] {
        let mut socket = house.connect().await;
        if !first.is_empty() {
            socket.write_all(first.as_bytes()).await.unwrap();
            assert!(read_what_comes(&mut socket).await.ends_with("hi"));
        }
        let began = std::time::Instant::now();
        let (mut reading, mut writing) = socket.split();
        let drip = async {
            for byte in "POST /echo HTTP/1.1\r\nhost: x\r\nx: "
                .bytes()
                .chain(std::iter::repeat(b'a'))
            {
                if writing.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let cut = async {
            let mut all = Vec::new();
            let _ = reading.read_to_end(&mut all).await;
        };
        tokio::select! { () = drip => {}, () = cut => {} }
        assert!(
            began.elapsed() < Duration::from_millis(800),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn silent_and_idle_connections_are_closed() {
    let house = house(LIMITS).await;
    let mut silent = house.connect().await;
    assert_eq!(closed(&mut silent).await, "");
    let mut idle = house.connect().await;
    idle.write_all(ECHO.as_bytes()).await.unwrap();
    assert!(closed(&mut idle).await.ends_with("hi"));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let house = house(ListenLimits {
        max_connections: 1,
        ..LIMITS
    })
    .await;
    let mut stuck = house.connect().await;
    stuck
        .write_all(b"POST /endless HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    // its slot is the only one: another caller is served once it has been cut
    let mut next = house.connect().await;
    next.write_all(ECHO.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(Duration::from_secs(5), next.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn at_shutdown_calls_in_flight_finish_and_idle_connections_close() {
    let house = house(LIMITS).await;
    let mut idle = house.connect().await;
    idle.write_all(ECHO.as_bytes()).await.unwrap();
    assert!(read_what_comes(&mut idle).await.ends_with("hi"));
    let mut busy = house.connect().await;
    busy.write_all(b"POST /gate HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_what_comes(&mut busy).await, "");
    house.stop.cancel();
    closed(&mut idle).await;
    house.gate.notify_one();
    assert!(closed(&mut busy).await.starts_with("HTTP/1.1 200"));
    assert_eq!(house.served.await.unwrap(), Drained::Whole);
}

#[tokio::test]
async fn a_call_that_outlives_the_drain_limit_is_cut() {
    let house = house(LIMITS).await;
    let mut busy = house.connect().await;
    busy.write_all(b"POST /gate HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_what_comes(&mut busy).await, "");
    house.stop.cancel();
    assert_eq!(closed(&mut busy).await, "");
    assert_eq!(house.served.await.unwrap(), Drained::Cut(1));
}
