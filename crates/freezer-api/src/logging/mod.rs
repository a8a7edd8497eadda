//! Logs as operators of OpenStack know them: which events, in which form, to where; and all of it anew while the service
//! runs.
//!
//! `line.rs` has the form of a line and who is calling, `output.rs` the places. Tokens, passwords and headers are never
//! given to a log call, so none is masked here.

mod line;
mod output;

use std::io;
use std::sync::Arc;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use self::line::{CallerLayer, Line, NoSpanFields};
use self::output::Output;
use crate::config::LogSettings;

/// The logging of the process, to be changed while it runs.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
    output: Arc<Output>,
}

/// Starts logging for the whole process.
///
/// # Errors
/// Where the log file cannot be opened, syslog or the journal is not there, or logging was started before.
pub fn start(settings: &LogSettings) -> io::Result<Logging> {
    let output = Arc::new(Output::open(settings)?);
    let (filter, handle) = reload::Layer::new(filter(settings));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line::new(output.clone()))
        .fmt_fields(NoSpanFields)
        .with_ansi(false)
        .with_writer(output::Writers(output.clone()));
    let registry = tracing_subscriber::registry().with(filter).with(CallerLayer).with(lines);
    registry.try_init().map_err(io::Error::other)?;
    Ok(Logging { filter: handle, output })
}

/// Checks whether [`start`] could open the log file. Nothing is created.
///
/// # Errors
/// If the file cannot be written, or cannot be created in its directory.
pub fn check(settings: &LogSettings) -> io::Result<()> {
    settings.file.as_deref().map_or(Ok(()), output::check_file)
}

impl Logging {
    /// Takes other settings and opens the files again. Where that fails, everything stays as it is.
    ///
    /// # Errors
    /// As [`start`].
    pub fn reload(&self, settings: &LogSettings) -> io::Result<()> {
        self.output.reopen(settings)?;
        self.filter.reload(filter(settings)).map_err(io::Error::other)
    }

    /// Opens the log file again, because it was moved away.
    ///
    /// # Errors
    /// Where it cannot be opened; then it stays as it is.
    pub fn reopen(&self) -> io::Result<()> {
        self.output.reopen_file()
    }
}

/// The service at INFO or DEBUG, libraries at WARN as oslo.log's default_log_levels have it, and what the option says.
fn filter(settings: &LogSettings) -> Targets {
    let level = if settings.debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(
            ["freezer_api", "freezer_store", "keystone_auth", "oslo_config", "oslo_policy"]
                .map(|of| (of, level)),
        )
        .with_targets(settings.levels.iter().map(|(target, level)| (target.as_str(), *level)))
}
