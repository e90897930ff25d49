//! The command line: what can be said, not what is done.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use wire::steward::Secret;

/// A secure multi-tenant gateway and data plane for LLM deployments.
#[derive(Debug, Parser)]
#[command(
    name = "cofferdam",
    version,
    about,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up two tenants, get a model, chat as both, prove their isolation, and keep serving
    Quickstart(Quickstart),
    /// Make the folders, the keys and the first operator key that a configuration names
    Init(ConfigFile),
    /// Serve: the data plane for tenants, the control plane for the operator
    Serve(ConfigFile),
    /// Move a deployment between stores
    #[command(subcommand)]
    Store(Store),
    /// Create, list, suspend and resume tenants
    #[command(subcommand)]
    Tenant(Tenant),
    /// Mint, list and revoke a tenant's API keys
    #[command(subcommand)]
    Key(Key),
    /// What a tenant used: calls, tokens, money
    Usage(Usage),
    /// Export a tenant's journal; verify and prove exports offline
    #[command(subcommand)]
    Audit(Audit),
    /// Fetch and import models for the built-in engine
    #[command(subcommand)]
    Model(Model),
    /// Test the isolation of two tenants on any OpenAI-compatible gateway, from outside
    Probe(Box<Probe>),
    /// Print the interface (OpenAPI 3.1) as this binary serves it
    Openapi,
    /// The inference process of one tenant; started by the gateway, speaks frames on standard input
    #[command(hide = true)]
    Cell,
}

#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration (TOML)
    #[arg(long, value_name = "FILE", env = "COFFERDAM_CONFIG")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Store {
    /// Copy the deployment to another store, tenant by tenant, and compare both; what was interrupted is gone on with
    Copy(StoreCopy),
}

#[derive(Debug, Args)]
pub struct StoreCopy {
    #[command(flatten)]
    pub config: ConfigFile,
    /// The store to copy from: `embedded`, in the configuration's data_dir, or the address of a Postgres database
    #[arg(long, value_name = "STORE")]
    pub from: String,
    /// A file that holds the password for that database
    #[arg(long, value_name = "FILE")]
    pub from_password_file: Option<PathBuf>,
    /// The store to copy to; it must be empty, or hold an unfinished copy
    #[arg(long, value_name = "STORE")]
    pub to: String,
    /// A file that holds the password for that database
    #[arg(long, value_name = "FILE")]
    pub to_password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Quickstart {
    /// Everything is kept in this folder; an existing one is gone on from
    #[arg(long, value_name = "DIR", default_value = "cofferdam-home")]
    pub home: PathBuf,
    /// Stop after the tour instead of serving on
    #[arg(long)]
    pub once: bool,
    /// Use this OpenAI-compatible server instead of the built-in engine
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// A file that holds the key of that server
    #[arg(long, value_name = "FILE", requires = "upstream")]
    pub upstream_key_file: Option<PathBuf>,
    /// The model to ask for at that server
    #[arg(long, value_name = "NAME", requires = "upstream")]
    pub upstream_model: Option<String>,
    /// Use this model file instead of fetching one; it must match the manifest's digest
    #[arg(
        long,
        value_name = "FILE",
        env = "COFFERDAM_MODEL_FILE",
        conflicts_with = "upstream"
    )]
    pub model_file: Option<PathBuf>,
    /// Address of the data plane
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070")]
    pub listen: std::net::SocketAddr,
    /// Address of the control plane
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7071")]
    pub admin_listen: std::net::SocketAddr,
}

