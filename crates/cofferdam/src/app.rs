//! The one place where the parts are wired.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use compartment::keys::{
    Argon2Cost, FileKeyProvider, KeyProvider, Passphrase, PassphraseProvider, harden_process,
    read_private,
};
use compartment::{Copied, Engine, House, HouseConfig, PostgresAddress, SecretToken};
use gateway::app::Gateway;
use gateway::config::ListenLimits;
use gateway::{control, data_plane, listen};
use jiff::Timestamp;
use policy::Catalogue;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Keys, Log, Store};
use crate::jwks;

/// How often journals are signed and idle tenants are closed.
const ROUND: Duration = Duration::from_secs(1);

/// A gateway that serves. Dropping it stops it.
pub struct Running {
    pub data_plane: SocketAddr,
    pub control_plane: SocketAddr,
    house: Arc<House>,
    runtime: Option<Runtime>,
    control: Option<JoinHandle<()>>,
    stop: CancellationToken,
    served: tokio::sync::mpsc::Receiver<()>,
}

/// Makes folders, keys and the first operator key, where they are missing. The operator key is given once.
pub fn init(config: &Config) -> Result<Option<SecretToken>> {
    Ok(House::init(&house(config, true)?, Timestamp::now())?)
}

/// Copies the deployment from one store to another, and tells how far it is.
pub fn copy_store(
    config: &Config,
    from: &Store,
    to: &Store,
    progress: &mut (dyn FnMut(&Copied) + Send),
) -> Result<Copied> {
    let (from, to) = (engine(from)?, engine(to)?);
    Ok(House::copy_store(
        &house(config, false)?,
        &from,
        &to,
        Timestamp::now(),
        progress,
    )?)
}

/// Serves until the process is told to stop.
pub fn serve(config: Config) -> Result<()> {
    log_as(config.log);
    let running = start(config)?;
    println!("data plane     http://{}", running.data_plane);
    println!("control plane  http://{}", running.control_plane);
    running.until_told_to_stop()
}

/// Starts serving in the background.
pub fn start(config: Config) -> Result<Running> {
    harden_process().context("the process cannot be protected from being dumped and traced")?;
    let house = House::open(house(&config, false)?)?;
    let limits = config.data_plane.listen;
    let gateway = Gateway::new(
        Arc::clone(&house),
        config.data_plane,
        &catalogue(config.prices.as_deref())?,
        Timestamp::now(),
    )?;
    let data = bind("listen", config.listen)?;
    let admin = bind("admin_listen", config.admin_listen)?;
    let (data_plane, control_plane) = (data.local_addr()?, admin.local_addr()?);
    let stop = CancellationToken::new();
    let runtime = Runtime::new().context("the runtime cannot start")?;
    let control = control::serve(admin, Arc::clone(&gateway), limits, stop.clone())
        .context("the control plane cannot start")?;
    let (done, served) = tokio::sync::mpsc::channel(1);
    runtime.spawn(rounds(Arc::clone(&house), stop.clone()));
    runtime.spawn(serve_data(data, gateway, limits, stop.clone(), done));
    Ok(Running {
        data_plane,
        control_plane,
        house,
        runtime: Some(runtime),
        control: Some(control),
        stop,
        served,
    })
}

impl Running {
    /// Waits for an interrupt or a termination signal, then for the calls in flight.
    pub fn until_told_to_stop(mut self) -> Result<()> {
        let Some(runtime) = &self.runtime else {
            return Ok(());
        };
        runtime.block_on(async {
            tokio::select! {
                told = told_to_stop() => told,
                _ = self.served.recv() => bail!("the data plane stopped by itself; see the log"),
            }
        })?;
        eprintln!("stopping: waiting for calls in flight");
        drop(self);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.block_on(async {
                let _ = self.served.recv().await;
                if let Err(why) = self.house.last_round(Timestamp::now()).await {
                    tracing::warn!(
                        code = why.code(),
                        "the last round was not done; the next start does it"
                    );
                }
            });
            runtime.shutdown_timeout(ROUND);
        }
        if let Some(control) = self.control.take() {
            let _ = control.join();
        }
    }
}

