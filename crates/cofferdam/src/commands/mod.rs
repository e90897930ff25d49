//! The commands that speak to a running gateway, or to files.

pub mod audit;
pub mod init;
pub mod key;
pub mod model;
pub mod probe;
pub mod store;
pub mod tenant;
pub mod usage;

use anyhow::Result;

use crate::cli::Reach;
use crate::client::Client;

/// The control plane as the operator sees it.
fn operator(reach: &Reach) -> Result<Client> {
    Client::with_key_file(&reach.admin, &reach.operator_key_file)
}

/// A list that may be too long for one answer: asks for page after page.
fn all<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>> {
    let mut found: Vec<T> = Vec::new();
    loop {
        let after = found
            .last()
            .map_or(String::new(), |last| format!("&after={}", id(last)));
        let page: wire::steward::List<T> = client.get(&format!("{path}?limit=100{after}"))?;
        let more = page.has_more && !page.data.is_empty();
        found.extend(page.data);
        if !more {
            return Ok(found);
        }
    }
}
