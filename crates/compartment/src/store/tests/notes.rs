//! What calls note: recorded at once, brought into the file later, and never lost in between.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::*;

fn call(n: u64) -> CallId {
    CallId::from_bytes(u128::from(n).to_be_bytes())
}

fn start(db: &TenantDb, n: u64) {
    begin(db, begins(call(n), "small", 30, now()), now());
}

fn is_over(db: &TenantDb, n: u64) -> Option<bool> {
    let row = db.read_now(|c| c.call(&call(n))).unwrap();
    row.map(|row| row.end.is_some())
}

/// The segments of the log, oldest first.
fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("log"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

/// What a killed process leaves in `folder`: everything but what it had in memory.
fn as_killed(folder: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    std::fs::create_dir(left.path().join("log")).unwrap();
    for file in ["store.db", "store.db-wal"] {
        std::fs::copy(folder.join(file), left.path().join(file)).unwrap();
    }
    for file in segments(folder) {
        let name = file.file_name().unwrap();
        std::fs::copy(&file, left.path().join("log").join(name)).unwrap();
    }
    left
}

#[test]
fn notes_are_brought_in_by_the_next_write_and_stand_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    start(&db, 1);
    start(&db, 2);
    db.note_last(ends(call(1), 7), now());
    assert_eq!((is_over(&db, 1), size(&db)), (None, 0));
    assert_eq!(append(&db), Ok(3));
    assert_eq!(
        (is_over(&db, 1), is_over(&db, 2)),
        (Some(true), Some(false))
    );
    sign(&db);
    assert_eq!(verify(&db).records, 4);
}

#[test]
fn many_notes_are_brought_in_although_nobody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for n in 0..1024 {
        start(&db, n);
    }
    while size(&db) < 1024 {
        std::thread::yield_now();
    }
}

#[test]
fn a_write_that_fails_gives_its_number_to_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    start(&db, 1);
    let failing = db.submit(|t| {
        t.append(record(), now())?;
        Err::<(), _>(StoreError::Closed)
    });
    assert!(failing.unwrap().wait().is_err());
    start(&db, 2);
    bring_in(&db);
    sign(&db);
    assert_eq!((size(&db), verify(&db).records), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_is_recorded_and_a_note_becomes_durable() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = tokio::task::block_in_place(|| scribes_in(folder.path(), 1));
    let db = Arc::new(tokio::task::block_in_place(|| {
        open(folder.path(), &scribes)
    }));
    let mut noted = db
        .note_first(begins(call(1), "small", 30, now()), now())
        .unwrap();
    noted.recorded().await.unwrap();
    assert_eq!(noted.durable().await, Ok(()));
    let row = db.read(|c| c.call(&call(1))).await.unwrap();
    assert!(row.is_some());
}

#[test]
fn what_a_killed_process_noted_is_brought_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    start(&db, 1);
    bring_in(&db);
    db.note_last(ends(call(1), 7), now());
    start(&db, 2);
    let left = as_killed(folder.path());
    // twice: a process that dies again before it has removed the log finds it again
    for _ in 0..2 {
        let scribes = scribes_in(left.path(), 1);
        let db = open(left.path(), &scribes);
        assert_eq!(
            (is_over(&db, 1), is_over(&db, 2)),
            (Some(true), Some(false))
        );
        sign(&db);
        assert_eq!((size(&db), verify(&db).records), (3, 3));
    }
}

#[test]
fn behind_a_gap_in_the_log_nothing_is_brought_in() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for n in 0..5 {
        start(&db, n);
    }
    let left = as_killed(folder.path());
    let file = segments(left.path()).pop().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let third: usize = text.lines().take(2).map(|line| line.len() + 1).sum();
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    // a block that never reached the disk is zeros, line breaks and all
    file.write_all_at(&[0; 40], third as u64).unwrap();
    let scribes = scribes_in(left.path(), 1);
    let db = open(left.path(), &scribes);
    assert_eq!(size(&db), 2);
    start(&db, 9);
    bring_in(&db);
    sign(&db);
    assert_eq!(verify(&db).records, 3);
}

#[test]
fn a_segment_stays_until_its_tenants_are_opened_or_its_notes_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let first = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &first);
    start(&db, 1);
    let left = as_killed(folder.path());
    // nobody opens the tenant, again and again
    for _ in 0..3 {
        let scribes = scribes_in(left.path(), 1);
        assert!(scribes.log().turn(false).unwrap());
        scribes.log().turned().unwrap();
        assert_eq!(segments(left.path()).len(), 1);
    }
    let scribes = scribes_in(left.path(), 1);
    let db = open(left.path(), &scribes);
    assert_eq!(is_over(&db, 1), Some(false));
    scribes.log().turned().unwrap();
    let text = std::fs::read_to_string(segments(left.path()).pop().unwrap()).unwrap();
    assert_eq!(text, "");
}

fn device(path: &str) -> Arc<File> {
    Arc::new(File::options().write(true).open(path).unwrap())
}

#[test]
fn a_full_disk_refuses_calls_keeps_what_was_noted_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    let note = |n| db.note_first(begins(call(n), "small", 30, now()), now());
    let mut first = note(1).unwrap();
    first.hand_over().unwrap();
    // else the sync that it asked for could meet the device that cannot be synced
    let waiting = tokio::runtime::Builder::new_current_thread().build();
    assert_eq!(waiting.unwrap().block_on(first.durable()), Ok(()));
    let file = scribes.log().write_instead(device("/dev/full"));
    // the first one finds out, and is noted: it has to be settled
    assert_eq!(note(2).unwrap().hand_over(), Err(StoreError::Full));
    db.note_last(ends(call(2), 0), now());
    db.note_last(ends(call(1), 7), now());
    for n in 3..300 {
        assert_eq!(note(n).err(), Some(StoreError::Full));
    }
    assert_eq!(scribes.log().unwritten(), 3);
    scribes.log().write_instead(file);
    start(&db, 300);
    assert_eq!(scribes.log().unwritten(), 0);
    let left = as_killed(folder.path());
    let scribes = scribes_in(left.path(), 1);
    let db = open(left.path(), &scribes);
    assert_eq!(
        [1, 2, 3, 300].map(|n| is_over(&db, n)),
        [Some(true), Some(true), None, Some(false)]
    );
    sign(&db);
    assert_eq!(verify(&db).records, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_calls_are_refused_until_their_tenants_files_have_everything() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = tokio::task::block_in_place(|| scribes_in(folder.path(), 1));
    let db = tokio::task::block_in_place(|| open(folder.path(), &scribes));
    let note = |n| db.note_first(begins(call(n), "small", 30, now()), now());
    // it takes writes, and cannot be synced: fsync(2) says EINVAL
    let file = scribes.log().write_instead(device("/dev/null"));
    let mut noted = note(1).unwrap();
    noted.recorded().await.unwrap();
    assert!(noted.durable().await.is_err());
    // the next sync would succeed, and prove nothing
    scribes.log().write_instead(file);
    assert!(note(2).is_err());
    tokio::task::block_in_place(|| {
        assert!(scribes.log().turn(false).unwrap());
        assert!(note(2).is_err());
        sign(&db);
        scribes.log().turned().unwrap();
    });
    let mut noted = note(2).unwrap();
    noted.recorded().await.unwrap();
    assert_eq!(noted.durable().await, Ok(()));
    assert_eq!(is_over(&db, 1), Some(false));
}
