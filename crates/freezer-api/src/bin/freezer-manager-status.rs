//! `freezer-manager-status`: upgrade checks; exit code 0 success, 1 warning, 2 failure, 255 could not check.

#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freezer_api::manage::arguments::{ConfigArguments, of_process};
use freezer_api::manage::status;

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
    let Arguments { config, command } = Arguments::parse();
    let Command::Upgrade { command: Upgrade::Check { json } } = command;
    let (env, home) = of_process();
    match status::check(&config.sources(env, home), json, &mut std::io::stdout()).await {
        Ok(verdict) => ExitCode::from(verdict as u8),
        Err(error) => {
            eprintln!("freezer-manager-status: {error}");
            ExitCode::from(255)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
