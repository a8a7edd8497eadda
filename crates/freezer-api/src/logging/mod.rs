//! Logs as operators of OpenStack know them: which events, in which form, to where; and all of it anew while the service
//! runs.
//!
//! `line.rs` makes lines of events, `record.rs` has what they say, `format.rs` fills format strings, `loggers.rs` knows
//! which logger writes what, `output.rs` has the places. Tokens, passwords and headers are never given to a log call, so
//! none is masked here.

mod format;
mod line;
mod loggers;
mod output;
mod record;

use std::io::{self, Write};
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use self::line::Lines;
use self::output::Output;
use crate::config::{LogSettings, Place};

pub use self::format::Format;
pub(crate) use self::loggers::Loggers;
pub(crate) use self::record::NAMES;

/// The logging of the process, to be changed while it runs.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
    output: Arc<Output>,
}

/// Starts logging for the whole process.
///
/// # Errors
/// If a log file cannot be opened, or logging was started before.
pub fn start(settings: &LogSettings) -> io::Result<Logging> {
    let output = Arc::new(Output::open(settings)?);
    let (filter, handle) = reload::Layer::new(filter(settings));
    let registry = tracing_subscriber::registry().with(filter).with(Lines::new(output.clone()));
    registry.try_init().map_err(io::Error::other)?;
    print_remarks(settings);
    Ok(Logging { filter: handle, output })
}

/// Prints the remarks about logging to standard error, unless the log itself goes there: it may be that nothing else
/// shows them.
fn print_remarks(settings: &LogSettings) {
    let loggers = Loggers(settings.loggers.clone());
    let reached = loggers.handlers("freezer_api");
    let mut reached = reached.into_iter().filter_map(|at| settings.handlers.get(at));
    let is_shown = loggers.level("freezer_api") >= Level::WARN
        && reached.any(|handler| handler.place == Place::Stderr && handler.level >= Level::WARN);
    if is_shown {
        return;
    }
    for remark in &settings.remarks {
        let _ = writeln!(io::stderr().lock(), "freezer-api: WARNING: {remark}");
    }
}

/// Checks whether [`start`] could open the log files. Nothing is created.
///
/// # Errors
/// If a file cannot be written, or cannot be created in its directory.
pub fn check(settings: &LogSettings) -> io::Result<()> {
    settings.handlers.iter().try_for_each(|handler| match &handler.place {
        Place::File(path, _) => output::check_file(path, settings.named_by),
        _ => Ok(()),
    })
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

    /// Opens the log files again, because they were moved away.
    ///
    /// # Errors
    /// Where one cannot be opened; then it stays as it is.
    pub fn reopen(&self) -> io::Result<()> {
        self.output.reopen_file()
    }
}

fn filter(settings: &LogSettings) -> Targets {
    Loggers(settings.loggers.clone()).filter()
}
