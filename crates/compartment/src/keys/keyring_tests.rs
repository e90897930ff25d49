//! What the keyring keeps to, over real files.

use super::*;
use crate::id::TenantId;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// A key service that can be turned off and counts what it destroys; it wraps as the file provider does.
struct Service {
    file: FileKeyProvider,
    id: &'static str,
    down: AtomicBool,
    destroyed: parking_lot::Mutex<Vec<String>>,
}

impl Service {
    fn new(dir: &Path, id: &'static str) -> Arc<Self> {
        let file = FileKeyProvider::create(&dir.join(format!("{id}.key"))).unwrap();
        Arc::new(Self {
            file,
            id,
            down: AtomicBool::new(false),
            destroyed: parking_lot::Mutex::default(),
        })
    }

    fn up(&self) -> Result<(), KeyError> {
        if self.down.load(SeqCst) {
            Err(KeyError::ProviderUnavailable {
                provider: self.id.to_owned(),
                reason: "no answer".to_owned(),
            })
        } else {
            Ok(())
        }
    }
}

impl KeyProvider for Service {
    fn id(&self) -> &str {
        self.id
    }

    fn wrap(&self, name: &str, aad: &[u8], key: &Secret32) -> Result<Wrapped, KeyError> {
        self.up()?;
        self.file.wrap(name, aad, key)
    }

    fn unwrap(&self, name: &str, aad: &[u8], wrapped: &Wrapped) -> Result<Secret32, KeyError> {
        self.up()?;
        self.file.unwrap(name, aad, wrapped)
    }

    fn destroy(&self, name: &str) -> Result<(), KeyError> {
        self.up()?;
        self.destroyed.lock().push(name.to_owned());
        Ok(())
    }

    fn check(&self) -> Result<(), KeyError> {
        self.up()
    }
}

fn tenant(byte: u8) -> TenantId {
    TenantId::from_bytes([byte; 16])
}

fn store_key(root: &RootKey) -> Secret32 {
    root.derive(Purpose::Store)
}

/// Whether `needle` is anywhere in any file below `dir`.
fn on_disk(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        content.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn keys_outlive_the_process_and_each_tenant_has_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::new(dir.path(), "kms");
    let ring = dir.path().join("ring");
    let keyring = Keyring::open(&ring, service.clone()).unwrap();
    let deployment = store_key(&keyring.deployment_root().unwrap());
    let (a, b) = (tenant(1), tenant(2));
    let made_a = store_key(&keyring.create_root(&a).unwrap());
    let made_b = store_key(&keyring.create_root(&b).unwrap());
    assert!(made_a != made_b && made_a != deployment && made_b != deployment);
    assert!(matches!(keyring.create_root(&a), Err(KeyError::KeyExists)));
    assert!(matches!(
        keyring.open_root(&tenant(3)),
        Err(KeyError::NoSuchKey)
    ));
    drop(keyring);
    let keyring = Keyring::open(&ring, service).unwrap();
    assert_eq!(store_key(&keyring.open_root(&a).unwrap()), made_a);
    assert_eq!(store_key(&keyring.open_root(&b).unwrap()), made_b);
    assert_eq!(store_key(&keyring.deployment_root().unwrap()), deployment);
}

#[test]
fn a_provider_that_does_not_fit_is_told_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let service = Service::new(dir.path(), "kms");
    drop(Keyring::open(&ring, service.clone()).unwrap());
    let other = Service::new(dir.path(), "vault");
    assert!(matches!(
        Keyring::open(&ring, other),
        Err(KeyError::OtherProvider { .. })
    ));
    let same_kind = tempfile::tempdir().unwrap();
    let other_key = Service::new(same_kind.path(), "kms");
    assert!(matches!(
        Keyring::open(&ring, other_key),
        Err(KeyError::DoesNotOpen)
    ));
    assert!(Keyring::open(&ring, service).is_ok());
}

#[test]
fn a_provider_that_is_gone_closes_the_keys_and_opens_them_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::new(dir.path(), "kms");
    let keyring = Keyring::open(&dir.path().join("ring"), service.clone()).unwrap();
    let made = store_key(&keyring.create_root(&tenant(1)).unwrap());
    service.down.store(true, SeqCst);
    let gone = |result: Result<(), KeyError>| {
        assert!(matches!(result, Err(KeyError::ProviderUnavailable { .. })))
    };
    gone(keyring.check());
    gone(keyring.open_root(&tenant(1)).map(drop));
    gone(keyring.deployment_root().map(drop));
    gone(keyring.create_root(&tenant(2)).map(drop));
    gone(keyring.destroy_root(&tenant(1)).map(drop));
    service.down.store(false, SeqCst);
    assert_eq!(
        store_key(&keyring.open_root(&tenant(1)).unwrap()),
        made,
        "nothing was destroyed meanwhile"
    );
    keyring.create_root(&tenant(2)).unwrap();
}

