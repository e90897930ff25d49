//! A gateway process of a test's own: the real binary, a temporary home, free ports.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::client::Client;

pub const BINARY: &str = env!("CARGO_BIN_EXE_cofferdam");

/// A home folder with a configuration, initialised.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub operator_key: String,
}

/// A serving process; killed when dropped.
pub struct Gateway {
    child: Child,
    pub data_plane: String,
    pub control_plane: String,
    operator_key: String,
    log: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Home {
    /// A home whose models `fake` (priced), `free` and `vectors` (embeddings) lead to `upstream`, with these further lines of configuration.
    pub fn new(upstream: &str, further: &str) -> Home {
        Home::at(tempfile::tempdir().unwrap(), upstream, further)
    }

    pub fn at(dir: tempfile::TempDir, upstream: &str, further: &str) -> Home {
        std::fs::create_dir_all(dir.path().join("secrets")).unwrap();
        std::fs::write(dir.path().join("prices.toml"), PRICES).unwrap();
        std::fs::write(
            dir.path().join("upstream.key"),
            "sk-upstream-of-the-operator\n",
        )
        .unwrap();
        let config = CONFIG.replace("@UPSTREAM@", upstream) + further;
        std::fs::write(dir.path().join("cofferdam.toml"), config).unwrap();
        let made = Command::new(BINARY)
            .arg("init")
            .arg("--config")
            .arg(dir.path().join("cofferdam.toml"))
            .output();
        let made = made.unwrap();
        assert!(
            made.status.success(),
            "init: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let operator_key = std::fs::read_to_string(dir.path().join("secrets/operator.key"))
            .unwrap()
            .trim()
            .to_owned();
        Home { dir, operator_key }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn serve(&self) -> Gateway {
        self.try_serve().expect("the gateway did not come up")
    }

    /// Starts the gateway; gives its log if it ends before it listens.
    pub fn try_serve(&self) -> Result<Gateway, String> {
        self.serve_logging("info")
    }

    /// As [`Home::try_serve`], with another log level.
    pub fn serve_logging(&self, level: &str) -> Result<Gateway, String> {
        let mut child = Command::new(BINARY)
            .arg("serve")
            .arg("--config")
            .arg(self.path().join("cofferdam.toml"))
            .env("COFFERDAM_LOG", level)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while errors.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                kept.lock().unwrap().append(&mut line);
            }
        });
        let mut addresses = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while addresses.len() < 2 {
            match lines.next() {
                Some(Ok(line)) => addresses.extend(
                    line.split_whitespace()
                        .find(|w| w.starts_with("http://"))
                        .map(str::to_owned),
                ),
                _ => {
                    let _ = child.wait();
                    let _ = reader.join();
                    return Err(String::from_utf8_lossy(&log.lock().unwrap()).into_owned());
                }
            }
        }
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().extend_from_slice(line.as_bytes());
            }
        });
        let control_plane = addresses.pop().unwrap();
        let data_plane = addresses.pop().unwrap();
        Ok(Gateway {
            child,
            data_plane,
            control_plane,
            operator_key: self.operator_key.clone(),
            log,
            reader: Some(reader),
        })
    }
}

impl Gateway {
    pub fn operator(&self) -> Client {
        Client::new(&self.control_plane, &self.operator_key)
    }

    pub fn operator_key(&self) -> &str {
        &self.operator_key
    }

    pub fn caller(&self, key: &str) -> Client {
        Client::new(&self.data_plane, key)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, waits until it has, and gives its whole log.
    pub fn stop(mut self) -> Vec<u8> {
        let told = Command::new("kill")
            .arg("-TERM")
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(told.success());
        let ended = self.child.wait().unwrap();
        assert!(
            ended.success(),
            "{ended}: {}",
            String::from_utf8_lossy(&self.log())
        );
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.log()
    }

    /// Everything it logged so far.
    pub fn log(&self) -> Vec<u8> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIG: &str = r#"
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
data_dir = "data"
keyring_dir = "keyring"
prices = "prices.toml"
log = "json"

[keys]
provider = "file"
file = "secrets/root.key"

[[upstream]]
kind = "openai"
name = "fake"
url = "@UPSTREAM@"
key_file = "upstream.key"
derived = "openai"

[[model]]
name = "fake"
upstream = "fake"
max_output_tokens = 1000

[[model]]
name = "free"
upstream = "fake"
upstream_model = "fake"
free = true
max_output_tokens = 1000

[[model]]
name = "vectors"
upstream = "fake"
task = "embedding"
free = true
"#;

/// One token, in or out, costs 1,000 nano-units: a call's price is its tokens.
const PRICES: &str = r#"
currency = "USD"
retrieved = "2026-11-24"

[[model]]
name = "fake"
vendor = "tests"
input = "1"
output = "1"
source = "a test"
as_of = "2026-11-24"
"#;
