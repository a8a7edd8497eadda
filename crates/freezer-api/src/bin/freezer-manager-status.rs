//! `freezer-manager-status`: upgrade checks; exit code 0 success, 1 warning, 2 failure, 255 could not check.

#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freezer_api::manage::arguments::{self, process_environment};
use freezer_api::manage::status;

/// Checks whether this release can serve the existing installation.
#[derive(Parser)]
#[command(name = "freezer-manager-status", version)]
struct StatusArguments {
    #[command(subcommand)]
    command: StatusCommand,
}

#[derive(Subcommand)]
enum StatusCommand {
    /// Upgrade checks.
    Upgrade {
        #[command(subcommand)]
        command: Upgrade,
    },
}

#[derive(Subcommand)]
enum Upgrade {
    /// Checks database, configuration and policy files, and prints the results. The exit code is the worst of
    /// them: 0 success, 1 warning, 2 failure; 255 if the checks could not run.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (StatusArguments { command }, line) = arguments::parse(&[]);
    let StatusCommand::Upgrade { command: Upgrade::Check { json } } = command;
    let (env, home) = process_environment();
    match status::check(&line.sources(env, home), json, &mut std::io::stdout()).await {
        Ok(verdict) => ExitCode::from(verdict as u8),
        Err(error) => {
            eprintln!("freezer-manager-status: {error}");
            ExitCode::from(255)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{StatusArguments, arguments};

    #[test]
    fn the_arguments_are_well_formed() {
        arguments::command::<StatusArguments>(&[]).debug_assert();
    }
}
