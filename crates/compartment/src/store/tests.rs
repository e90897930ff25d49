//! The promises of the store.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use evidence::{Actor, Admin, AdminAction, RecordKind};
use jiff::Timestamp;

use super::{Scribes, StoreError, TenantDb, limits, records};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn record() -> RecordKind {
    RecordKind::Admin(Admin { actor: Actor::System, action: AdminAction::LimitsChanged, object: None })
}

fn open(folder: &std::path::Path, scribes: &Scribes) -> TenantDb {
    TenantDb::open(folder, scribes, |_| Ok(())).unwrap()
}

fn size(db: &TenantDb) -> u64 {
    db.read_now(|c| records::size(c)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_that_wait_together_are_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = Scribes::start(1).unwrap();
    let db = tokio::task::block_in_place(|| open(folder.path(), &scribes));
    // the first write holds the scribe until all others wait
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (began, begun) = std::sync::mpsc::channel();
    let first = db
        .submit(move |_| {
            let _ = began.send(());
            wait.recv_timeout(Duration::from_secs(10)).map_err(|_| StoreError::Closed)
        })
        .unwrap();
    begun.recv().unwrap();
    let before = wal_frames(folder.path());
    let tickets: Vec<_> = (0..200).map(|_| db.submit(|t| t.append(record(), now())).unwrap()).collect();
    assert_eq!(db.waiting(), 200);
    go.send(()).unwrap();
    first.settled().await.unwrap();
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.settled().await.unwrap(), n as u64);
    }
    assert_eq!(size(&db), 200);
    // 200 transactions by themselves would have written at least 400 pages
    assert!(wal_frames(folder.path()) - before < 100);
}

fn wal_frames(folder: &std::path::Path) -> u64 {
    std::fs::metadata(folder.join("store.db-wal")).unwrap().len() / 4120
}

#[test]
fn a_write_that_fails_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = Scribes::start(1).unwrap();
    let db = open(folder.path(), &scribes);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let first = db.submit(move |_| wait.recv().map_err(|_| StoreError::Closed)).unwrap();
    let tickets: Vec<_> = (0..20)
        .map(|n| {
            db.submit(move |t| {
                t.append(record(), now())?;
                limits::put(t, &format!("{n}"), b"sealed")?;
                if n % 2 == 0 { Ok(()) } else { Err(StoreError::Corrupt("on purpose".to_owned())) }
            })
            .unwrap()
        })
        .collect();
    go.send(()).unwrap();
    first.wait().unwrap();
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.wait().is_ok(), n % 2 == 0, "{n}");
    }
    assert_eq!(size(&db), 10);
    for n in 0..20 {
        let kept = db.read_now(|c| limits::get(c, &n.to_string())).unwrap();
        assert_eq!(kept.is_some(), n % 2 == 0, "{n}");
    }
    drop(db);
    // the tree on the disk is that of the records: opening checks it
    assert_eq!(size(&open(folder.path(), &scribes)), 10);
}

#[test]
fn a_full_disk_refuses_keeps_what_was_there_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = Scribes::start(1).unwrap();
    let db = open(folder.path(), &scribes);
    db.submit(|t| t.append(record(), now())).unwrap().wait().unwrap();
    let pages = |n: i64| {
        db.submit(move |t| {
            // SQLite answers this pragma with a row
            t.query_row(&format!("PRAGMA max_page_count = {n}"), [], |row| row.get::<_, i64>(0)).map_err(StoreError::from)
        })
        .unwrap()
        .wait()
        .unwrap()
    };
    let here = pages(1);
    let big = vec![7; 64 * 1024];
    let refused = db.submit(move |t| {
        t.append(record(), now())?;
        limits::put(t, "big", &big)
    });
    assert_eq!(refused.unwrap().wait(), Err(StoreError::Full));
    assert_eq!(size(&db), 1);
    pages(here + 1000);
    assert_eq!(db.submit(|t| t.append(record(), now())).unwrap().wait(), Ok(1));
    drop(db);
    assert_eq!(size(&open(folder.path(), &scribes)), 2);
}

#[test]
fn a_journal_changed_behind_our_back_does_not_open() {
    for damage in [
        "UPDATE record SET body = CAST(replace(body, 'system', 'operator') AS BLOB) WHERE seq = 2",
        "DELETE FROM record WHERE seq = 2",
        "DELETE FROM node WHERE place = (SELECT max(place) FROM node)",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let scribes = Scribes::start(1).unwrap();
        let db = open(folder.path(), &scribes);
        for _ in 0..3 {
            db.submit(|t| t.append(record(), now())).unwrap().wait().unwrap();
        }
        drop(db);
        let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
        assert_eq!(file.execute(damage, []).unwrap(), 1, "{damage}");
        drop(file);
        let opened = TenantDb::open(folder.path(), &scribes, |_| Ok(()));
        // a record that is gone from the end leaves a shorter journal, which the signed checkpoint tells
        let shorter = opened.as_ref().is_ok_and(|db| size(db) == 2);
        assert!(shorter || matches!(opened, Err(StoreError::Corrupt(_))), "{damage}");
    }
}

/// The child of [`what_was_recorded_survives_a_killed_process`]: appends records and prints the number of each that is
/// recorded, until it is killed.
#[test]
fn child_that_is_killed() {
    let Some(folder) = std::env::var_os("COFFERDAM_STORE_CHILD") else { return };
    let scribes = Scribes::start(1).unwrap();
    let db = open(folder.as_ref(), &scribes);
    loop {
        let tickets: Vec<_> = (0..5).map(|_| db.submit(|t| t.append(record(), now())).unwrap()).collect();
        for ticket in tickets {
            println!("recorded {}", ticket.wait().unwrap());
        }
    }
}

#[test]
fn what_was_recorded_survives_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = None;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::child_that_is_killed", "--nocapture"])
            .env("COFFERDAM_STORE_CHILD", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut recorded = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            // the test runner may write its own words before ours
            if let Some((_, seq)) = line.split_once("recorded ") {
                last = last.max(seq.trim().parse::<u64>().ok());
                recorded += 1;
            }
            if recorded == 1 + round * 7 % 40 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let scribes = Scribes::start(1).unwrap();
        let db = open(folder.path(), &scribes);
        assert!(size(&db) > last.unwrap(), "round {round}");
        let (first, all) = db
            .read_now(|c| Ok::<_, StoreError>((records::get(c, 0)?, records::page(c, 0, u64::MAX, u32::MAX)?)))
            .unwrap();
        assert_eq!(first.as_ref(), all.first());
        assert_eq!(all.len() as u64, size(&db));
    }
}
