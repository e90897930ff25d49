//! `cofferdam init`

use anyhow::Result;

use crate::app;
use crate::client::keep_secret;
use crate::config::Config;

/// Makes what is missing, and keeps the first operator key in `secrets/operator.key` beside the configuration.
pub fn run(config: &Config) -> Result<()> {
    let file = config.home.join("secrets").join("operator.key");
    match app::init(config)? {
        Some(key) => {
            keep_secret(&file, key.expose())?;
            println!("ready; the operator key is in {}", file.display());
        }
        None => println!("everything was there already; nothing was changed"),
    }
    Ok(())
}
