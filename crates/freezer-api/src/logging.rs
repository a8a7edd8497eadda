//! Log lines as operators of OpenStack know them.
//!
//! `2026-11-22 10:00:00.123 4711 INFO freezer_api.api.v2.jobs [req-… user project …] message key=value`: time (UTC),
//! process id, level, module, and in brackets the request with its caller, from the span that `api/middleware.rs`
//! opens. Tokens, passwords and headers are never given to a log call, so none is masked here.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogSettings;

/// Starts logging for the whole process.
///
/// # Errors
/// Where the log file cannot be opened, or logging was started before.
pub fn start(settings: &LogSettings) -> io::Result<()> {
    let level = if settings.debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // libraries speak at WARN, as oslo.log's default_log_levels have it
    let filter = Targets::new().with_default(LevelFilter::WARN).with_targets(
        ["freezer_api", "freezer_store", "keystone_auth", "oslo_config", "oslo_policy"].map(|t| (t, level)),
    );
    let registry = tracing_subscriber::registry().with(filter).with(CallerLayer);
    let lines = tracing_subscriber::fmt::layer().event_format(Line { pid: std::process::id() });
    let started = match &settings.file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                io::Error::new(error.kind(), format!("[DEFAULT] log_file {}: {error}", path.display()))
            })?;
            registry.with(lines.with_ansi(false).with_writer(Mutex::new(file))).try_init()
        }
        None => registry.with(lines.with_ansi(false).with_writer(io::stderr)).try_init(),
    };
    started.map_err(io::Error::other)
}

/// Who asks, as it stands in the brackets of a line.
#[derive(Default)]
struct Caller {
    request_id: String,
    global_request_id: String,
    user: String,
    project: String,
}

impl Visit for Caller {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "request_id" => &mut self.request_id,
            "global_request_id" => &mut self.global_request_id,
            "user" => &mut self.user,
            "project" => &mut self.project,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Remembers the caller with the request's span.
struct CallerLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CallerLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut caller = Caller::default();
        attributes.record(&mut caller);
        span.extensions_mut().insert(caller);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(caller) = span.extensions_mut().get_mut::<Caller>() {
            values.record(caller);
        }
    }
}

struct Line {
    pid: u32,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        write!(out, "{} {} {} ", now(), self.pid, level(metadata))?;
        write!(out, "{} ", metadata.target().replace("::", "."))?;
        let mut known = false;
        if let Some(scope) = context.event_scope() {
            for span in scope.from_root() {
                if let Some(caller) = span.extensions().get::<Caller>() {
                    write_caller(&mut out, caller)?;
                    known = true;
                } else if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                    write!(out, "[{fields}] ")?;
                }
            }
        }
        if !known {
            out.write_str("[-] ")?;
        }
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

fn write_caller(out: &mut Writer<'_>, caller: &Caller) -> fmt::Result {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    write!(out, "[{}", or_dash(&caller.request_id))?;
    if !caller.global_request_id.is_empty() {
        write!(out, " {}", caller.global_request_id)?;
    }
    write!(out, " {} {}] ", or_dash(&caller.user), or_dash(&caller.project))
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn now() -> String {
    #[expect(clippy::disallowed_methods, reason = "a log line says when it was written")]
    let now = time::OffsetDateTime::now_utc();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.millisecond()
    )
}
