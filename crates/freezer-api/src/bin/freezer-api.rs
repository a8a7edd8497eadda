//! `freezer-api`: serves the API.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command speaks to its terminal")]

use std::process::ExitCode;

use clap::Parser;
use freezer_api::config::Settings;
use freezer_api::logging;
use freezer_api::manage::arguments::{ConfigArguments, of_process};
use freezer_api::manage::serve::{self, Surroundings};
use freezer_api::reload::Reload;
use freezer_api::systemd::Notify;

/// The management-data service of OpenStack's Freezer.
#[derive(Parser)]
#[command(name = "freezer-api", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// For a first look: no authentication, a SQLite file in the working directory, 127.0.0.1:9090.
    #[arg(long, conflicts_with_all = ["config_file", "config_dir"])]
    dev: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("freezer-api: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if arguments.dev {
        let settings = serve::dev_settings(&std::env::current_dir()?);
        let logging = logging::start(&settings.log)?;
        let store = settings.database.store(true);
        store.sync().await?;
        let hints = |settings: &Settings| print!("{}", serve::dev_hints(settings));
        return Ok(serve::run(settings, store, around(Reload::new(logging, None)), hints).await?);
    }
    let (env, home) = of_process();
    let sources = arguments.config.sources(env, home);
    let settings = Settings::load(&sources)?;
    let logging = logging::start(&settings.log)?;
    let store = settings.database.store(false);
    Ok(serve::run(settings, store, around(Reload::new(logging, Some(sources))), |_| ()).await?)
}

fn around(reload: Reload) -> Surroundings {
    Surroundings { reload: Some(reload), notify: Notify::new(std::env::var_os("NOTIFY_SOCKET")) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
