//! Disks that are full, and disks that fail.

use std::fs::OpenOptions;
use std::process::Command;

use super::*;

/// The file of a tenant that was made before, and what it is to everybody else.
fn opened(folder: &Path, scribes: &Scribes) -> (Arc<TenantFile>, TenantDb) {
    let first = Box::new(|_: &Transaction<'_>| Ok(()));
    let file = TenantFile::open(folder, TENANT, scribes, &|_| Ok(()), first).unwrap();
    let file = Arc::new(file);
    (Arc::clone(&file), TenantDb::new(file))
}

#[test]
fn a_full_file_refuses_keeps_what_was_there_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    drop(open(folder.path(), &scribes));
    let (file, db) = opened(folder.path(), &scribes);
    append(&db).unwrap();
    let here = file.most_pages(1);
    let big = vec![7; 64 * 1024];
    let refused = db.submit(move |t| {
        t.append(record(), now())?;
        t.put_limits("big", &big)
    });
    assert_eq!(refused.unwrap().wait(), Err(StoreError::Full));
    assert_eq!(size(&db), 1);
    file.most_pages(here + 1000);
    assert_eq!(append(&db), Ok(1));
    drop((db, file));
    assert_eq!(size(&open(folder.path(), &scribes)), 2);
}

/// A file system of a given size, gone when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder.path());
        mount
            .output()
            .is_ok_and(|done| done.status.success())
            .then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_keeps_what_was_there_and_recovers() {
    let Some(disk) = Small::mount(2 << 20) else {
        eprintln!("SKIPPED: no tmpfs can be mounted here, which takes root");
        return;
    };
    let (folder, filler) = (disk.0.path().join("tenant"), disk.0.path().join("filler"));
    let log = tempfile::tempdir().unwrap();
    let scribes = scribes_in(log.path(), 1);
    let mut db = open(&folder, &scribes);
    let mut recorded = 0;
    for round in 0..5 {
        // not even one page is left
        let _ = std::fs::write(&filler, vec![0; 4 << 20]);
        let mut refused = 0;
        for n in 0..200 {
            let big = vec![n; 20_000];
            let write = db.submit(move |t| {
                let seq = t.append(record(), now())?;
                t.put_limits("big", &big).map(|()| seq)
            });
            match write.unwrap().wait() {
                Ok(seq) => {
                    assert_eq!(seq, recorded, "round {round}");
                    recorded += 1;
                }
                Err(error) => {
                    assert_eq!(error, StoreError::Full, "round {round}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "round {round}");
        assert_eq!(size(&db), recorded);
        if round % 2 == 1 {
            // what is full can be opened, or says that it is
            drop(db);
            let opened = reopen(&folder, &scribes, |_| Ok(()));
            std::fs::remove_file(&filler).unwrap();
            db = opened.unwrap_or_else(|error| {
                assert_eq!(error, StoreError::Full, "round {round}");
                open(&folder, &scribes)
            });
        } else {
            std::fs::remove_file(&filler).unwrap();
        }
        assert_eq!(size(&db), recorded);
        assert_eq!(append(&db), Ok(recorded), "round {round}");
        recorded += 1;
    }
}

#[test]
fn after_a_failed_sync_nothing_is_called_durable_until_the_tenant_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    drop(open(folder.path(), &scribes));
    let (file, db) = opened(folder.path(), &scribes);
    assert_eq!(append(&db), Ok(0));
    // a device that cannot be synced, which fsync(2) says as EINVAL
    file.sync_instead(OpenOptions::new().write(true).open("/dev/null").unwrap());
    assert_eq!(append(&db), Err(StoreError::Poisoned));
    // the next sync would succeed, and prove nothing
    file.sync_instead(
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.path().join("store.db-wal"))
            .unwrap(),
    );
    for _ in 0..3 {
        assert_eq!(append(&db), Err(StoreError::Poisoned));
    }
    // the first of them was recorded, and a reader may have seen it
    assert_eq!(size(&db), 2);
    drop((db, file));
    let db = open(folder.path(), &scribes);
    assert_eq!(size(&db), 2);
    assert_eq!(append(&db), Ok(2));
}

#[test]
fn opening_leaves_nothing_to_an_unsynced_log() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for _ in 0..20 {
        append(&db).unwrap();
    }
    // as a killed process leaves it: the log full, nobody there
    let left = tempfile::tempdir().unwrap();
    for file in ["store.db", "store.db-wal"] {
        std::fs::copy(folder.path().join(file), left.path().join(file)).unwrap();
    }
    let frames = wal_frames(left.path());
    assert!(frames > 10);
    let db = open(left.path(), &scribes);
    assert!(wal_frames(left.path()) < frames);
    assert_eq!(size(&db), 20);
}