async fn serve_data(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    limits: ListenLimits,
    stop: CancellationToken,
    done: tokio::sync::mpsc::Sender<()>,
) {
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            listen::serve(listener, data_plane::router(gateway), limits, stop).await;
        }
        Err(why) => tracing::error!(%why, "the data plane cannot serve"),
    }
    let _ = done.send(()).await;
}

/// Once a second for as long as the process serves.
async fn rounds(house: Arc<House>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(why) = house.rounds(Timestamp::now()).await {
            tracing::warn!(
                code = why.code(),
                "a round over the tenants was not complete; the next one tries again"
            );
        }
    }
}

async fn told_to_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The longest password of a database role, in bytes.
const LONGEST_PASSWORD: usize = 1024;

fn engine(store: &Store) -> Result<Engine> {
    let Store::Postgres {
        address,
        password_file,
    } = store
    else {
        return Ok(Engine::Embedded);
    };
    let password = password_file
        .as_ref()
        .map(|file| read_private(file, LONGEST_PASSWORD))
        .transpose()
        .context("store_password_file")?;
    let password = password
        .as_ref()
        .map(|bytes| std::str::from_utf8(bytes).map(str::trim_end))
        .transpose()
        .context("store_password_file holds no text")?;
    PostgresAddress::parse(address, password)
        .map(Engine::Postgres)
        .map_err(|why| anyhow!("store: {why}"))
}

fn house(config: &Config, make: bool) -> Result<HouseConfig> {
    Ok(HouseConfig {
        store: engine(&config.store)?,
        data_dir: config.data_dir.clone(),
        keyring_dir: config.keyring_dir.clone(),
        provider: provider(config, make)?,
        fetch_jwks: jwks::fetcher(config.internal_issuers),
        open_compartments: config.open_tenants,
    })
}

/// A key is made only by `init`: a server that cannot find its key must not go on with another one.
fn provider(config: &Config, make: bool) -> Result<Arc<dyn KeyProvider>> {
    match &config.keys {
        Keys::File { file } => Ok(Arc::new(match make && !file.exists() {
            true => FileKeyProvider::create(file)?,
            false => FileKeyProvider::open(file)?,
        })),
        Keys::Passphrase { file, env } => {
            let passphrase = match (file, env) {
                (Some(file), _) => Passphrase::from_file(file)?,
                (None, Some(name)) => Passphrase::new(std::env::var(name).map_err(|_| {
                    anyhow!("the environment variable {name} holds no passphrase")
                })?)?,
                (None, None) => bail!("no passphrase is configured"),
            };
            let header = config.keyring_dir.join("passphrase.header");
            Ok(Arc::new(match make && !header.exists() {
                true => PassphraseProvider::create(&header, &passphrase, Argon2Cost::default())?,
                false => PassphraseProvider::open(&header, &passphrase)?,
            }))
        }
    }
}

fn catalogue(own: Option<&Path>) -> Result<Catalogue> {
    let shipped = Catalogue::shipped()?;
    let Some(file) = own else { return Ok(shipped) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the prices {} cannot be read", file.display()))?;
    let own = Catalogue::parse(&text)
        .with_context(|| format!("the prices {} are not valid", file.display()))?;
    shipped
        .overridden_by(own)
        .with_context(|| format!("the prices {} do not fit the shipped ones", file.display()))
}

fn bind(field: &str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!("{field}: cannot listen on {address}; is another process listening there?")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Logs go to a file, for commands that have the terminal for themselves.
pub fn log_quietly(file: &Path) -> Result<()> {
    let open = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file);
    let open = open.with_context(|| format!("the log {} cannot be written", file.display()))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_ansi(false)
        .with_writer(Arc::new(open))
        .init();
    Ok(())
}

/// Logs go to standard error. `COFFERDAM_LOG` chooses what, as in `info,gateway=debug`.
pub fn log_as(log: Log) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr);
    match log {
        Log::Json => lines.json().init(),
        Log::Pretty => lines.init(),
    }
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("COFFERDAM_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}
