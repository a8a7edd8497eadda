//! Logging for operators of OpenStack: the events, their format and their destinations. All of it can change
//! while the service runs.
//!
//! `line.rs` creates lines from events, `record.rs` has their content, `format.rs` fills format strings,
//! `loggers.rs` selects handlers, and `output.rs` writes to destinations, with `file.rs` and `stream.rs`. No log call receives tokens,
//! passwords or headers, so nothing is masked here.

mod file;
mod format;
mod line;
mod loggers;
mod output;
mod record;
mod stream;

use std::io;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use self::line::Lines;
use self::output::Output;
use crate::config::{LogSettings, LogTarget};

pub use self::format::Format;
pub(crate) use self::format::NAMES;
pub(crate) use self::loggers::Loggers;

/// The logging of the process, which can be changed while it runs.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
    output: Arc<Output>,
}

/// Starts logging for the whole process.
///
/// # Errors
/// If a log file cannot be opened, or logging was already started.
pub fn start(settings: &LogSettings) -> io::Result<Logging> {
    let output = Arc::new(Output::open(settings)?);
    let (filter, handle) = reload::Layer::new(filter(settings));
    let registry =
        tracing_subscriber::registry().with(filter).with(Lines::new(output.clone(), settings.program));
    registry.try_init().map_err(io::Error::other)?;
    print_remarks(settings);
    Ok(Logging { filter: handle, output })
}

/// Prints the error with which a program ends to standard error, without waiting for its reader.
pub fn print_error(program: &str, error: &dyn std::fmt::Display) {
    stream::print_to_stderr(&format!("{program}: {error}\n"));
}

/// Prints remarks about the logging options to standard error, unless the log itself is written there. They
/// may not be visible anywhere else.
fn print_remarks(settings: &LogSettings) {
    let loggers = Loggers(settings.loggers.clone());
    let reached = loggers.handlers("freezer_api");
    let mut reached = reached.into_iter().filter_map(|at| settings.handlers.get(at));
    let is_shown = loggers.level("freezer_api") >= Level::WARN
        && reached.any(|handler| handler.target == LogTarget::Stderr && handler.level >= Level::WARN);
    if is_shown {
        return;
    }
    for remark in &settings.remarks {
        stream::print_to_stderr(&format!("{}: WARNING: {remark}\n", settings.program));
    }
}

/// Checks whether [`start`] could open the log files, without creating any.
///
/// # Errors
/// If a file cannot be written, or cannot be created in its directory.
pub fn check(settings: &LogSettings) -> io::Result<()> {
    settings.handlers.iter().try_for_each(|handler| match &handler.target {
        LogTarget::File(path, _) => file::check_file(path, settings.file_options),
        _ => Ok(()),
    })
}

impl Logging {
    /// Applies new settings and opens the files again. On an error, everything stays unchanged.
    pub fn reload(&self, settings: &LogSettings) -> io::Result<()> {
        self.output.reopen(settings)?;
        self.filter.reload(filter(settings)).map_err(io::Error::other)
    }

    /// Opens the log files again after they were moved away. On an error, the old file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        self.output.reopen_file()
    }
}

fn filter(settings: &LogSettings) -> Targets {
    Loggers(settings.loggers.clone()).filter()
}
