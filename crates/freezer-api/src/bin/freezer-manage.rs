//! `freezer-manage`: creates, upgrades, shows, checks, purges and removes the tables, and shows and checks
//! policy and configuration. Exit code 0 success, 1 failure, 2 wrong arguments. Checks have the exit codes of
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
use freezer_api::manage::arguments::{self, CommandLine, LOG, process_environment};
use freezer_api::manage::db::{self, Confirmation};
use freezer_api::manage::{check, config, leftovers, policy, purge};
use freezer_store::Timestamp;
use freezer_store::maintenance::{PURGED_TABLES, Purge};
use freezer_store::migrations::{SyncOptions, Wishes, holder};
use oslo_config::Sources;

/// Manages the database of freezer-api, and checks its policy and configuration.
#[derive(Parser)]
#[command(name = "freezer-manage", version)]
struct ManageArguments {
    #[command(subcommand)]
    command: ManageCommand,
}

#[derive(Subcommand)]
enum ManageCommand {
    /// The database's tables.
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// The policy rules.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// Prints a policy file with every rule commented out.
    Sample {
        /// Print JSON: name, default, description, operations and scope types of each rule.
        #[arg(long)]
        json: bool,
    },
    /// Finds mistakes in the policy files. Exit code 0 success, 1 warning, 2 failure, 255 if the check could
    /// not run.
    Check(PolicyArguments),
    /// Prints each effective rule with its check and its source.
    List(PolicyArguments),
    /// Prints the effective policy, as a policy file.
    ShowEffective(PolicyArguments),
}

#[derive(clap::Args)]
struct PolicyArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Check this policy file instead of the configured files and directories.
    #[arg(long, value_name = "PATH")]
    policy_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Prints a configuration file with every option commented out.
    Sample,
    /// Prints a description of every option in Markdown.
    Reference,
    /// Finds errors that prevent the start, unknown options, options of former releases and options without
    /// effect. Exit code 0 success, 1 warning, 2 failure.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Also connect to the database, and log in to Keystone as the service user.
        #[arg(long)]
        connect: bool,
    },
}

#[derive(Subcommand)]
enum DbCommand {
    /// Upgrades the tables to the newest layout, from any release of Freezer. Creates them in an empty
    /// database.
    #[command(alias = "update")]
    Sync(Sync),
    /// Prints the database, its revision, and the rows and size of each table.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the revision.
    Version,
    /// Prints all revisions in order, and marks the revision of the database.
    History,
    /// Finds problems for the service or an upgrade. Exit code 0 success, 1 warning, 2 failure, 255 if the
    /// checks could not run.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the values that upgrades could not move, and kept in the table freezer_leftovers.
    Leftovers {
        /// Print JSON: table, row, column and value of each.
        #[arg(long)]
        json: bool,
    },
    /// Removes rows that were deleted long ago, in batches. It can be interrupted and run again.
    Purge(PurgeArguments),
    /// Of 19.0.0, for Elasticsearch.
    #[command(hide = true)]
    UpdateSettings,
    /// Drops the tables with all rows.
    Remove {
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
        /// Remove them although tables or views of other programs refer to them.
        #[arg(long)]
        ignore_references: bool,
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
    /// Also convert tables of more than 100,000 rows to utf8mb4. Each is locked meanwhile.
    #[arg(long)]
    charset: bool,
    /// Create the tables in a database that another program uses, too. Needed only once.
    #[arg(long)]
    shared_database: bool,
    /// Create missing tables empty, although other tables have rows. What the missing tables contained is lost.
    #[arg(long)]
    create_missing_tables: bool,
    /// Maximum time to wait for another sync, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

#[derive(clap::Args)]
struct PurgeArguments {
    /// Minimum age of the deletion: 90d (days), 2w (weeks), 12h (hours), 30m (minutes).
    #[arg(long, value_name = "AGE", value_parser = purge::age)]
    older_than: i64,
    /// Only this table; may be repeated. Rows are kept as long as other rows refer to them.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PURGED_TABLES))]
    table: Vec<String>,
    /// Maximum number of rows in a transaction.
    #[arg(long, value_name = "ROWS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Pause between two transactions.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    sleep: u64,
    /// Print the number of rows that would be removed, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (ManageArguments { command }, line) = arguments::parse(&[LOG]);
    let (env, home) = process_environment();
    let sources = line.sources(env, home);
    // For checks, exit code 1 means a warning.
    let failed = match command {
        ManageCommand::Db { command: DbCommand::Check { .. } }
        | ManageCommand::Policy { command: PolicyCommand::Check(_) }
        | ManageCommand::Config { command: ConfigCommand::Check { .. } } => 255,
        _ => 1,
    };
    if let Err(error) = start_logging(&line, matches!(command, ManageCommand::Db { .. })) {
        eprintln!("freezer-manage: {error}");
        return ExitCode::from(failed);
    }
    let result = match command {
        ManageCommand::Db { command } => run(&sources, command).await,
        ManageCommand::Policy { command } => run_policy(&sources, command),
        ManageCommand::Config { command } => run_config(&sources, command).await.map_err(Into::into),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("freezer-manage: {error}");
            ExitCode::from(failed)
        }
    }
}

/// Logs as the command line says, by default to standard error. The logging options of the configuration are
/// not used, because the log file belongs to the user of the service.
fn start_logging(line: &CommandLine, always: bool) -> Result<(), Box<dyn std::error::Error>> {
    if line.arguments.is_empty() && !always {
        return Ok(());
    }
    let settings = LogSettings::from_arguments("freezer-manage", line.arguments.clone())?;
    logging::start(&settings).map_err(|error| line.blame_log(error))?;
    Ok(())
}

fn run_policy(sources: &Sources, command: PolicyCommand) -> Result<u8, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let settings = |file: Option<PathBuf>| match file {
        None => Settings::load_policy(sources),
        Some(file) => {
            let options = oslo_policy::Options { policy_file: Some(file), ..Default::default() };
            Ok(PolicySettings { options, named: true })
        }
    };
    match command {
        PolicyCommand::Sample { json } => policy::print_sample(json, &mut out)?,
        PolicyCommand::Check(PolicyArguments { json, policy_file }) => {
            return Ok(policy::check(&settings(policy_file)?, json, &mut out)? as u8);
        }
        PolicyCommand::List(PolicyArguments { json, policy_file }) => {
            policy::list(settings(policy_file)?, json, &mut out)?;
        }
        PolicyCommand::ShowEffective(PolicyArguments { json, policy_file }) => {
            policy::show_effective(settings(policy_file)?, json, &mut out)?;
        }
    }
    Ok(0)
}

