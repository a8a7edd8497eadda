//! `freezer-bench`: seeds data sets of a given size and measures a freezer-api, ours or the Python one, over HTTP.
//!
//! `seed` fills a database and `clean` empties it, `run` measures one scenario against one service and appends a JSON
//! line to a file, `report` turns such files into one table with medians and ratios. `scripts/bench` calls them in
//! the right order. Here are the arguments and nothing else; what a command does is in the module of its name.
//!
//! The tables are reached through the `mariadb` client program (`mariadb.rs`), so this crate needs no SQL library,
//! and freezer-store stays the only one that does. It is the one exception to "SQL only in freezer-store":
//! `seed.rs` writes INSERTs as text, because the service's own API would take minutes for a large data set, and
//! because the same rows must go under the Python service too.

mod clock;
mod dataset;
mod fleet;
mod floor;
mod http;
mod keystone;
mod load;
mod mariadb;
mod process;
mod record;
mod report;
mod run;
mod scenario;
mod seed;
mod seen;
mod session_round;
mod sqlite;
mod stats;
mod suite;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a `run` whose result has wrong answers; 1 means that there is no result.
const WRONG_ANSWERS: u8 = 3;

/// Seeds data sets and measures a freezer-api over HTTP.
#[derive(Parser)]
#[command(name = "freezer-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fills a project of a database at the newest layout; replaces what an earlier seed left there.
    Seed(seed::SeedArguments),
    /// Removes what seeds and runs left in a project of a database.
    Clean(seed::CleanArguments),
    /// Measures one scenario against one service.
    Run(Box<run::RunArguments>),
    /// Measures this service and freezer-api 19.0.0 side by side, which it starts itself.
    Compare(Box<suite::CompareArguments>),
    /// Simulates many nodes against one process of this service, which it starts itself.
    Fleet(fleet::FleetArguments),
    /// Prints the results of earlier runs as one table: medians, and ratios where there are two services.
    Report {
        /// Files written by `run --json`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

// One thread: the driver must leave the other cores to what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match execute(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "freezer-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    match arguments.command {
        Command::Seed(seed) => writeln!(out, "{}", seed::execute(&seed.database, &seed.data).await?)?,
        Command::Clean(clean) => seed::remove(&clean).await?,
        Command::Run(run) => {
            let record = run::execute(&run).await?;
            let clean = record.errors == 0;
            if let Some(path) = &run.json {
                report::append(path, &record)?;
            }
            write!(out, "{}", report::table(&[record]))?;
            return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(WRONG_ANSWERS) });
        }
        Command::Compare(compare) => {
            let well = suite::execute(&compare).await?;
            return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Fleet(arguments) => {
            let well = fleet::execute(&arguments).await?;
            return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Report { files } => write!(out, "{}", report::table(&report::read(&files)?))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
