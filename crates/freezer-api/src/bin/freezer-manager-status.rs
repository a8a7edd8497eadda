//! `freezer-manager-status`: upgrade checks; exit code 0 success, 1 warning, 2 failure, 255 could not check.

#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freezer_api::manage::arguments::{self, of_process};
use freezer_api::manage::status;

/// Checks whether this release can serve what is there.
#[derive(Parser)]
#[command(name = "freezer-manager-status", version)]
struct Arguments {
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
    /// Checks database, configuration and policy files, and prints the results. The exit code is the worst of them:
    /// 0 success, 1 warning, 2 failure; 255 where the checks could not be carried out.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (Arguments { command }, line) = arguments::parse(&[]);
    let Command::Upgrade { command: Upgrade::Check { json } } = command;
    let (env, home) = of_process();
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
    use super::{Arguments, arguments};

    #[test]
    fn the_arguments_are_well_formed() {
        arguments::command::<Arguments>(&[]).debug_assert();
    }
}
