//! An upstream that does everything wrong, on a raw socket. The model that is asked for says what it does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::raw::find;

/// What it does, by the name of the model.
pub const WRONGS: [Wrong; 22] = [
    // before there is a head
    wrong("closes", &[], End::Close),
    wrong("resets", &[], End::Reset),
    wrong("hangs", &[], End::Hang),
    wrong("garbage", &[b"\x00\x01\x02 this is not HTTP\r\n\r\n"], End::Close),
    wrong("ssh", &[b"SSH-2.0-OpenSSH_9.9\r\n"], End::Close),
    wrong("half-a-head", &[b"HTTP/1.1 200 OK\r\ncontent-type: app"], End::Hang),
    wrong("endless-head", &[b"HTTP/1.1 200 OK\r\n"], End::Repeat(b"x-more: of the same\r\n")),
    // with a head, and something else behind it
    wrong("html", &[b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"], End::Close),
    wrong("empty", &[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n"], End::Close),
    wrong("no-answer", &[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"], End::Close),
    wrong("not-json", &[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{\"ch "], End::Close),
    wrong("half-a-body", &[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{\"id\""], End::Close),
    wrong("stalls", &[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{\"id\""], End::Hang),
    wrong("endless", &[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"], End::Repeat(b"4\r\n    \r\n")),
    wrong("moved", &[b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/elsewhere\r\ncontent-length: 0\r\n\r\n"], End::Close),
    wrong("switches", &[b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"], End::Hang),
    wrong("five-hundred", &[b"HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: 44\r\n\r\n{\"error\":{\"message\":\"sk-operators-own-key\"}}"], End::Close),
    // streams: a good beginning each
    wrong("stream-closes", &[STREAM, HELLO], End::Close),
    wrong("stream-resets", &[STREAM, HELLO], End::Reset),
    wrong("stream-stalls", &[STREAM, HELLO], End::Hang),
    wrong("stream-garbage", &[STREAM, HELLO, b"17\r\ndata: {\"not\": a chunk\n\n\r\n"], End::Hang),
    wrong("stream-long-line", &[STREAM, HELLO], End::Repeat(b"8\r\nxxxxxxxx\r\n")),
];

/// Goes on saying something for ever; not wrong in form, and cut at what was reserved.
pub const ENDLESS_STREAM: Wrong = wrong("stream-endless", &[STREAM, HELLO], End::Repeat(HELLO));

const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const HELLO: &[u8] = b"7f\r\ndata: {\"id\":\"u\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n\r\n";

#[derive(Clone, Copy)]
pub struct Wrong {
    pub name: &'static str,
    says: &'static [&'static [u8]],
    then: End,
}

#[derive(Clone, Copy)]
enum End {
    Close,
    Reset,
    /// Says nothing more until the other side closes.
    Hang,
    /// Says this until the other side closes.
    Repeat(&'static [u8]),
}

const fn wrong(name: &'static str, says: &'static [&'static [u8]], then: End) -> Wrong {
    Wrong { name, says, then }
}

pub struct BrokenUpstream {
    pub url: String,
    open: Arc<AtomicUsize>,
}

impl BrokenUpstream {
    pub fn start() -> BrokenUpstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    serve(socket);
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        BrokenUpstream { url, open }
    }

    /// Connections that the gateway has not let go of.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn serve(mut socket: TcpStream) {
    let Some(request) = request(&mut socket) else {
        return;
    };
    let all = WRONGS.iter().chain([&ENDLESS_STREAM]);
    let wrong = all
        .copied()
        .find(|wrong| find(&request, format!("\"model\":\"{}\"", wrong.name).as_bytes()).is_some());
    let wrong =
        wrong.unwrap_or_else(|| panic!("which wrong? {}", String::from_utf8_lossy(&request)));
    for piece in wrong.says {
        if socket.write_all(piece).is_err() {
            return;
        }
    }
    match wrong.then {
        End::Close => {}
        // closing with something unread makes it a reset
        End::Reset => _ = socket.set_read_timeout(None),
        End::Hang => _ = socket.read(&mut [0; 64]),
        End::Repeat(piece) => while socket.write_all(piece).is_ok() {},
    }
}

/// A whole request; for a reset, all but its last byte is read.
fn request(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0; 1];
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
            let resets = find(&bytes, b"resets\"").is_some();
            if bytes.len() >= end + 4 + length - usize::from(resets) {
                return Some(bytes);
            }
        }
        match socket.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return None,
        }
    }
}
