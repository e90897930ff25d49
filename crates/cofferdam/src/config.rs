//! The process's one configuration file, read once into valid types. Tenants, keys and policies are never in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use compartment::PostgresAddress;
use gateway::config::{DataPlane, file};
use serde::Deserialize;

/// Longest configuration file, in bytes.
const LONGEST: u64 = 1 << 20;

/// The configuration, with every path made absolute against the file's own folder.
#[derive(Debug)]
pub struct Config {
    /// The folder that the file stands in.
    pub home: PathBuf,
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub store: Store,
    pub data_dir: PathBuf,
    pub keyring_dir: PathBuf,
    pub keys: Keys,
    /// Lets tenants pin token issuers inside the deployment's own network.
    pub internal_issuers: bool,
    /// Tenants open at once.
    pub open_tenants: usize,
    pub log: Log,
    /// A price catalogue merged over the shipped one.
    pub prices: Option<PathBuf>,
    pub data_plane: DataPlane,
}

/// Which back end keeps the store.
#[derive(Debug, PartialEq, Eq)]
pub enum Store {
    /// Files in `data_dir`.
    Embedded,
    /// A Postgres database. The password of its role is in a file, if it has one.
    Postgres {
        address: String,
        password_file: Option<PathBuf>,
    },
}

/// Where the key that wraps all tenants' root keys comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase", deny_unknown_fields)]
pub enum Keys {
    /// A file of 32 random bytes that only its owner can read.
    File { file: PathBuf },
    /// A passphrase, from a file or from an environment variable.
    Passphrase {
        file: Option<PathBuf>,
        env: Option<String>,
    },
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    #[default]
    Json,
    Pretty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    #[serde(default = "data_plane_address")]
    listen: SocketAddr,
    #[serde(default = "control_plane_address")]
    admin_listen: SocketAddr,
    #[serde(default = "embedded")]
    store: String,
    store_password_file: Option<PathBuf>,
    data_dir: PathBuf,
    keyring_dir: PathBuf,
    keys: Keys,
    #[serde(default)]
    admin_allow_remote: bool,
    #[serde(default)]
    internal_issuers: bool,
    #[serde(default = "open_tenants")]
    open_tenants: usize,
    #[serde(default)]
    log: Log,
    prices: Option<PathBuf>,
    #[serde(default)]
    limits: file::Limits,
    #[serde(default)]
    upstream: Vec<file::Upstream>,
    #[serde(default)]
    model: Vec<file::Model>,
}

fn data_plane_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7070))
}

fn control_plane_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7071))
}

fn embedded() -> String {
    "embedded".to_owned()
}

fn open_tenants() -> usize {
    1024
}

/// Reads and checks the file.
///
/// # Errors
/// Names the file, and the line, field or bound that is wrong; nothing is started.
pub fn read(path: &Path) -> Result<Config> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("the configuration {} cannot be read", path.display()))?
        .len();
    anyhow::ensure!(
        size <= LONGEST,
        "the configuration {} is larger than 1 MiB",
        path.display()
    );
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration {} cannot be read", path.display()))?;
    let absolute = std::path::absolute(path)?;
    let base = absolute.parent().unwrap_or(Path::new("/"));
    parse(&text, base).with_context(|| format!("the configuration {} is not valid", path.display()))
}

