//! What a run is asked to do, and what it refuses to do.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use url::{Host, Url};
use zeroize::Zeroizing;

use crate::catalogue;

/// Everything that decides a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base URL of the gateway under test, with or without `/v1`.
    pub target: Url,
    /// Key of tenant A, the victim.
    pub key_a: Key,
    /// Key of tenant B, the attacker; another tenant's, not only another key.
    pub key_b: Key,
    /// What stands behind the gateway.
    pub mode: Mode,
    /// The model both tenants may use; without it, the first that both are offered.
    pub model: Option<String>,
    /// A model for `/v1/embeddings`; without it, rows leave that route out.
    pub embedding_model: Option<String>,
    /// The gateway's administration, for rows that can look there.
    pub admin: Option<Admin>,
    /// Only these rows, by number; none = all.
    pub only: Vec<u8>,
    /// What every random value of the run is drawn from.
    pub seed: u64,
    /// How many samples rows take.
    pub scale: Scale,
    /// Bounds of the run.
    pub limits: Limits,
    /// Whoever runs this says that a target that is not on this machine is their own.
    pub i_operate_this_target: bool,
}

impl Options {
    /// A smoke run of everything, with the limits of one.
    pub fn new(target: Url, key_a: Key, key_b: Key, mode: Mode, seed: u64) -> Options {
        Options {
            target,
            key_a,
            key_b,
            mode,
            model: None,
            embedding_model: None,
            admin: None,
            only: Vec::new(),
            seed,
            scale: Scale::Smoke,
            limits: Limits::of(Scale::Smoke),
            i_operate_this_target: false,
        }
    }

    /// What is wrong with these options before anything is sent.
    ///
    /// # Errors
    /// [`ProbeError::SameKeys`], [`ProbeError::BadTarget`], [`ProbeError::NotLoopback`] or [`ProbeError::UnknownRow`].
    pub fn check(&self) -> Result<(), ProbeError> {
        if self.key_a.secret() == self.key_b.secret() {
            return Err(ProbeError::SameKeys);
        }
        let urls = std::iter::once(&self.target).chain(self.admin.as_ref().map(|admin| &admin.url));
        for url in urls {
            let plain = url.username().is_empty() && url.password().is_none();
            let whole = url.query().is_none() && url.fragment().is_none();
            if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain || !whole
            {
                return Err(ProbeError::BadTarget);
            }
            if !self.i_operate_this_target && !is_loopback(url) {
                return Err(ProbeError::NotLoopback {
                    host: url.host_str().unwrap_or_default().to_owned(),
                });
            }
        }
        match self.only.iter().find(|id| catalogue::entry(**id).is_none()) {
            Some(id) => Err(ProbeError::UnknownRow { id: *id }),
            None => Ok(()),
        }
    }
}

/// Whether a URL names this machine by a name that cannot mean another one.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What stands behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The probe itself, as a deterministic upstream that records what reaches it.
    Echo {
        /// Where it listens; the gateway must be configured to send there.
        listen: SocketAddr,
    },
    /// A real engine, which the probe knows nothing of.
    Live,
}

/// The gateway's administration (Cofferdam's, today).
#[derive(Debug, Clone)]
pub struct Admin {
    /// Base URL of the control plane.
    pub url: Url,
    /// The operator's key.
    pub key: Key,
}

/// How many samples rows take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A handful: enough to see a leak that always happens. For tests of the probe itself; its figures prove little.
    Quick,
    /// 200 a side: a perfect gateway is wrongly failed by a timing row in one of twenty runs, before the rerun.
    Smoke,
    /// 600 a side, for a certificate.
    Certificate,
}

impl Scale {
    /// Lower case, as in reports.
    pub fn word(self) -> &'static str {
        match self {
            Scale::Quick => "quick",
            Scale::Smoke => "smoke",
            Scale::Certificate => "certificate",
        }
    }
}

/// Bounds of a run. What a bound leaves undone is INCONCLUSIVE, never PASS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests to the target, in total.
    pub requests: u64,
    /// Time of the whole run.
    pub time: Duration,
    /// Time of one request, from its first byte out to its last byte in.
    pub request: Duration,
}

impl Limits {
    /// What a run of that scale gets: 5 minutes, or an hour for a certificate.
    pub fn of(scale: Scale) -> Limits {
        let (requests, minutes) = match scale {
            Scale::Quick | Scale::Smoke => (100_000, 5),
            Scale::Certificate => (1_000_000, 60),
        };
        Limits {
            requests,
            time: Duration::from_secs(60 * minutes),
            request: Duration::from_secs(30),
        }
    }
}

/// A credential of the target. Shown only shortened; the text is zeroized on drop.
#[derive(Clone)]
pub struct Key(Zeroizing<String>);

