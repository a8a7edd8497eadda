//! `freezer-bench`: fills databases and measures a freezer-api over HTTP, either this service or the Python one.
//!
//! `seed` fills a database, and `clean` empties it. `run` measures one scenario with one service and appends a JSON
//! line to a file. `report` prints these files as a table with medians and ratios. `scripts/bench` calls the commands in
//! the right order. This file contains only the arguments. Each command is in the module with its name.
//!
//! This crate accesses the tables through the `mariadb` client program (`mariadb.rs`). It is the one exception to the rule
//! "SQL only in freezer-store": `seed/tables.rs` writes INSERTs as text, because filling a large data set through the
//! API would take minutes, and because the Python service needs the same rows.

mod answers;
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
mod session_round;
mod sqlite;
mod stats;
mod suite;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a `run` whose result includes wrong answers. 1 means that there is no result.
const WRONG_ANSWERS: u8 = 3;

/// Fills databases and measures a freezer-api over HTTP.
#[derive(Parser)]
#[command(name = "freezer-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fills a project of a database with the current layout, and replaces the rows of an earlier seed.
    Seed(seed::SeedArguments),
    /// Removes the rows of seeds and runs from a project of a database.
    Clean(seed::CleanArguments),
    /// Measures one scenario with one service.
    Run(Box<run::RunArguments>),
    /// Starts this service and freezer-api 19.0.0 and measures both.
    Compare(Box<suite::CompareArguments>),
    /// Starts one process of this service and simulates many nodes that use it.
    Fleet(fleet::FleetArguments),
    /// Prints the results of earlier runs as a table with medians, and with ratios if there are two services.
    Report {
        /// Files written by `run --json`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

// One thread, because the services under test need the other cores.
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
    fn arguments_are_valid() {
        super::Arguments::command().debug_assert();
    }
}
