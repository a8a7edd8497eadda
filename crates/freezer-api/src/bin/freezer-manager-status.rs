//! `freezer-manager-status`: upgrade checks; exit code 0 success, 1 warning, 2 failure, 255 could not check.

#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freezer_api::config::Settings;
use freezer_api::manage::arguments::{ConfigArguments, of_process};
use freezer_api::manage::status::{self, Verdict};

/// Checks whether this release can serve what is there.
#[derive(Parser)]
#[command(name = "freezer-manager-status", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Upgrade checks.
    Upgrade {
        #[command(subcommand)]
        command: Upgrade,
    },
}

#[derive(Subcommand)]
enum Upgrade {
    /// Runs the checks and prints their results.
    Check,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Command::Upgrade { command: Upgrade::Check } = arguments.command;
    match check(&arguments.config).await {
        Ok(verdict) => ExitCode::from(verdict as u8),
        Err(error) => {
            eprintln!("freezer-manager-status: {error}");
            ExitCode::from(255)
        }
    }
}

async fn check(config: &ConfigArguments) -> Result<Verdict, Box<dyn std::error::Error>> {
    let (env, home) = of_process();
    let database = Settings::load_database(&config.sources(env, home))?;
    Ok(status::check(&database.store(false), &mut std::io::stdout()).await?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
