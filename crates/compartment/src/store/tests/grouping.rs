//! Many writes, few transactions; each tenant in turn.

use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;

#[test]
fn writes_that_wait_together_are_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    let (go, first) = hold(&db);
    let before = wal_frames(folder.path());
    let tickets: Vec<_> = (0..200)
        .map(|_| db.submit(|t| t.append(record(), now())).unwrap())
        .collect();
    assert_eq!(db.waiting(), 200);
    go.send(()).unwrap();
    first.wait().unwrap();
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.wait().unwrap(), n as u64);
    }
    assert_eq!(size(&db), 200);
    // 200 transactions by themselves would have written at least 400 pages
    assert!(wal_frames(folder.path()) - before < 100);
}

#[test]
fn a_write_that_fails_or_panics_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    let (go, first) = hold(&db);
    let tickets: Vec<_> = (0..21)
        .map(|n| {
            db.submit(move |t| {
                t.append(record(), now())?;
                t.put_limits(&n.to_string(), b"sealed")?;
                match n % 3 {
                    0 => Ok(()),
                    1 => Err(StoreError::Corrupt("on purpose".to_owned())),
                    _ => panic!("on purpose"),
                }
            })
            .unwrap()
        })
        .collect();
    go.send(()).unwrap();
    first.wait().unwrap();
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.wait().is_ok(), n % 3 == 0, "{n}");
    }
    assert_eq!(size(&db), 7);
    for n in 0..21 {
        let kept = db.read_now(|c| c.limits(&n.to_string())).unwrap();
        assert_eq!(kept.is_some(), n % 3 == 0, "{n}");
    }
    drop(db);
    // the tree on the disk is that of the records: opening checks it
    assert_eq!(size(&open(folder.path(), &scribes)), 7);
}

#[test]
fn a_busy_tenant_does_not_keep_another_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let busy = open(&folder.path().join("busy"), &scribes);
    let quiet = open(&folder.path().join("quiet"), &scribes);
    let other = open(&folder.path().join("other"), &scribes);
    let (go, first) = hold(&other);
    let (tell, order) = channel();
    for _ in 0..2000 {
        let tell = tell.clone();
        let _ticket = busy
            .submit(move |t| {
                t.append(record(), now())
                    .map(|_| tell.send("busy").unwrap())
            })
            .unwrap();
    }
    let _ticket = quiet
        .submit(move |t| {
            t.append(record(), now())
                .map(|_| tell.send("quiet").unwrap())
        })
        .unwrap();
    go.send(()).unwrap();
    first.wait().unwrap();
    let order: Vec<_> = order.iter().collect();
    assert_eq!(order.len(), 2001);
    // one transaction of the busy one, at most, comes before it
    assert!(order.iter().position(|who| *who == "quiet").unwrap() <= 256);
}

#[test]
fn a_queue_that_is_full_refuses_and_empties() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    let (go, first) = hold(&db);
    let mut waiting = 0;
    while db.submit(|_| Ok(())).is_ok() {
        waiting += 1;
    }
    assert!(matches!(db.submit(|_| Ok(())), Err(StoreError::Busy)));
    assert_eq!(db.waiting(), waiting);
    go.send(()).unwrap();
    first.wait().unwrap();
    while db.waiting() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(append(&db), Ok(0));
}

#[test]
fn what_is_submitted_is_written_although_nobody_waits_and_nothing_hangs_once_the_scribes_are_gone()
{
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 2);
    let db = open(folder.path(), &scribes);
    let (go, first) = hold(&db);
    for _ in 0..1000 {
        drop(db.submit(|t| t.append(record(), now())).unwrap());
    }
    go.send(()).unwrap();
    drop(first);
    drop(scribes);
    assert_eq!(size(&db), 1000);
    assert!(matches!(db.submit(|_| Ok(())), Err(StoreError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ticket_answers_twice_and_a_reader_sees_what_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = tokio::task::block_in_place(|| open(folder.path(), &scribes));
    let mut ticket = db.submit(|t| t.append(record(), now())).unwrap();
    assert_eq!(ticket.recorded().await, Ok(0));
    assert_eq!(size(&db), 1);
    // giving up on waiting loses nothing
    let _ = tokio::time::timeout(Duration::ZERO, ticket.durable()).await;
    assert_eq!(ticket.durable().await, Ok(()));
    assert_eq!(ticket.durable().await, Ok(()));
    assert_eq!(ticket.recorded().await, Err(StoreError::Closed));
}
