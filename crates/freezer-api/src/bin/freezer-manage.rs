//! `freezer-manage`: creates, upgrades, shows, checks, purges and removes the tables; shows and checks policy and
//! configuration. Exit code 0 success, 1 failure, 2 wrong arguments; those that check have the exit codes of
//! `freezer-manager-status upgrade check`.

#![expect(clippy::print_stderr, reason = "a command speaks to its terminal")]

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use freezer_api::clock::Clock;
use freezer_api::config::{ConfigError, LogSettings, PolicySettings, Settings};
use freezer_api::logging;
use freezer_api::manage::arguments::{self, CommandLine, LOG, of_process};
use freezer_api::manage::db::{self, Confirmation};
use freezer_api::manage::{check, config, leftovers, policy, purge};
use freezer_store::Timestamp;
use freezer_store::maintenance::{PURGED_TABLES, Purge as Rows};
use freezer_store::migrations::{SyncOptions, Wishes, holder};
use oslo_config::Sources;

/// Manages the database of freezer-api, and looks at its policy and configuration.
#[derive(Parser)]
#[command(name = "freezer-manage", version)]
struct Arguments {
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
    /// Who may do what.
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: Config,
    },
}

#[derive(Subcommand)]
enum Policy {
    /// Prints a policy file with every rule commented out.
    Sample {
        /// Print JSON: name, default, description, operations and scope types of each rule.
        #[arg(long)]
        json: bool,
    },
    /// Looks for mistakes in the policy files. Exit code 0 success, 1 warning, 2 failure, 255 where they could not be looked
    /// for.
    Check(PolicyArguments),
    /// Prints each rule with the check in force and where it comes from.
    List(PolicyArguments),
    /// Prints the policy in force, as a policy file.
    ShowEffective(PolicyArguments),
}

#[derive(clap::Args)]
struct PolicyArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Look at this policy file, and at no directory, instead of the configured ones.
    #[arg(long, value_name = "PATH")]
    policy_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Config {
    /// Prints a configuration file with every option commented out.
    Sample,
    /// Looks for what the service would not start with, unknown options, options of former releases and options without
    /// effect. Exit code 0 success, 1 warning, 2 failure.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Also try the database, and log in to Keystone as the service user.
        #[arg(long)]
        connect: bool,
    },
}

