//! A disk that is full: refused with 503, nothing sent, and well again once there is room.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::client::Answer;
use crate::harness::gateway::Home;
use crate::harness::journal::{Entry, Export};
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;
use crate::harness::{skip, until};

/// A small file system of its own; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn at(folder: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "none"])
            .arg(folder)
            .output()
            .ok()?;
        mounted
            .status
            .success()
            .then(|| SmallDisk(folder.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_refuses_with_503_and_sends_nothing_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::at(&folder.path().join("data")) else {
        return skip(
            "a full disk",
            "mounting a small file system is not allowed here",
        );
    };
    let upstream = Upstream::start();
    let home = Home::at(folder, &upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let app = tenant.app(&gateway);
    assert_eq!(app.chat("free", "hello").status, 200);

    let ballast = disk.fill();
    // what a file has already, it can still use; then it is over
    let mut refused: Option<Answer> = None;
    until("the full disk shows", Duration::from_secs(30), || {
        let before = upstream.calls();
        let answer = app.chat("free", "hello");
        if answer.status != 200 {
            assert_eq!(
                upstream.calls(),
                before,
                "a refused call reached the upstream: {}",
                answer.text()
            );
            refused = Some(answer);
        }
        refused.is_some()
    });
    let refused = refused.unwrap();
    refused.assert_openai_error("a full disk");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "store_unavailable"),
        "{}",
        refused.text()
    );
    assert!(refused.header("retry-after").is_some());
    for _ in 0..20 {
        assert_eq!(app.chat("free", "hello").status, 503);
    }
    until(
        "the gateway says that it is not ready",
        Duration::from_secs(10),
        || gateway.operator().get("/readyz").status == 503,
    );
    assert_eq!(gateway.operator().get("/healthz").status, 200);
    assert_eq!(
        app.get("/v1/models").status,
        200,
        "what needs no disk goes on"
    );

    std::fs::remove_file(ballast).unwrap();
    until("it serves again", Duration::from_secs(20), || {
        app.chat("free", "hello").status == 200
    });
    until("it is ready again", Duration::from_secs(10), || {
        gateway.operator().get("/readyz").status == 200
    });
    until("every call is settled", Duration::from_secs(10), || {
        let calls = Export::verified(&home, &gateway, &tenant.id).calls();
        calls.values().all(Entry::is_settled)
    });
    let calls = Export::verified(&home, &gateway, &tenant.id).calls();
    for seen in upstream.seen() {
        assert!(
            calls.contains_key(&seen.id()),
            "the upstream saw {}, which the journal lacks",
            seen.id()
        );
    }
    gateway.kill();
    let gateway = home.serve();
    Export::verified(&home, &gateway, &tenant.id);
    drop((gateway, disk));
}