fn parse(text: &str, base: &Path) -> Result<Config> {
    let mut shape: FileShape = toml::from_str(text)?;
    for upstream in &mut shape.upstream {
        match upstream {
            file::Upstream::OpenAi(server) => {
                for path in [&mut server.key_file, &mut server.extra_ca_file]
                    .into_iter()
                    .flatten()
                {
                    *path = base.join(&*path);
                }
            }
            file::Upstream::Cell(cell) => cell.model_file = base.join(&cell.model_file),
        }
    }
    let keys = match shape.keys {
        Keys::File { file } => Keys::File {
            file: base.join(file),
        },
        Keys::Passphrase { file, env } => {
            anyhow::ensure!(
                file.is_some() != env.is_some(),
                "[keys] with provider \"passphrase\" takes either `file` or `env`"
            );
            Keys::Passphrase {
                file: file.map(|f| base.join(f)),
                env,
            }
        }
    };
    let store = store(shape.store, shape.store_password_file.map(|f| base.join(f)))?;
    let data_dir = base.join(shape.data_dir);
    let keyring_dir = base.join(shape.keyring_dir);
    anyhow::ensure!(
        !keyring_dir.starts_with(&data_dir) && !data_dir.starts_with(&keyring_dir),
        "keyring_dir and data_dir lie inside each other; keys are kept apart from the data, so that a copy of one \
         alone is worthless"
    );
    anyhow::ensure!(
        shape.admin_allow_remote || shape.admin_listen.ip().is_loopback(),
        "admin_listen is not a loopback address; the control plane speaks plain HTTP and can do everything, so set \
         admin_allow_remote = true only behind TLS and a firewall"
    );
    anyhow::ensure!(
        (1..=100_000).contains(&shape.open_tenants),
        "open_tenants is 1 to 100000"
    );
    Ok(Config {
        home: base.to_owned(),
        listen: shape.listen,
        internal_issuers: shape.internal_issuers,
        open_tenants: shape.open_tenants,
        admin_listen: shape.admin_listen,
        store,
        data_dir,
        keyring_dir,
        keys,
        log: shape.log,
        prices: shape.prices.map(|p| base.join(p)),
        data_plane: DataPlane::check(&shape.limits, &shape.upstream, &shape.model)?,
    })
}

/// What a text says of a store.
///
/// # Errors
/// What is wrong with it.
pub fn store(store: String, password_file: Option<PathBuf>) -> Result<Store> {
    if store == "embedded" {
        anyhow::ensure!(
            password_file.is_none(),
            "store_password_file is for a Postgres store, and store is \"embedded\""
        );
        return Ok(Store::Embedded);
    }
    PostgresAddress::parse(&store, None)
        .map_err(|why| anyhow::anyhow!("store is neither \"embedded\" nor a database: {why}"))?;
    Ok(Store::Postgres {
        address: store,
        password_file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        data_dir = "data"
        keyring_dir = "keyring"
        [keys]
        provider = "file"
        file = "secrets/root.key"
        [[upstream]]
        kind = "openai"
        name = "local"
        url = "http://127.0.0.1:8000"
        derived = "vllm"
        [[model]]
        name = "m"
        upstream = "local"
        free = true
    "#;

    #[test]
    fn paths_are_taken_from_the_files_own_folder() {
        let config = parse(GOOD, Path::new("/srv/cofferdam")).unwrap();
        assert_eq!(config.data_dir, Path::new("/srv/cofferdam/data"));
        assert!(
            matches!(config.keys, Keys::File { file } if file == Path::new("/srv/cofferdam/secrets/root.key"))
        );
    }

    #[test]
    fn the_store_is_embedded_or_a_database() {
        let store = |text: &str| parse(text, Path::new("/srv")).unwrap().store;
        assert_eq!(store(GOOD), Store::Embedded);
        let named = "store = \"postgres://me@db.example/d\"\nstore_password_file = \"p\"\n[keys]";
        assert_eq!(
            store(&GOOD.replace("[keys]", named)),
            Store::Postgres {
                address: "postgres://me@db.example/d".to_owned(),
                password_file: Some("/srv/p".into()),
            }
        );
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_a_reason() {
        for (from, to, reason) in [
            (
                "data_dir = \"data\"",
                "data_dir = \"data\"\nteh = 1",
                "unknown field `teh`",
            ),
            ("\"keyring\"", "\"data/keyring\"", "lie inside each other"),
            (
                "upstream = \"local\"",
                "upstream = \"other\"",
                "not configured",
            ),
            ("http://127.0.0.1:8000", "ftp://x", "not http"),
            ("derived = \"vllm\"", "", "`derived` is not given"),
            ("provider = \"file\"", "provider = \"kms\"", "kms"),
            ("[keys]", "store = \"sqlite\"\n[keys]", "neither"),
            (
                "[keys]",
                "store = \"postgres://me:secret@db.example/d\"\n[keys]",
                "holds a password",
            ),
            (
                "[keys]",
                "store_password_file = \"p\"\n[keys]",
                "is for a Postgres store",
            ),
            (
                "[keys]",
                "admin_listen = \"0.0.0.0:7071\"\n[keys]",
                "not a loopback",
            ),
            (
                "free = true",
                "free = true\nprice = \"x\"",
                "free and has a price",
            ),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let error = format!("{:#}", parse(&text, Path::new("/srv")).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}
