//! `freezer-api`: serves the API.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command speaks to its terminal")]

use std::num::NonZero;
use std::process::ExitCode;

use clap::Parser;
use freezer_api::config::Settings;
use freezer_api::logging;
use freezer_api::manage::arguments::{self, BLAMED, CommandLine, LISTEN, LOG, process_environment};
use freezer_api::manage::open_files::fitted;
use freezer_api::manage::serve::{self, Surroundings};
use freezer_api::reload::Reload;
use freezer_api::systemd::Notify;
use tokio::runtime::{Builder, Runtime};

/// Returns memory after a peak, and needs less time for small allocations than the C library
/// ([ADR 8](../../../../docs/adr/0008-allocator.md)).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The management-data service of OpenStack's Freezer.
#[derive(Parser)]
#[command(name = "freezer-api", version)]
struct ServeArguments {
    /// For a first look: no authentication, a SQLite file in the working directory, 127.0.0.1:9090.
    #[arg(long, conflicts_with_all = ["config-file", "config-dir"])]
    dev: bool,
    /// With --dev: the port to listen on.
    #[arg(long, value_name = "PORT", conflicts_with = "bind-port", allow_negative_numbers = true)]
    port: Option<String>,
}

fn main() -> ExitCode {
    let (arguments, line): (ServeArguments, _) = arguments::parse(&[LISTEN, LOG]);
    if let ServeArguments { dev: false, port: Some(_) } = arguments {
        eprintln!("freezer-api: --port is only valid with --dev; without --dev, use --bind-port");
        return ExitCode::from(2);
    }
    let served = runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run(arguments, line)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            freezer_api::logging::print_error("freezer-api", &error);
            ExitCode::FAILURE
        }
    }
}

/// Creates a runtime with one thread on a machine with at most two processors, otherwise one thread for each
/// processor. On a small machine a second thread would mostly wake the first, while the database needs the
/// other processor. Reading a job then costs up to a quarter more CPU (docs/performance.md). Statements of
/// SQLite, DNS and policy checks that call another server have threads of their own.
fn runtime() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder =
        if processors <= 2 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn run(arguments: ServeArguments, mut line: CommandLine) -> Result<(), Box<dyn std::error::Error>> {
    if arguments.dev {
        if let Some(port) = &arguments.port {
            line.set("bind_port", port, "--port");
        }
        let settings = Settings::dev(&std::env::current_dir()?, line.arguments.clone())?;
        let logging = logging::start(&settings.log).map_err(|error| line.blame_log(error))?;
        let store = fitted(&settings).database.store(true);
        store.sync().await?;
        let hints = |settings: &Settings| print!("{}", serve::dev_hints(settings));
        let served = serve::run(settings, store, around(Reload::new(logging, None)), hints).await;
        return served.map_err(|error| format!("--dev: {error}").into());
    }
    let (env, home) = process_environment();
    let sources = line.sources(env, home);
    let settings = Settings::load(&sources)?;
    let logging = logging::start(&settings.log).map_err(|error| {
        let blamed = line.blame_log(error).to_string();
        // An option of the command line is already part of the text.
        if blamed.contains(BLAMED) { blamed } else { settings.origins.prefixed(blamed) }
    })?;
    let store = fitted(&settings).database.store(false);
    Ok(serve::run(settings, store, around(Reload::new(logging, Some(sources))), |_| ()).await?)
}

fn around(reload: Reload) -> Surroundings {
    Surroundings { reload: Some(reload), notify: Notify::from_variables(|name| std::env::var_os(name)) }
}

#[cfg(test)]
mod tests {
    use super::{LISTEN, LOG, ServeArguments, arguments};

    #[test]
    fn the_arguments_are_well_formed() {
        arguments::command::<ServeArguments>(&[LISTEN, LOG]).debug_assert();
    }
}
