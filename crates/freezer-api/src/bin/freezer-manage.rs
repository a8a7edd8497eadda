//! `freezer-manage`: creates and inspects the tables.

#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use freezer_api::config::{LogSettings, Settings};
use freezer_api::logging;
use freezer_api::manage::arguments::{ConfigArguments, of_process};
use freezer_api::manage::db;
use freezer_store::migrations::{SyncOptions, Wishes, holder};

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
    /// Brings the tables to the newest layout, from any that Freezer ever had; creates them in an empty database.
    #[command(alias = "update")]
    Sync(Sync),
    /// Prints the database, its revision and the rows of each table.
    Show,
    /// Prints the revision.
    Version,
}

#[derive(clap::Args)]
struct Sync {
    /// Print the plan (SQL and rows) and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Convert tables of more than 100,000 rows to utf8mb4, too; each is locked meanwhile.
    #[arg(long)]
    charset: bool,
    /// Wait so long for another sync to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
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
        Db::Sync(Sync { dry_run, charset, wait }) => {
            let wishes = Wishes { convert_large_tables: charset };
            if dry_run {
                db::dry_run(&database.store(false), wishes, &mut out).await?;
            } else {
                let options = SyncOptions { wishes, wait: Duration::from_secs(wait), holder: holder() };
                db::sync(&database.store(true), &options, &mut out).await?;
            }
        }
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