#[derive(Subcommand)]
enum Db {
    /// Brings the tables to the newest layout, from any that Freezer ever had; creates them in an empty database.
    #[command(alias = "update")]
    Sync(Sync),
    /// Prints the database, its revision, and rows and size of each table.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the revision.
    Version,
    /// Prints all revisions in order, and which one the database is at.
    History,
    /// Looks for what the service or an upgrade would stumble over. Exit code 0 success, 1 warning, 2 failure, 255 where the
    /// checks could not be carried out.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the values that upgrades found no place for, and kept in the table freezer_leftovers.
    Leftovers {
        /// Print JSON: table, row, column and value of each.
        #[arg(long)]
        json: bool,
    },
    /// Removes rows that were deleted long ago, in batches; can be interrupted and run again.
    Purge(Purge),
    /// Of 19.0.0, for Elasticsearch.
    #[command(hide = true)]
    UpdateSettings,
    /// Drops the tables and everything in them.
    Remove {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct Sync {
    /// A revision to upgrade to. Only the newest one can be reached.
    #[arg(value_name = "REVISION", hide = true, value_parser = db::revision)]
    revision: Option<String>,
    /// The same as an option.
    #[arg(long = "version", value_name = "REVISION", hide = true, value_parser = db::revision)]
    version: Option<String>,
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

#[derive(clap::Args)]
struct Purge {
    /// Rows that were deleted longer ago than this: 90d (days), 2w (weeks), 12h (hours), 30m (minutes).
    #[arg(long, value_name = "AGE", value_parser = purge::age)]
    older_than: i64,
    /// Only this table; may be repeated. Rows that others refer to are kept in any case.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PURGED_TABLES))]
    table: Vec<String>,
    /// Rows of one transaction, at most.
    #[arg(long, value_name = "ROWS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Pause between two transactions.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    sleep: u64,
    /// Print how many rows would go and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (Arguments { command }, line) = arguments::parse(&[LOG]);
    let (env, home) = of_process();
    let sources = line.sources(env, home);
    // beside the results of a check, 1 would be a warning
    let failed = match command {
        Command::Db { command: Db::Check { .. } }
        | Command::Policy { command: Policy::Check(_) }
        | Command::Config { command: Config::Check { .. } } => 255,
        _ => 1,
    };
    if let Err(error) = start_logging(&line, matches!(command, Command::Db { .. })) {
        eprintln!("freezer-manage: {error}");
        return ExitCode::from(failed);
    }
    let result = match command {
        Command::Db { command } => run(&sources, command).await,
        Command::Policy { command } => of_policy(&sources, command),
        Command::Config { command } => of_config(&sources, command).await.map_err(Into::into),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("freezer-manage: {error}");
            ExitCode::from(failed)
        }
    }
}

/// Logs as the command line says, by default to standard error. What the configuration says about logging is the
/// service's: its log file belongs to the service's user.
fn start_logging(line: &CommandLine, always: bool) -> Result<(), Box<dyn std::error::Error>> {
    if line.arguments.is_empty() && !always {
        return Ok(());
    }
    let mut named = line.clone();
    if line.written("log_dir").is_some() && line.written("log_file").is_none() {
        named.set("log_file", "freezer-manage.log", "--log-dir");
    }
    let settings = LogSettings::of_arguments(named.arguments)?;
    logging::start(&settings).map_err(|error| line.blame_log(error))?;
    Ok(())
}

fn of_policy(sources: &Sources, command: Policy) -> Result<u8, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let settings = |file: Option<PathBuf>| match file {
        None => Settings::load_policy(sources),
        Some(file) => {
            let options = oslo_policy::Options { policy_file: Some(file), ..Default::default() };
            Ok(PolicySettings { options, named: true })
        }
    };
    match command {
        Policy::Sample { json } => policy::print_sample(json, &mut out)?,
        Policy::Check(PolicyArguments { json, policy_file }) => {
            return Ok(policy::check(&settings(policy_file)?, json, &mut out)? as u8);
        }
        Policy::List(PolicyArguments { json, policy_file }) => {
            policy::list(settings(policy_file)?, json, &mut out)?;
        }
        Policy::ShowEffective(PolicyArguments { json, policy_file }) => {
            policy::show_effective(settings(policy_file)?, json, &mut out)?;
        }
    }
    Ok(0)
}

async fn of_config(sources: &Sources, command: Config) -> std::io::Result<u8> {
    let mut out = std::io::stdout().lock();
    match command {
        Config::Sample => config::print_sample(&mut out).map(|()| 0),
        Config::Check { json, connect } => {
            config::check(sources, connect, json, &mut out).await.map(|verdict| verdict as u8)
        }
    }
}

async fn run(sources: &Sources, command: Db) -> Result<u8, Box<dyn std::error::Error>> {
    if let Db::UpdateSettings = command {
        return Err(db::DbError::NoSettings.into());
    }
    let settings = Settings::load_database(sources);
    let mut out = std::io::stdout();
    if let Db::History = command {
        let store = settings.map(|database| database.store(false));
        db::history(store.as_ref().map_err(ToString::to_string), &mut out).await?;
        return Ok(0);
    }
    if let (Db::Check { json }, Err(error)) = (&command, &settings)
        && matches!(error.unlocated(), ConfigError::Url(_))
    {
        return Ok(check::refused(error, *json, &mut out)? as u8);
    }
    let database = settings?;
    let store = database.store(false);
    match command {
        Db::Sync(Sync { dry_run, charset, wait, .. }) => {
            let wishes = Wishes { convert_large_tables: charset };
            if dry_run {
                db::dry_run(&store, wishes, &mut out).await?;
            } else {
                let options = SyncOptions { wishes, wait: Duration::from_secs(wait), holder: holder() };
                db::sync(&database.store(true), &options, &mut out).await?;
            }
        }
        Db::Show { json } => db::show(&store, json, &mut out).await?,
        Db::Version => db::version(&store, &mut out).await?,
        Db::History | Db::UpdateSettings => {}
        Db::Check { json } => return Ok(check::check(&store, json, &mut out).await? as u8),
        Db::Leftovers { json } => leftovers::print(&store, json, &mut out).await?,
        Db::Purge(Purge { older_than, table, batch, sleep, dry_run }) => {
            let now = Clock::system().now();
            let before = Timestamp(now.0.saturating_sub(older_than));
            let pause = Duration::from_millis(sleep);
            let rows = Rows { before, now, tables: table, batch, pause, dry_run };
            purge::purge(&store, &rows, &mut out).await?;
        }
        Db::Remove { yes } => {
            let mut input = std::io::stdin().lock();
            let confirmation = match (yes, std::io::stdin().is_terminal()) {
                (true, _) => Confirmation::Given,
                (false, true) => Confirmation::Ask(&mut input),
                (false, false) => Confirmation::Nobody,
            };
            db::remove(&store, confirmation, &holder(), &mut out).await?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::{Arguments, LOG, arguments};

    #[test]
    fn the_arguments_are_well_formed() {
        arguments::command::<Arguments>(&[LOG]).debug_assert();
    }
}