#[test]
fn a_destroyed_root_is_gone_from_the_provider_and_from_every_byte_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let service = Service::new(dir.path(), "kms");
    let keyring = Keyring::open(&ring, service.clone()).unwrap();
    let (gone, stays) = (
        keyring.create_root(&tenant(1)).unwrap(),
        keyring.create_root(&tenant(2)).unwrap(),
    );
    keyring.create_subject(&gone, &[1; 16]).unwrap();
    keyring.create_subject(&gone, &[2; 16]).unwrap();
    let kept = keyring.create_subject(&stays, &[1; 16]).unwrap();
    let wrapped = |select: &str| -> Vec<Vec<u8>> {
        let connection = keyring.connection.lock();
        let mut select = connection.prepare(select).unwrap();
        select
            .query_map([tenant(1).to_string()], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let root = wrapped("SELECT wrapped FROM roots WHERE name = ?1");
    let subjects = wrapped("SELECT wrapped FROM subjects WHERE tenant = ?1");
    assert_eq!((root.len(), subjects.len()), (1, 2));
    let all: Vec<_> = root.into_iter().chain(subjects).collect();
    assert!(
        all.iter().all(|bytes| on_disk(&ring, bytes)),
        "the positive control"
    );

    assert_eq!(
        keyring.destroy_root(&tenant(1)).unwrap(),
        Destroyed {
            roots: 1,
            subjects: 2
        }
    );
    assert!(!all.iter().any(|bytes| on_disk(&ring, bytes)));
    assert_eq!(*service.destroyed.lock(), [tenant(1).to_string()]);
    assert!(matches!(
        keyring.open_root(&tenant(1)),
        Err(KeyError::NoSuchKey)
    ));
    assert!(matches!(
        keyring.open_subject(&gone, &[1; 16]),
        Err(KeyError::NoSuchKey)
    ));
    assert!(
        matches!(
            keyring.create_subject(&gone, &[3; 16]),
            Err(KeyError::NoSuchKey)
        ),
        "none is made afterwards"
    );
    assert_eq!(
        keyring.destroy_root(&tenant(1)).unwrap(),
        Destroyed::default(),
        "repeated"
    );
    assert_eq!(
        store_key(&keyring.open_root(&tenant(2)).unwrap()),
        store_key(&stays)
    );
    assert_eq!(keyring.open_subject(&stays, &[1; 16]).unwrap(), kept);
}

#[test]
fn a_destroyed_subject_is_gone_and_its_neighbours_stay() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let keyring = Keyring::open(&ring, Service::new(dir.path(), "kms")).unwrap();
    let (a, b) = (
        keyring.create_root(&tenant(1)).unwrap(),
        keyring.create_root(&tenant(2)).unwrap(),
    );
    let one = keyring.create_subject(&a, &[1; 16]).unwrap();
    let two = keyring.create_subject(&a, &[2; 16]).unwrap();
    let others = keyring.create_subject(&b, &[1; 16]).unwrap();
    assert!(
        one != two && one != others,
        "the same name in another tenant is another end user"
    );
    assert!(matches!(
        keyring.create_subject(&a, &[1; 16]),
        Err(KeyError::KeyExists)
    ));
    assert!(matches!(
        keyring.open_subject(&a, &[3; 16]),
        Err(KeyError::NoSuchKey)
    ));
    assert_eq!(keyring.open_subject(&a, &[1; 16]).unwrap(), one);
    let deployment = keyring.deployment_root().unwrap();
    assert!(
        keyring.create_subject(&deployment, &[1; 16]).is_err(),
        "the deployment has no end users"
    );

    let wrapped: Vec<u8> = {
        let select = "SELECT wrapped FROM subjects WHERE tenant = ?1 AND subject = ?2";
        let connection = keyring.connection.lock();
        connection
            .query_row(
                select,
                rusqlite::params![tenant(1).to_string(), [1_u8; 16]],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert!(on_disk(&ring, &wrapped), "the positive control");
    assert!(keyring.destroy_subject(&a, &[1; 16]).unwrap());
    assert!(!on_disk(&ring, &wrapped));
    assert!(!keyring.destroy_subject(&a, &[1; 16]).unwrap());
    assert!(matches!(
        keyring.open_subject(&a, &[1; 16]),
        Err(KeyError::NoSuchKey)
    ));
    assert_eq!(keyring.open_subject(&a, &[2; 16]).unwrap(), two);
    assert_eq!(keyring.open_subject(&b, &[1; 16]).unwrap(), others);
    assert_ne!(
        keyring.create_subject(&a, &[1; 16]).unwrap(),
        one,
        "a new key for a new start"
    );
}

#[test]
fn wrapped_keys_do_not_open_in_one_anothers_place() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::open(&dir.path().join("ring"), Service::new(dir.path(), "kms")).unwrap();
    let (a, b) = (
        keyring.create_root(&tenant(1)).unwrap(),
        keyring.create_root(&tenant(2)).unwrap(),
    );
    for (root, subject) in [(&a, 1), (&a, 2), (&b, 1)] {
        keyring.create_subject(root, &[subject; 16]).unwrap();
    }
    let swap = |sql: &str| {
        assert!(
            keyring.connection.lock().execute(sql, []).unwrap() > 0,
            "{sql}"
        )
    };
    swap("UPDATE subjects SET wrapped = (SELECT wrapped FROM subjects LIMIT 1)");
    let opened = [(&a, 1), (&a, 2), (&b, 1)]
        .map(|(root, subject)| keyring.open_subject(root, &[subject; 16]).is_ok());
    assert_eq!(
        opened.iter().filter(|opened| **opened).count(),
        1,
        "only where it belongs"
    );
    swap(
        "UPDATE roots SET wrapped = (SELECT wrapped FROM roots WHERE name = 'deployment') WHERE name LIKE 'ten%'",
    );
    assert!(matches!(
        keyring.open_root(&tenant(1)),
        Err(KeyError::DoesNotOpen)
    ));
    assert!(keyring.deployment_root().is_ok());
}

#[test]
fn rewrapping_moves_every_root_to_the_new_provider() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let (old, new) = (
        Service::new(dir.path(), "old"),
        Service::new(dir.path(), "new"),
    );
    let keyring = Keyring::open(&ring, old.clone()).unwrap();
    let root = keyring.create_root(&tenant(1)).unwrap();
    let subject = keyring.create_subject(&root, &[1; 16]).unwrap();
    let deployment = store_key(&keyring.deployment_root().unwrap());

    new.down.store(true, SeqCst);
    assert!(matches!(
        keyring.rewrap(new.clone()),
        Err(KeyError::ProviderUnavailable { .. })
    ));
    new.down.store(false, SeqCst);
    let keyring = Keyring::open(&ring, old.clone()).unwrap();
    assert_eq!(
        store_key(&keyring.open_root(&tenant(1)).unwrap()),
        store_key(&root),
        "as it was"
    );

    let keyring = keyring.rewrap(new.clone()).unwrap();
    old.down.store(true, SeqCst);
    let opened = keyring.open_root(&tenant(1)).unwrap();
    assert_eq!(store_key(&opened), store_key(&root));
    assert_eq!(keyring.open_subject(&opened, &[1; 16]).unwrap(), subject);
    drop(keyring);
    assert_eq!(
        store_key(
            &Keyring::open(&ring, new)
                .unwrap()
                .deployment_root()
                .unwrap()
        ),
        deployment
    );
    assert!(matches!(
        Keyring::open(&ring, old),
        Err(KeyError::OtherProvider { .. })
    ));
}

