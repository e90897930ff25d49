//! The tour: two tenants chat, one looks for the other's things, both are billed, both journals are verified.

use std::io::{BufReader, Read, Write};

use anyhow::{Context, Result, bail, ensure};
use evidence::export::{self, Trust};
use serde_json::json;
use wire::admin::{CreateTenant, Tenant};
use wire::openai::models::ModelList;
use wire::sse;
use wire::steward::{Checkpoint, MintKey, MintedKey, Scope, UsageList};

use super::home::Home;
use super::step;
use crate::app::Running;
use crate::client::{Client, keep_secret};
use crate::commands::{audit, usage};

/// A streamed event is far smaller than this.
const LONGEST_EVENT: usize = 1 << 20;
/// Output tokens of each chat.
const SHORT: u32 = 60;

/// One of the two tenants, with what its people hold.
struct Guest {
    name: &'static str,
    asks: &'static str,
    app: Client,
    app_key: String,
    app_key_id: String,
    steward: Client,
}

pub fn take(home: &Home, running: &Running) -> Result<()> {
    let data_plane = format!("http://{}", running.data_plane);
    let operator = Client::with_key_file(
        &format!("http://{}", running.control_plane),
        &home.operator_key(),
    )?;

    step(
        "two tenants",
        "each with a key for its application and one for its steward",
    );
    let acme = guest(
        home,
        &operator,
        &data_plane,
        "acme",
        "In one short sentence: what is a harbour?",
    )?;
    let globex = guest(
        home,
        &operator,
        &data_plane,
        "globex",
        "In one short sentence: what is a compass?",
    )?;

    let models: ModelList = acme.app.get("/v1/models")?;
    let model = models
        .data
        .first()
        .context("no model is configured")?
        .id
        .clone();
    step("both chat", &model);
    let acmes_call = chat(&acme, &model)?;
    chat(&globex, &model)?;

    step("globex looks for acme's things", "with its own steward key");
    for (what, path, own) in [
        ("call", "/tenant/v1/calls/", &acmes_call),
        ("key", "/tenant/v1/keys/", &acme.app_key_id),
    ] {
        same_as_nothing(&globex.steward, what, path, own)?;
    }

    step("what they used", "");
    for guest in [&acme, &globex] {
        println!("  {}", guest.name);
        // a settlement is recorded right after the answer went out
        let used: UsageList = guest.steward.get("/tenant/v1/usage")?;
        usage::table(&used);
    }

    step("both journals, verified offline", "");
    for guest in [&acme, &globex] {
        verify(home, guest)?;
    }
    farewell(&acme, &data_plane, &model);
    Ok(())
}

fn guest(
    home: &Home,
    operator: &Client,
    data_plane: &str,
    name: &'static str,
    asks: &'static str,
) -> Result<Guest> {
    let tenant: Tenant = operator.post(
        "/admin/v1/tenants",
        &CreateTenant {
            name: name.to_owned(),
        },
    )?;
    let app_key = key(
        home,
        operator,
        &tenant,
        name,
        "app",
        &[Scope::Infer, Scope::MintSessions],
    )?;
    let steward_key = key(
        home,
        operator,
        &tenant,
        name,
        "steward",
        &[Scope::Steward, Scope::Audit],
    )?;
    // cfdk_<id>_<secret>_<checksum>
    let id = app_key
        .split('_')
        .nth(1)
        .context("the application key is not one of ours")?;
    println!("  {name:<8} {}", tenant.id);
    Ok(Guest {
        name,
        asks,
        app: Client::new(data_plane, &app_key),
        app_key_id: format!("key_{id}"),
        steward: Client::new(data_plane, &steward_key),
        app_key,
    })
}

/// The tenant's key of that role: the one kept before, or a new one.
fn key(
    home: &Home,
    operator: &Client,
    tenant: &Tenant,
    name: &str,
    role: &str,
    scopes: &[Scope],
) -> Result<String> {
    let file = home.tenant_key(name, role);
    if let Ok(kept) = std::fs::read_to_string(&file) {
        return Ok(kept.trim().to_owned());
    }
    let wish = MintKey {
        name: role.to_owned(),
        scopes: scopes.to_vec(),
        models: None,
        expires_in_seconds: None,
        expires_at: None,
        limits: None,
    };
    let minted: MintedKey =
        operator.post(&format!("/admin/v1/tenants/{}/keys", tenant.id), &wish)?;
    keep_secret(&file, minted.key.expose())?;
    Ok(minted.key.expose().to_owned())
}

