//! A file that was changed behind our back.

use super::*;
use crate::store::Deployment;
use crate::store::embedded::DeploymentFile;

/// A journal of `signed` records under a checkpoint and `more` after it, then `damage`; what opening it says.
fn check(signed: u64, more: u64, damage: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for _ in 0..signed {
        append(&db).unwrap();
    }
    sign(&db);
    for _ in 0..more {
        append(&db).unwrap();
    }
    drop(db);
    drop(scribes);
    let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    assert_ne!(file.execute(damage, []).unwrap(), 0, "{damage}");
    drop(file);
    let scribes = scribes_in(folder.path(), 1);
    // nothing may be written to it before it is checked
    let opened = reopen(folder.path(), &scribes, |t| {
        t.append(record(), now()).map(drop)
    });
    let found = match opened {
        Ok(db) => db
            .read_now(|c| journal::check(c, signing_keys().vkey()))
            .err(),
        Err(error) => Some(error),
    };
    let said = found.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(
        matches!(found, Some(StoreError::Corrupt(_))) && said.contains(expected),
        "{damage}: {said}"
    );
}

#[test]
fn a_journal_that_was_changed_does_not_open() {
    const EDIT: &str =
        "UPDATE record SET body = CAST(replace(body, 'system', 'operator') AS BLOB) WHERE seq =";
    const HASHES: &str = "UPDATE record SET hashes = zeroblob(length(hashes)) WHERE seq =";
    // after the checkpoint, every record counts
    check(
        3,
        300,
        &format!("{EDIT} 3"),
        "not the one its hash was made of",
    );
    check(
        3,
        300,
        &format!("{EDIT} 302"),
        "not the one its hash was made of",
    );
    check(
        0,
        3,
        &format!("{EDIT} 0"),
        "not the one its hash was made of",
    );
    check(
        3,
        3,
        "DELETE FROM record WHERE seq = 4",
        "not the one its hash was made of",
    );
    check(
        3,
        3,
        &format!("{HASHES} 5"),
        "not the one its hash was made of",
    );
    check(
        3,
        3,
        "UPDATE record SET hashes = substr(hashes, 1, 32) WHERE seq = 5",
        "not the one its hash was made of",
    );
    // under it, the tree is held against what was signed
    check(
        3,
        0,
        &format!("{HASHES} 2"),
        "not the one of the newest checkpoint",
    );
    check(
        4,
        2,
        &format!("{HASHES} 3"),
        "not the one of the newest checkpoint",
    );
    check(
        3,
        0,
        &format!("{EDIT} 2"),
        "not the one its hash was made of",
    );
    check(
        3,
        0,
        "DELETE FROM record",
        "fewer records than the newest checkpoint",
    );
    // the checkpoint itself
    check(
        3,
        2,
        "UPDATE checkpoint SET size = 9",
        "fewer records than the newest checkpoint",
    );
    check(
        4,
        2,
        "UPDATE checkpoint SET size = 3",
        "not the one of the newest checkpoint",
    );
    check(
        3,
        2,
        "UPDATE checkpoint SET note = replace(note, 'cofferdam', 'cofferdim')",
        "not signed with its own key",
    );
}

#[test]
fn records_that_were_cut_off_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for _ in 0..4 {
        append(&db).unwrap();
    }
    sign(&db);
    drop(db);
    drop(scribes);
    let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    file.execute_batch("DELETE FROM record WHERE seq >= 2")
        .unwrap();
    drop(file);
    let scribes = scribes_in(folder.path(), 1);
    let opened = reopen(folder.path(), &scribes, |_| Ok(())).err();
    assert!(
        opened
            .unwrap()
            .to_string()
            .contains("fewer records than the newest checkpoint")
    );
}

#[test]
fn checkpoints_are_kept_for_every_256_records_and_the_export_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for n in 0..600 {
        let _ticket = db.submit(|t| t.append(record(), now())).unwrap();
        if n % 50 == 0 {
            sign(&db);
        }
    }
    let sizes = db.read_now(|c| c.checkpoints(0, u64::MAX)).unwrap();
    let sizes: Vec<_> = sizes.into_iter().map(|(size, _)| size).collect();
    assert_eq!(sizes, [251, 501, 551]);
    let report = verify(&db);
    assert_eq!((report.records, report.checkpoints), (551, 3));
}

#[test]
fn a_file_that_is_gone_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    append(&db).unwrap();
    drop(db);
    std::fs::remove_file(folder.path().join("store.db")).unwrap();
    assert_eq!(
        reopen(folder.path(), &scribes, |_| Ok(())).err(),
        Some(StoreError::Missing)
    );
    assert!(!folder.path().join("store.db").exists());
}

#[test]
fn an_older_file_than_the_deployment_log_knows_does_not_open_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let scribes = scribes_in(folder.path(), 1);
    let db = open(folder.path(), &scribes);
    for _ in 0..3 {
        append(&db).unwrap();
    }
    sign(&db);
    drop(db);
    for (logged, opens) in [(4, false), (3, true), (0, true)] {
        let resume = move |t: &Transaction<'_>| journal::resume(t, logged, now());
        let opened = reopen(folder.path(), &scribes, resume);
        assert_eq!(opened.is_ok(), opens, "{logged}");
    }
    assert_eq!(size(&open(folder.path(), &scribes)), 3);
}

#[test]
fn a_deployment_log_that_was_changed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deployment.db");
    let keys = signing_keys();
    let state = |size| journal::SignedHead {
        size,
        root: evidence::leaf_hash(b"root"),
        time: now(),
    };
    let heads = [1, 2, 3].map(|size| (TenantId::from_bytes([1; 16]), keys.head(&state(size))));
    let look = || {
        DeploymentFile::open(&path)
            .unwrap()
            .check_log(&|c| journal::check(c, keys.vkey()))
    };
    DeploymentFile::open(&path)
        .unwrap()
        .append_heads(&heads, now(), &|size, root| keys.sign(size, root, now()))
        .unwrap();
    assert_eq!(look(), Ok(()));
    let other = RootKey::of(Secret32::from_bytes([8; 32]));
    let other = JournalKeys::derive(&other, &TenantId::from_bytes([1; 16])).unwrap();
    let db = DeploymentFile::open(&path).unwrap();
    assert!(db.check_log(&|c| journal::check(c, other.vkey())).is_err());
    drop(db);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("DELETE FROM record WHERE seq = 2", [])
        .unwrap();
    drop(file);
    assert!(matches!(look(), Err(StoreError::Corrupt(_))));
}