#[test]
fn a_keyring_is_its_owners_alone_and_open_once() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("new/ring");
    let service = Service::new(dir.path(), "kms");
    let keyring = Keyring::open(&ring, service.clone()).unwrap();
    keyring.create_root(&tenant(1)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&ring), 0o700);
    for entry in std::fs::read_dir(&ring).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    assert!(matches!(
        Keyring::open(&ring, service.clone()),
        Err(KeyError::InUse)
    ));
    drop(keyring);
    let file = ring.join("keyring.db");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(matches!(
        Keyring::open(&ring, service.clone()),
        Err(KeyError::Exposed { .. })
    ));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(Keyring::open(&ring, service).is_ok());
}

#[test]
fn what_is_no_keyring_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::new(dir.path(), "kms");
    let garbage = dir.path().join("garbage");
    std::fs::create_dir(&garbage).unwrap();
    create_private(&garbage.join("keyring.db"), &[b'x'; 8192]).unwrap();
    assert!(matches!(
        Keyring::open(&garbage, service.clone()),
        Err(KeyError::Malformed { .. })
    ));

    let later = dir.path().join("later");
    drop(Keyring::open(&later, service.clone()).unwrap());
    let connection = rusqlite::Connection::open(later.join("keyring.db")).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    assert!(matches!(
        Keyring::open(&later, service.clone()),
        Err(KeyError::Malformed { .. })
    ));

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(
        Keyring::open(&file, service),
        Err(KeyError::File { .. })
    ));
}

#[test]
fn no_root_key_is_on_disk_unwrapped_or_printed() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let keyring = Keyring::open(&ring, Service::new(dir.path(), "kms")).unwrap();
    let root = keyring.create_root(&tenant(1)).unwrap();
    let subject = keyring.create_subject(&root, &[7; 16]).unwrap();
    assert!(!on_disk(&ring, root.secret().expose()) && !on_disk(&ring, subject.expose()));
    assert!(
        on_disk(&ring, &[7; 16]),
        "the positive control: the blinded name is there"
    );
    let printed = format!("{root:?} {keyring:?} {subject:?}");
    assert!(!printed.contains(&hex::encode(root.secret().expose())) && printed.contains("kms"));
}

#[test]
fn a_hardened_process_cannot_be_dumped() {
    // In a process of its own: the flag cannot be taken back.
    const CHILD: &str = "COFFERDAM_TEST_HARDEN";
    let dump_limit = || {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap()
            .to_owned()
    };
    if std::env::var_os(CHILD).is_some() {
        harden_process().unwrap();
        assert_eq!(
            dump_limit().split_whitespace().nth(4),
            Some("0"),
            "{}",
            dump_limit()
        );
        return;
    }
    let test = "keys::keyring_tests::a_hardened_process_cannot_be_dumped";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(
        String::from_utf8_lossy(&child.stdout).contains("1 passed"),
        "the child ran this very test"
    );
}