impl Key {
    /// Takes a key as it stands in `Authorization: Bearer …`; white space around it is taken off.
    ///
    /// # Errors
    /// [`ProbeError::BadKey`] where it is empty, longer than 16 KiB, or not visible ASCII.
    pub fn new(text: &str) -> Result<Key, ProbeError> {
        let text = text.trim();
        let fits =
            (1..=16 << 10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits {
            Ok(Key(Zeroizing::new(text.to_owned())))
        } else {
            Err(ProbeError::BadKey)
        }
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// The key for people: its first and last four characters; nothing of a key of less than 20.
    pub fn shortened(&self) -> String {
        shorten(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shortened())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shortened())
    }
}

/// A secret for people: its first and last four characters; nothing of one of less than 20.
pub(crate) fn shorten(text: &str) -> String {
    let long = text.len() >= 20 && text.is_ascii();
    match (
        long,
        text.get(..4),
        text.get(text.len().saturating_sub(4)..),
    ) {
        (true, Some(first), Some(last)) => format!("{first}…{last}"),
        _ => "…".to_owned(),
    }
}

/// Why nothing was tested.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Isolation between one tenant and itself cannot be tested.
    #[error("both keys are the same; nothing was sent; give the keys of two different tenants")]
    SameKeys,
    /// A key that no header can hold.
    #[error(
        "a key is empty, too long or not visible ASCII; nothing was sent; give it as it stands in the Authorization header"
    )]
    BadKey,
    /// A target that no request can be made from.
    #[error(
        "the target is not an http or https URL without user, query and fragment; nothing was sent; give the gateway's base URL"
    )]
    BadTarget,
    /// A target on another machine.
    #[error(
        "{host} is not this machine; nothing was sent; attacking someone else's gateway is not what this is for: if you operate it, say so with --i-operate-this-target"
    )]
    NotLoopback {
        /// Its name or address.
        host: String,
    },
    /// A row that the catalogue does not have.
    #[error("there is no row {id}; nothing was sent; the rows are 1 to {}", catalogue::ROWS.len())]
    UnknownRow {
        /// The number asked for.
        id: u8,
    },
    /// The echo upstream could not listen.
    #[error(
        "the echo upstream could not listen on {address}: {why}; nothing was sent; choose an address that is free"
    )]
    EchoNotListening {
        /// Where it should have.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The target did not answer a plain call.
    #[error(
        "the target did not answer a plain call of tenant {tenant}: {why}; nothing was tested; mend that first"
    )]
    NoAnswer {
        /// `A` or `B`.
        tenant: char,
        /// What happened instead.
        why: String,
    },
    /// Neither the options nor the target named a model.
    #[error(
        "the target lists no model that both tenants may use; nothing was tested; name one with --model"
    )]
    NoModel,
    /// The target answered, but not from the echo upstream.
    #[error(
        "the target answered without asking the echo upstream at {address}; nothing was tested; point the gateway's model there, or run without --echo"
    )]
    EchoNotReached {
        /// Where the echo upstream listens.
        address: SocketAddr,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(target: &str, key_a: &str, key_b: &str) -> Options {
        let key = |text| Key::new(text).unwrap();
        Options::new(
            target.parse().unwrap(),
            key(key_a),
            key(key_b),
            Mode::Live,
            1,
        )
    }

    #[test]
    fn only_loopback_is_probed_unless_the_operator_says_otherwise() {
        for (target, refused) in [
            ("http://127.0.0.1:7070", false),
            ("http://127.8.9.1:7070/v1", false),
            ("https://localhost/x/", false),
            ("http://[::1]:7070/v1", false),
            ("http://10.0.0.1:7070", true),
            ("http://localhost.example:7070", true),
            ("http://127.0.0.1.example", true),
            ("http://[::ffff:8.8.8.8]", true),
        ] {
            let mut options = options(target, "a", "b");
            let found = matches!(options.check(), Err(ProbeError::NotLoopback { .. }));
            assert_eq!(found, refused, "{target}");
            options.i_operate_this_target = true;
            assert!(options.check().is_ok(), "{target}");
        }
        let mut admin = options("http://127.0.0.1", "a", "b");
        admin.admin = Some(Admin {
            url: "http://10.0.0.1".parse().unwrap(),
            key: Key::new("k").unwrap(),
        });
        assert!(matches!(admin.check(), Err(ProbeError::NotLoopback { .. })));
    }

    #[test]
    fn what_makes_no_run_is_refused() {
        assert!(matches!(
            options("http://127.0.0.1", "same", " same\n").check(),
            Err(ProbeError::SameKeys)
        ));
        for target in [
            "ftp://127.0.0.1",
            "http://u:p@127.0.0.1",
            "http://127.0.0.1/?x",
            "http://127.0.0.1/#x",
            "data:x",
        ] {
            assert!(
                matches!(
                    options(target, "a", "b").check(),
                    Err(ProbeError::BadTarget)
                ),
                "{target}"
            );
        }
        for key in ["", " ", "a b", "a\r\nb", "ä"] {
            assert!(matches!(Key::new(key), Err(ProbeError::BadKey)), "{key:?}");
        }
        let mut unknown = options("http://127.0.0.1", "a", "b");
        unknown.only = vec![2, 39];
        assert!(matches!(
            unknown.check(),
            Err(ProbeError::UnknownRow { id: 39 })
        ));
    }

    #[test]
    fn a_key_is_never_shown_whole() {
        for (key, shown) in [
            ("sk-short", "…"),
            ("sk-abcdefghijklmnopqrstuvwxyz", "sk-a…wxyz"),
        ] {
            let key = Key::new(key).unwrap();
            assert_eq!(
                (format!("{key}"), format!("{key:?}")),
                (shown.to_owned(), shown.to_owned())
            );
        }
        let shown = format!(
            "{:?}",
            options(
                "http://127.0.0.1",
                "sk-first-key-of-a-tenant",
                "sk-other-key-of-a-tenant"
            )
        );
        assert!(
            !shown.contains("first") && !shown.contains("other"),
            "{shown}"
        );
    }
}
