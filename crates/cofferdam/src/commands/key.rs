//! `cofferdam key …`

use anyhow::{Result, bail};
use wire::steward::{ApiKey, KeyState, MintKey, MintedKey, Scope};

use super::{all, operator};
use crate::cli;
use crate::show;

/// Seconds of a day.
const DAY: u32 = 86_400;

pub fn run(asked: cli::Key) -> Result<()> {
    match asked {
        cli::Key::Create {
            tenant,
            name,
            scopes,
            models,
            expires_in_days,
            reach,
        } => {
            let wish = MintKey {
                name,
                scopes: scopes
                    .iter()
                    .map(|word| scope(word))
                    .collect::<Result<_>>()?,
                models: (!models.is_empty()).then_some(models),
                expires_in_seconds: expires_in_days.map(|days| days.saturating_mul(DAY)),
                expires_at: None,
                limits: None,
            };
            let minted: MintedKey =
                operator(&reach)?.post(&format!("/admin/v1/tenants/{tenant}/keys"), &wish)?;
            if reach.json {
                return show::json(&minted);
            }
            rows(std::slice::from_ref(&minted.facts));
            println!(
                "\nThe key is shown this once; keep it where secrets are kept:\n\n  {}\n",
                minted.key.expose()
            );
            Ok(())
        }
        cli::Key::List { tenant, reach } => {
            let path = format!("/admin/v1/tenants/{tenant}/keys");
            let keys = all(&operator(&reach)?, &path, |key: &ApiKey| &key.id)?;
            if reach.json {
                return show::json(&keys);
            }
            rows(&keys);
            Ok(())
        }
        cli::Key::Revoke { tenant, key, reach } => {
            let revoked: ApiKey =
                operator(&reach)?.delete(&format!("/admin/v1/tenants/{tenant}/keys/{key}"))?;
            if reach.json {
                return show::json(&revoked);
            }
            rows(std::slice::from_ref(&revoked));
            Ok(())
        }
    }
}

/// The scope of that word; the words are those of the interface.
fn scope(word: &str) -> Result<Scope> {
    match serde_json::from_value(serde_json::Value::String(word.to_owned())) {
        Ok(scope) => Ok(scope),
        Err(_) => {
            bail!("`{word}` is not a scope; choose from infer, mint_sessions, steward, audit")
        }
    }
}

fn rows(keys: &[ApiKey]) {
    let row = |key: &ApiKey| {
        let scopes: Vec<_> = key.scopes.iter().map(show::word).collect();
        let state = match key.state {
            KeyState::Active => "active",
            KeyState::Revoked => "revoked",
            KeyState::Expired => "expired",
        };
        vec![
            key.id.clone(),
            key.name.clone(),
            state.to_owned(),
            scopes.join(" "),
            key.models
                .as_ref()
                .map_or("all".to_owned(), |models| models.join(" ")),
            key.expires_at.map_or("never".to_owned(), show::moment),
        ]
    };
    show::table(
        &["key", "name", "state", "scopes", "models", "expires"],
        keys.iter().map(row).collect(),
    );
}