/// How to reach the control plane, and how to print what it answers.
#[derive(Debug, Args)]
pub struct Reach {
    /// The control plane
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:7071",
        env = "COFFERDAM_ADMIN_URL"
    )]
    pub admin: String,
    /// A file that holds the operator key
    #[arg(
        long,
        value_name = "FILE",
        default_value = "cofferdam-home/secrets/operator.key",
        env = "COFFERDAM_OPERATOR_KEY_FILE"
    )]
    pub operator_key_file: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Create a tenant; a name that exists already gives that tenant
    Create {
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// List the tenants
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Refuse every call of a tenant until it is resumed
    Suspend {
        /// The tenant's id
        tenant: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Let a suspended tenant call again
    Resume {
        /// The tenant's id
        tenant: String,
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Mint a key; it is shown this once only
    Create {
        /// The tenant's id
        #[arg(long)]
        tenant: String,
        name: String,
        /// What the key may do (can be given several times)
        #[arg(
            long = "scope",
            value_name = "infer|mint_sessions|steward|audit",
            default_value = "infer"
        )]
        scopes: Vec<String>,
        /// A model the key may use (can be given several times); none = all
        #[arg(long = "model", value_name = "NAME")]
        models: Vec<String>,
        /// Days until the key expires; none = never
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
        #[command(flatten)]
        reach: Reach,
    },
    /// List a tenant's keys
    List {
        /// The tenant's id
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Revoke a key; takes effect at once
    Revoke {
        /// The tenant's id
        #[arg(long)]
        tenant: String,
        /// The key's id
        key: String,
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(Debug, Args)]
pub struct Usage {
    /// The tenant's id
    #[arg(long)]
    pub tenant: String,
    /// First day, such as 2026-11-01; none = 30 days ago
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Last day; none = today
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Write a tenant's journal into one file that anyone can verify offline
    Export {
        /// The tenant's id
        #[arg(long)]
        tenant: String,
        /// The file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        reach: Reach,
    },
    /// Verify an exported journal; needs no server
    Verify {
        file: PathBuf,
        /// The journal's verifier key, pinned when the tenant was created; without it, the file's own is taken
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
        /// The deployment log's verifier key
        #[arg(long, value_name = "VKEY")]
        deployment_key: Option<String>,
        /// An earlier checkpoint of the same journal, which this export must have grown from
        #[arg(long, value_name = "FILE")]
        earlier: Option<PathBuf>,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Prove one record of an exported journal; needs no server
    Prove {
        file: PathBuf,
        /// The call whose record is proven
        #[arg(
            long,
            value_name = "ID",
            required_unless_present = "seq",
            conflicts_with = "seq"
        )]
        call: Option<String>,
        /// The number of the record
        #[arg(long, value_name = "N")]
        seq: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Model {
    /// List the models that can be fetched, and which are here
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model of the manifest into the cache
    Fetch {
        #[arg(default_value = "smollm2-135m-instruct")]
        name: String,
        /// Use this file instead of fetching; it must match the manifest's digest
        #[arg(long, value_name = "FILE")]
        model_file: Option<PathBuf>,
    },
    /// Convert a GGUF file into the form the built-in engine is fast with
    Import {
        file: PathBuf,
        /// The file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Probe {
    /// Base URL of the gateway under test, with or without /v1; loopback only, unless you say that it is yours
    #[arg(long, value_name = "URL")]
    pub target: url::Url,
    /// Key of tenant A, the victim; visible in the process list, so prefer the file or the environment
    #[arg(long, value_name = "KEY", env = "COFFERDAM_PROBE_KEY_A", hide_env_values = true, value_parser = secret)]
    pub key_a: Option<Secret>,
    /// A file that holds the key of tenant A; comes before --key-a
    #[arg(long, value_name = "FILE")]
    pub key_a_file: Option<PathBuf>,
    /// Key of tenant B, the attacker: another tenant, not only another key
    #[arg(long, value_name = "KEY", env = "COFFERDAM_PROBE_KEY_B", hide_env_values = true, value_parser = secret)]
    pub key_b: Option<Secret>,
    /// A file that holds the key of tenant B; comes before --key-b
    #[arg(long, value_name = "FILE")]
    pub key_b_file: Option<PathBuf>,
    /// Be the upstream, listening here; the gateway's model must lead to it. Without it, a real engine is behind the gateway
    #[arg(long, value_name = "ADDR")]
    pub echo: Option<std::net::SocketAddr>,
    /// The model to ask for; none = the first that both keys are offered
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A model for embeddings; without it, that route is left out
    #[arg(long, value_name = "NAME")]
    pub embedding_model: Option<String>,
    /// The gateway's control plane (Cofferdam's), for rows that can look there
    #[arg(long, value_name = "URL", requires = "operator_key_file")]
    pub admin: Option<url::Url>,
    /// A file that holds the operator's key
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub operator_key_file: Option<PathBuf>,
    /// Only these rows of the catalogue, such as 2,11
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<u8>,
    /// What every random value is drawn from; none = a fresh one. The same seed replays a run
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// 600 samples instead of 200, and up to an hour
    #[arg(long)]
    pub certificate: bool,
    /// Most requests to the target
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_requests: Option<u64>,
    /// Most minutes of the whole run; what is left undone then is INCONCLUSIVE
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub max_minutes: Option<u64>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the report as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The target is not this machine, and it is yours
    #[arg(long)]
    pub i_operate_this_target: bool,
}

/// Any text is a secret; that it never fails keeps it out of error messages.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
