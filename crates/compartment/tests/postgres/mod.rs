//! A Postgres server for tests: the one that `COFFERDAM_TEST_POSTGRES` is the address of, as a role that may make roles
//! and databases, or one that is started in a temporary folder where Postgres is installed. Without either, tests say that
//! they are skipped, and fail where `COFFERDAM_REQUIRE_ALL` is 1.
#![allow(
    dead_code,
    reason = "each of the test programs that include it uses a part"
)]

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use postgres::{Client, NoTls};

/// The password of the roles that are made.
pub const PASSWORD: &str = "of no consequence";

/// Where a server is, given the database and the role.
type Address = Box<dyn Fn(&str, &str) -> String + Send + Sync>;

/// A running server.
pub struct Server {
    address: Address,
    admin: (String, String),
    own: Option<Own>,
}

/// A server of this process.
struct Own {
    pg_ctl: PathBuf,
    folder: PathBuf,
    /// Stops the server and removes its folder when its standard input ends, however this process ends.
    _undertaker: Child,
}

/// A database of its own, and a role that owns it and has no other rights.
pub struct Database {
    pub address: String,
    pub name: String,
}

/// The server that the tests of this process have in common.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let found = SERVER.get_or_init(|| match std::env::var("COFFERDAM_TEST_POSTGRES") {
        Ok(address) => Some(elsewhere(&address)),
        Err(_) => Server::start(),
    });
    or_skipped(found.as_ref())
}

/// A server that a test may stop.
pub fn own_server() -> Option<Server> {
    or_skipped(Server::start())
}

fn or_skipped<T>(found: Option<T>) -> Option<T> {
    if found.is_none() {
        let required = std::env::var("COFFERDAM_REQUIRE_ALL").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "no Postgres server is here, and nothing may be skipped"
        );
        eprintln!(
            "SKIPPED: no Postgres server is here; install one or set COFFERDAM_TEST_POSTGRES"
        );
    }
    found
}

fn elsewhere(address: &str) -> Server {
    let url = url::Url::parse(address).unwrap();
    let admin = (url.path().trim_start_matches('/').to_owned(), String::new());
    let address = address.to_owned();
    Server {
        address: Box::new(move |database, role| {
            if role.is_empty() {
                return address.clone();
            }
            let mut url = url.clone();
            url.set_path(database);
            url.set_username(role).unwrap();
            url.set_password(None).unwrap();
            url.into()
        }),
        admin,
        own: None,
    }
}

impl Server {
    /// Starts one, if Postgres is installed.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap().keep();
        let user = unprivileged();
        if let Some(user) = &user {
            let id = |what: &str| {
                let said = Command::new("id")
                    .args([what, user])
                    .output()
                    .unwrap()
                    .stdout;
                String::from_utf8(said)
                    .unwrap()
                    .trim()
                    .parse::<u32>()
                    .unwrap()
            };
            chown(&folder, Some(id("-u")), Some(id("-g"))).unwrap();
        }
        let data = folder.join("data");
        run(
            user.as_deref(),
            &programs.join("initdb"),
            &[
                "-D",
                path(&data),
                "-U",
                "admin",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        // no test cuts the power
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\nmax_connections = 300\n",
            folder.display()
        );
        let file = data.join("postgresql.conf");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, before + &settings).unwrap();
        let pg_ctl = programs.join("pg_ctl");
        let undertaker = command(user.as_deref(), Path::new("sh"))
            .args([
                "-c",
                "cat; \"$1\" -D \"$2/data\" -m immediate stop; rm -rf \"$2\"",
                "sh",
            ])
            .arg(&pg_ctl)
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let socket = folder.clone();
        let server = Self {
            address: Box::new(move |database, role| {
                format!(
                    "postgres:///{database}?host={}&user={role}",
                    socket.display()
                )
            }),
            admin: ("postgres".to_owned(), "admin".to_owned()),
            own: Some(Own {
                pg_ctl,
                folder,
                _undertaker: undertaker,
            }),
        };
        server.go();
        Some(server)
    }

    /// The socket that a server of ours listens on.
    pub fn socket(&self) -> PathBuf {
        let own = self.own.as_ref().expect("a server of ours");
        own.folder.join(".s.PGSQL.5432")
    }

    /// Starts it again, and waits until it takes connections.
    pub fn go(&self) {
        let own = self.own.as_ref().expect("a server of ours");
        let log = own.folder.join("log");
        self.control(&["-w", "-l", path(&log), "start"]);
    }

    /// Stops it at once, as a crash does.
    pub fn crash(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    /// Stops every process of it where it is, or lets it go on.
    pub fn pause(&self, stop: bool) {
        let own = self.own.as_ref().expect("a server of ours");
        let pid = std::fs::read_to_string(own.folder.join("data/postmaster.pid")).unwrap();
        let postmaster = pid.lines().next().unwrap().to_owned();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let signal = if stop { "-STOP" } else { "-CONT" };
        for pid in std::iter::once(postmaster.as_str()).chain(children.split_whitespace()) {
            // one that has just ended need not be stopped
            let _ = Command::new("kill")
                .args([signal, pid])
                .stderr(Stdio::null())
                .status();
        }
    }

    fn control(&self, what: &[&str]) {
        let own = self.own.as_ref().expect("a server of ours");
        let data = own.folder.join("data");
        let arguments: Vec<_> = ["-D", path(&data)].iter().chain(what).copied().collect();
        run(unprivileged().as_deref(), &own.pg_ctl, &arguments);
    }

    /// A connection as the role that may do everything.
    pub fn admin(&self, database: &str) -> Client {
        let address = (self.address)(database, &self.admin.1);
        let mut config: postgres::Config = address.parse().unwrap();
        config.dbname(database).connect(NoTls).unwrap()
    }

    /// Whether a process holds the right to serve from this database.
    pub fn is_served(&self, database: &Database) -> bool {
        let locks = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database \
            WHERE locktype = 'advisory' AND granted AND datname = $1";
        let row = self
            .admin(&database.name)
            .query_one(locks, &[&database.name]);
        row.unwrap().get::<_, i64>(0) == 1
    }

    /// A new database.
    pub fn database(&self) -> Database {
        let name = format!("cofferdam_{}", unique());
        let mut admin = self.admin(&self.admin.0);
        admin
            .batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"))
            .unwrap();
        // an administrator who is no superuser may give away only what it is a member of
        admin
            .batch_execute(&format!("GRANT {name} TO CURRENT_USER"))
            .unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name} OWNER {name}"))
            .unwrap();
        Database {
            address: (self.address)(&name, &name),
            name,
        }
    }
}

fn unique() -> String {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}_{}", std::process::id(), hex::encode(letters))
}

/// The folder of the server's programs, newest first.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    found.sort();
    found.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    found
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

/// Whom the server runs as where this process is root, which it refuses.
fn unprivileged() -> Option<String> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let known = |user: &&str| {
        Command::new("id")
            .arg(user)
            .output()
            .is_ok_and(|said| said.status.success())
    };
    root.then(|| {
        ["postgres", "nobody"]
            .iter()
            .copied()
            .find(known)
            .expect("a user to run the server as")
            .to_owned()
    })
}

fn command(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", user, "--clear-groups", "--"])
        .arg(program)
        .current_dir("/");
    command
}

fn run(user: Option<&str>, program: &Path, arguments: &[&str]) {
    let done = command(user, program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()
        .unwrap();
    assert!(done.success(), "{} {arguments:?}", program.display());
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