/// Chats and prints the answer as it comes; gives the call's id.
fn chat(guest: &Guest, model: &str) -> Result<String> {
    println!("  {} asks: {}", guest.name, guest.asks);
    print!("  {} hears: ", guest.name);
    let request = json!({
        "model": model,
        "messages": [{"role": "user", "content": guest.asks}],
        "max_tokens": SHORT,
        "temperature": 0,
        "stream": true,
    });
    let mut answer = guest.app.post_stream("/v1/chat/completions", &request)?;
    let mut events = sse::Decoder::new(LONGEST_EVENT);
    let mut block = [0; 4096];
    let mut heard = Heard::default();
    loop {
        let got = answer.read(&mut block).context("the answer broke off")?;
        let Some(part) = block.get(..got).filter(|part| !part.is_empty()) else {
            break;
        };
        events
            .push(part, &mut |event| heard.hear(&event.data))
            .context("the answer is not a stream of events")?;
    }
    println!();
    if let Some(why) = heard.refused {
        bail!("the chat was refused: {why}");
    }
    ensure!(heard.done, "the answer ended before it was whole");
    heard.call.context("the answer named no call")
}

#[derive(Default)]
struct Heard {
    call: Option<String>,
    done: bool,
    refused: Option<String>,
}

impl Heard {
    fn hear(&mut self, data: &str) {
        if data == sse::DONE_DATA {
            self.done = true;
            return;
        }
        let Ok(chunk) = serde_json::from_str::<serde_json::Value>(data) else {
            return;
        };
        if let Some(error) = chunk.pointer("/error/message").and_then(|m| m.as_str()) {
            self.refused = Some(error.to_owned());
        }
        if let Some(id) = chunk.get("id").and_then(|id| id.as_str()) {
            self.call = Some(id.to_owned());
        }
        if let Some(text) = chunk
            .pointer("/choices/0/delta/content")
            .and_then(|text| text.as_str())
        {
            print!("{}", text.replace('\n', " "));
            // only for looks: a terminal that cannot be written to does not matter to the tour
            let _ = std::io::stdout().flush();
        }
    }
}

/// Asks for a thing of somebody else, and for one that never was: the answers must be the same to the byte.
fn same_as_nothing(who: &Client, what: &str, path: &str, others: &str) -> Result<()> {
    let (prefix, digits) = others.split_once('_').context("the id has no prefix")?;
    let random: String = digits.chars().rev().collect();
    let theirs = who.raw(&format!("{path}{others}"))?;
    let nothing = who.raw(&format!("{path}{prefix}_{random}"))?;
    ensure!(
        theirs.status == 404,
        "{path}{others} answered {} to another tenant",
        theirs.status
    );
    ensure!(
        theirs == nothing,
        "another tenant's {what} and none are told apart"
    );
    println!(
        "  {what} {others}: {} , as for one that never was, to the byte",
        theirs.status
    );
    Ok(())
}

fn verify(home: &Home, guest: &Guest) -> Result<()> {
    let signed: Checkpoint = guest.steward.get("/tenant/v1/journal/checkpoint")?;
    let file = home.journal(guest.name);
    audit::write(
        &mut guest.steward.get_stream("/tenant/v1/journal/export")?,
        &file,
    )?;
    let trust = Trust {
        vkey: Some(signed.verifier_key.parse()?),
        ..Trust::default()
    };
    let report =
        export::verify(BufReader::new(std::fs::File::open(&file)?), &trust).map_err(|finding| {
            anyhow::anyhow!("the journal of {} is not valid: {finding}", guest.name)
        })?;
    println!(
        "  {:<8} valid: {} records, signed; {}",
        guest.name,
        report.records,
        file.display()
    );
    Ok(())
}

fn farewell(guest: &Guest, data_plane: &str, model: &str) {
    step("your turn", &format!("as {}", guest.name));
    println!(
        "\n  export OPENAI_BASE_URL={data_plane}/v1\n  export OPENAI_API_KEY={}\n",
        guest.app_key
    );
    println!(
        "  curl {data_plane}/v1/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" \\"
    );
    println!("    -H 'Content-Type: application/json' \\");
    println!(
        "    -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
}
