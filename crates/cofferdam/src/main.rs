//! The `cofferdam` binary: chooses a command; `app` is the one place where parts are wired.

mod app;
mod cli;
mod client;
mod commands;
mod config;
mod jwks;
mod model;
mod quickstart;
mod show;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Command::Cell = command {
        return cell::serve();
    }
    match run(command) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Quickstart(asked) => quickstart::run(&asked)?,
        Command::Init(asked) => commands::init::run(&config::read(&asked.config)?)?,
        Command::Serve(asked) => app::serve(config::read(&asked.config)?)?,
        Command::Store(asked) => commands::store::run(asked)?,
        Command::Tenant(asked) => commands::tenant::run(asked)?,
        Command::Key(asked) => commands::key::run(asked)?,
        Command::Usage(asked) => commands::usage::run(asked)?,
        Command::Audit(asked) => return commands::audit::run(asked),
        Command::Model(asked) => commands::model::run(asked)?,
        Command::Probe(asked) => return commands::probe::run(*asked),
        Command::Openapi => print!("{}", gateway::openapi()),
        Command::Cell => return Ok(cell::serve()),
    }
    Ok(ExitCode::SUCCESS)
}
