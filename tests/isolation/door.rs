//! Both planes, asked over raw sockets: what an odd request may be answered with.

use std::time::Duration;

use crate::harness::gateway::{Gateway, Home};
use crate::harness::raw::{Raw, statuses};
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

/// What an odd request may be answered with; the alternative is a closed connection.
const REFUSALS: [u16; 8] = [400, 401, 404, 405, 408, 413, 417, 431];

/// Patience that a test can wait for.
const IMPATIENT: &str =
    "\n[limits]\nhead_timeout_ms = 700\nbody_timeout_ms = 700\nidle_timeout_ms = 2000\n";

pub struct Door {
    pub upstream: Upstream,
    pub gateway: Gateway,
    pub a: Tenant,
    pub b: Tenant,
    _home: Home,
}

impl Door {
    pub fn new() -> Door {
        let upstream = Upstream::start();
        let home = Home::new(&upstream.url, IMPATIENT);
        let gateway = home.serve();
        let (a, b) = (
            Tenant::create(&gateway, "tenant-a-by-name"),
            Tenant::create(&gateway, "tenant-b-by-name"),
        );
        Door {
            upstream,
            gateway,
            a,
            b,
            _home: home,
        }
    }

    /// Sends bytes on both planes; everything that came back until the connection was closed.
    fn send(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let planes = [&self.gateway.data_plane, &self.gateway.control_plane];
        let answers = planes.into_iter().map(|plane| {
            let mut raw = Raw::connect(plane).unwrap();
            raw.write(bytes);
            raw.finish_writing();
            raw.until_closed(Duration::from_secs(10))
                .expect("the connection stayed open")
        });
        answers.collect()
    }

    /// Refused on both planes, or closed; never an answer of substance, a fault, or a name of somebody.
    pub fn check(&self, what: &str, bytes: &[u8]) {
        for answer in self.send(bytes) {
            let text = String::from_utf8_lossy(&answer);
            let found = statuses(&answer);
            for status in &found {
                assert!(REFUSALS.contains(status), "{what}: {text}");
            }
            assert!(
                found.len() <= 1 || !what.contains("smuggled"),
                "{what}: more than one answer: {text}"
            );
            for secret in [
                &self.a.id,
                &self.b.id,
                &self.b.app_key_id,
                &self.b.steward_key_id,
            ] {
                assert!(!text.contains(secret.as_str()), "{what}: {text}");
            }
            assert!(!text.contains("by-name"), "{what}: {text}");
        }
    }

    pub fn still_serves(&self) {
        assert_eq!(
            self.a.app(&self.gateway).chat("free", "still here").status,
            200
        );
    }
}
