//! The shapes of the TOML tables. Unknown fields are refused; each field tells its unit, default and bounds.

use std::path::PathBuf;

use serde::Deserialize;
use wire::openai::MaxTokensField;

/// `[limits]`: what a connection and a call may cost this process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open client connections; more wait in the kernel's backlog. Default 4096, 1 to 65536.
    pub max_connections: u64,
    /// Bytes of a request's head (request line and headers). Default 16384, 1024 to 65536.
    pub max_head_bytes: u64,
    /// Header lines of a request. Default 64, 8 to 256.
    pub max_headers: u64,
    /// Milliseconds from a head's first byte (or a new connection) to its end. Default 10000, 100 to 120000.
    pub head_timeout_ms: u64,
    /// Milliseconds a connection may stay open between requests. Default 75000, 1000 to 600000.
    pub idle_timeout_ms: u64,
    /// Milliseconds a client may take nothing of an answer. Default 60000, 1000 to 600000.
    pub write_stall_ms: u64,
    /// Milliseconds that calls in flight may take to finish at shutdown. Default 30000, 0 to 600000.
    pub drain_ms: u64,
    /// Bytes of a request body. Default 8388608 (8 MiB), 1024 to 67108864 (64 MiB).
    pub max_body_bytes: u64,
    /// Bytes of request bodies that one tenant may have in the process at once. Default 67108864 (64 MiB),
    /// `max_body_bytes` to 1073741824 (1 GiB).
    pub max_tenant_body_bytes: u64,
    /// Milliseconds from a request's head to the end of its body. Default 30000, 100 to 600000.
    pub body_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_connections: 4096,
            max_head_bytes: 16 * 1024,
            max_headers: 64,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            write_stall_ms: 60_000,
            drain_ms: 30_000,
            max_body_bytes: 8 * 1024 * 1024,
            max_tenant_body_bytes: 64 * 1024 * 1024,
            body_timeout_ms: 30_000,
        }
    }
}

/// `[[upstream]]`: one place where completions come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Upstream {
    /// Any server that speaks the OpenAI API.
    OpenAi(OpenAi),
    /// The built-in engine, one process for each tenant.
    Cell(Cell),
}

/// `[[upstream]]` with `kind = "openai"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAi {
    /// The operator's name for it; models and tenants' own credentials refer to it. 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    /// Base URL, `http` or `https`, with or without `/v1`.
    pub url: String,
    /// A file that holds the operator's API key for it. Without one, and without a credential of the
    /// tenant's own, requests go out without authorization.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// A PEM file of certificate authorities trusted in addition to the public ones.
    #[serde(default)]
    pub extra_ca_file: Option<PathBuf>,
    /// Which derived cache and identity fields this server understands. It has to be said: without any, tenants share what
    /// prefix cache the server keeps, and can hear each other in its timing.
    #[serde(default)]
    pub derived: Option<DerivedFields>,
    /// Body fields beyond the OpenAI API that callers may send to it. Up to 64 names.
    #[serde(default)]
    pub extra_fields: Vec<String>,
    /// How this server bounds its output. Default: `max_completion_tokens` with `derived = "openai"`, else `max_tokens`.
    #[serde(default)]
    pub max_tokens_field: Option<MaxTokensField>,
    /// Milliseconds for a TCP connection; TLS counts towards the first byte. Default 5000, 50 to 60000.
    #[serde(default = "connect_ms")]
    pub connect_timeout_ms: u64,
    /// Milliseconds until a stream's head. Default 60000, 100 to 600000.
    #[serde(default = "first_byte_ms")]
    pub first_byte_timeout_ms: u64,
    /// Milliseconds between two pieces of an answer. Default 60000, 100 to 600000.
    #[serde(default = "first_byte_ms")]
    pub idle_timeout_ms: u64,
    /// Milliseconds for a whole call. Default 600000, 100 to 3600000.
    #[serde(default = "total_ms")]
    pub total_timeout_ms: u64,
    /// Bytes of an answer. Default 16777216 (16 MiB), 1024 to 268435456 (256 MiB).
    #[serde(default = "response_bytes")]
    pub max_response_bytes: u64,
    /// Milliseconds an idle connection is kept. Default 4000, below the 5 s after which common model servers close theirs:
    /// whoever closes first must be the one that would use it. Hosted services bear 60000. 0 to 600000.
    #[serde(default = "keep_idle_ms")]
    pub keep_idle_ms: u64,
    /// Idle connections kept for each tenant. Default 32, 0 to 1024.
    #[serde(default = "idle_connections")]
    pub max_idle_connections: u64,
}

/// `[[upstream]]` with `kind = "cell"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The operator's name for it. 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    /// The model file (GGUF) that its cells load.
    pub model_file: PathBuf,
    /// Tokens of context at most. Default: the model's own length; 16 to 16777216.
    #[serde(default)]
    pub context_limit: Option<u64>,
    /// Generations that may wait behind the running one of a cell. Default 16, 0 to 1024.
    #[serde(default = "cells")]
    pub queue: u64,
    /// Threads of each cell. Default 2, 1 to 256.
    #[serde(default = "threads")]
    pub threads: u64,
    /// Cells that may run at once for all tenants together. Default 16, 1 to 4096.
    #[serde(default = "cells")]
    pub max_cells: u64,
    /// Milliseconds until a started cell answers. Default 60000, 1000 to 600000.
    #[serde(default = "first_byte_ms")]
    pub start_timeout_ms: u64,
    /// Milliseconds after which an unused cell is stopped. Default 300000, 1000 to 86400000.
    #[serde(default = "cell_idle_ms")]
    pub idle_stop_ms: u64,
    /// Milliseconds for a whole call. Default 600000, 100 to 3600000.
    #[serde(default = "total_ms")]
    pub total_timeout_ms: u64,
}

/// Which fields an upstream gets that keep tenants' caches and identities apart.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DerivedFields {
    /// None: the server would refuse them, and keeps no prefix cache or serves one tenant.
    None,
    /// `prompt_cache_key` and `safety_identifier`.
    OpenAi,
    /// `cache_salt`.
    Vllm,
}

/// `[[model]]`: one name that callers may ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What callers write. 1 to 128 of `A-Z a-z 0-9 - _ . : /`.
    pub name: String,
    /// The upstream's name.
    pub upstream: String,
    /// What the upstream calls it. Default: `name`.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// What it does: `"text"` (chat and completions) or `"embedding"`. Default `"text"`.
    #[serde(default = "text")]
    pub task: policy::Task,
    /// Nothing is paid for it. A model that is not free needs a price in the catalogue.
    #[serde(default)]
    pub free: bool,
    /// Its entry in the price catalogue. Default: `upstream_model`.
    #[serde(default)]
    pub price: Option<String>,
    /// Most output tokens of one choice. Default 4096, 1 to 1000000.
    #[serde(default = "output_tokens")]
    pub max_output_tokens: u64,
}

fn text() -> policy::Task {
    policy::Task::Text
}
fn connect_ms() -> u64 {
    5_000
}
fn first_byte_ms() -> u64 {
    60_000
}
fn total_ms() -> u64 {
    600_000
}
fn response_bytes() -> u64 {
    16 * 1024 * 1024
}
fn keep_idle_ms() -> u64 {
    4_000
}
fn idle_connections() -> u64 {
    32
}
fn threads() -> u64 {
    2
}
fn cells() -> u64 {
    16
}
fn cell_idle_ms() -> u64 {
    300_000
}
fn output_tokens() -> u64 {
    4096
}
