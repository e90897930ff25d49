//! A connection that breaks during a commit: before the server got it, or before the client heard that it was done.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::postgres::server::{Database, own_server};
use super::postgres::{call, open_store, until};
use super::*;

const PASS: u8 = 0;
/// The next commit is not passed on.
const BEFORE: u8 = 1;
/// The next commit is passed on, and its answer is not.
const AFTER: u8 = 2;

/// The message that commits ("Frontend/Backend Protocol", simple query).
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Stands between the client and the server, and cuts where it is told to.
fn proxy(socket: PathBuf, mode: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = UnixStream::connect(&socket).unwrap();
            pass(client, server, Arc::clone(&mode));
        }
    });
    port
}

fn pass(client: TcpStream, server: UnixStream, mode: Arc<AtomicU8>) {
    let swallow = Arc::new(AtomicBool::new(false));
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut from_server, mut to_client) = (server, client);
    let swallowing = Arc::clone(&swallow);
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(read @ 1..) = from_client.read(&mut bytes) {
            let commits = bytes[..read].windows(COMMIT.len()).any(|at| at == COMMIT);
            let told = if commits {
                mode.swap(PASS, Ordering::SeqCst)
            } else {
                PASS
            };
            if told == BEFORE {
                break;
            }
            swallowing.fetch_or(told == AFTER, Ordering::SeqCst);
            if to_server.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
        let _ = from_client.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(read @ 1..) = from_server.read(&mut bytes) {
            if swallow.load(Ordering::SeqCst) || to_client.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = from_server.shutdown(Shutdown::Both);
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

#[test]
fn what_a_broken_commit_left_in_doubt_is_recorded_once() {
    let Some(server) = own_server() else {
        return;
    };
    let waiting = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for cut in [BEFORE, AFTER] {
        let direct = server.database();
        let mode = Arc::new(AtomicU8::new(PASS));
        let port = proxy(server.socket(), Arc::clone(&mode));
        let database = Database {
            address: format!("postgres://{0}@127.0.0.1:{port}/{0}", direct.name),
            name: direct.name,
        };
        let store = open_store(&database);
        let db = store.tenant(1);

        mode.store(cut, Ordering::SeqCst);
        let mut noted = db
            .note_first(begins(call(1), "small", 30, now()), now())
            .unwrap();
        assert_eq!(
            waiting.block_on(noted.recorded()),
            Err(StoreError::Unclear),
            "{cut}"
        );
        // the call was refused and did not happen; its end is noted all the same
        db.note_last(ends(call(1), 0), now());
        until("writes are taken again", || append(&db).is_ok());
        assert_eq!(size(&db), 3, "{cut}");

        mode.store(cut, Ordering::SeqCst);
        assert_eq!(append(&db), Err(StoreError::Unclear), "{cut}");
        until("writes are taken again", || append(&db).is_ok());
        let done = u64::from(cut == AFTER);
        assert_eq!(size(&db), 4 + done, "{cut}");

        sign(&db);
        let report = verify(&db);
        assert_eq!(
            (
                report.records,
                report.open_calls,
                report.models["small"].calls
            ),
            (4 + done, 0, 1),
            "{cut}"
        );
        drop(db);
        // the tree in the database is that of the records: opening checks it
        assert_eq!(size(&store.tenant(1)), 4 + done);
    }
}