async fn run_config(sources: &Sources, command: ConfigCommand) -> std::io::Result<u8> {
    let mut out = std::io::stdout().lock();
    match command {
        ConfigCommand::Sample => config::print_sample(&mut out).map(|()| 0),
        ConfigCommand::Reference => config::print_reference(&mut out).map(|()| 0),
        ConfigCommand::Check { json, connect } => {
            config::check(sources, connect, json, &mut out).await.map(|verdict| verdict as u8)
        }
    }
}

async fn run(sources: &Sources, command: DbCommand) -> Result<u8, Box<dyn std::error::Error>> {
    if let DbCommand::UpdateSettings = command {
        return Err(db::DbError::NoSettings.into());
    }
    let settings = Settings::load_database(sources);
    let mut out = std::io::stdout();
    if let DbCommand::History = command {
        let store = settings.map(|database| database.store(false));
        db::history(store.as_ref().map_err(ToString::to_string), &mut out).await?;
        return Ok(0);
    }
    if let (DbCommand::Check { json }, Err(error)) = (&command, &settings)
        && matches!(error.unlocated(), ConfigError::Url { .. })
    {
        return Ok(check::print_invalid_address(error, *json, &mut out)? as u8);
    }
    let database = settings?;
    let store = database.store(false);
    match command {
        DbCommand::Sync(Sync { dry_run, charset, shared_database, create_missing_tables, wait, .. }) => {
            let wishes = Wishes { convert_large_tables: charset, shared_database, create_missing_tables };
            if dry_run {
                db::dry_run(&store, wishes, &mut out).await?;
            } else {
                let options = SyncOptions { wishes, wait: Duration::from_secs(wait), holder: holder() };
                db::sync(&database.store(true), &options, &mut out).await?;
            }
        }
        DbCommand::Show { json } => db::show(&store, json, &mut out).await?,
        DbCommand::Version => db::version(&store, &mut out).await?,
        DbCommand::History | DbCommand::UpdateSettings => {}
        DbCommand::Check { json } => {
            let store = store.reading_up_to(database.largest_readable);
            return Ok(check::check(&store, json, &mut out).await? as u8);
        }
        DbCommand::Leftovers { json } => leftovers::print(&store, json, &mut out).await?,
        DbCommand::Purge(PurgeArguments { older_than, table, batch, sleep, dry_run }) => {
            let now = Clock::system().now();
            let before = Timestamp(now.0.saturating_sub(older_than));
            let pause = Duration::from_millis(sleep);
            let rows = Purge { before, now, tables: table, batch, pause, dry_run };
            purge::purge(&store, &rows, &mut out).await?;
        }
        DbCommand::Remove { yes, ignore_references } => {
            let mut input = std::io::stdin().lock();
            let confirmation = match (yes, std::io::stdin().is_terminal()) {
                (true, _) => Confirmation::Given,
                (false, true) => Confirmation::Ask(&mut input),
                (false, false) => Confirmation::Impossible,
            };
            db::remove(&store, confirmation, ignore_references, &holder(), &mut out).await?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::{LOG, ManageArguments, arguments};

    #[test]
    fn the_arguments_are_well_formed() {
        arguments::command::<ManageArguments>(&[LOG]).debug_assert();
    }
}
