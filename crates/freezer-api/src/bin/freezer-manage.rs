//! `freezer-manage`: creates and inspects the tables.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freezer_api::config::{LogSettings, Settings};
use freezer_api::logging;
use freezer_api::manage::arguments::{ConfigArguments, of_process};
use freezer_api::manage::db;

/// Manages the database of freezer-api.
#[derive(Parser)]
#[command(name = "freezer-manage", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The database's tables.
    Db {
        #[command(subcommand)]
        command: Db,
    },
}

#[derive(Subcommand)]
enum Db {
    /// Brings the tables to the newest layout; creates them in an empty database.
    Sync,
    /// Prints the database, its revision and the rows of each table.
    Show,
    /// Prints the revision.
    Version,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("freezer-manage: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let (env, home) = of_process();
    let database = Settings::load_database(&arguments.config.sources(env, home))?;
    logging::start(&LogSettings::default())?;
    let Command::Db { command } = arguments.command;
    let mut out = std::io::stdout();
    match command {
        Db::Sync => db::sync(&database.store(true), &mut out).await?,
        Db::Show => db::show(&database.store(false), &mut out).await?,
        Db::Version => db::version(&database.store(false), &mut out).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
