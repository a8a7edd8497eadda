//! Log lines as operators of OpenStack know them, or as JSON. Where they go is `output.rs`'s.
//!
//! `2026-11-22 10:00:00.123 4711 INFO freezer_api.api.v2.jobs [req-… user project …] message key=value`: time (UTC),
//! process id, level, module, and in brackets the request with its caller, from the span that `api/middleware.rs`
//! opens. As JSON, the keys are those of oslo.log's `JSONFormatter`.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::output::Output;

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
pub(super) struct CallerLayer;

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

/// Writes nothing where a span begins or learns more: every request has one, and what a line says of it comes from
/// [`CallerLayer`].
pub(super) struct NoSpanFields;

impl<'w> FormatFields<'w> for NoSpanFields {
    fn format_fields<R: RecordFields>(&self, _: Writer<'w>, _: R) -> fmt::Result {
        Ok(())
    }
}

/// The form of a line.
pub(super) struct Line {
    pid: u32,
    host: Option<String>,
    output: Arc<Output>,
}

impl Line {
    pub(super) fn new(output: Arc<Output>) -> Line {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        Line { pid: std::process::id(), host: host.map(|name| name.trim().to_owned()), output }
    }
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
        #[expect(clippy::disallowed_methods, reason = "a log line says when it was written")]
        let now = OffsetDateTime::now_utc();
        if self.output.json() {
            return writeln!(out, "{}", self.json(context, event, now));
        }
        let metadata = event.metadata();
        write!(out, "{}.{:03} {} {} ", seconds(now), now.millisecond(), self.pid, level(*metadata.level()))?;
        write!(out, "{} ", metadata.target().replace("::", "."))?;
        let mut known = false;
        if let Some(scope) = context.event_scope() {
            for span in scope.from_root() {
                if let Some(caller) = span.extensions().get::<Caller>() {
                    write_caller(&mut out, caller)?;
                    known = true;
                }
            }
        }
        if !known {
            out.write_str("[-] ")?;
        }
        DefaultFields::new().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

impl Line {
    fn json<S, N>(&self, context: &FmtContext<'_, S, N>, event: &Event<'_>, now: OffsetDateTime) -> Value
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        let caller = spans.filter_map(|span| span.extensions().get::<Caller>().map(Caller::to_json)).last();
        let number = match *metadata.level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            Level::DEBUG | Level::TRACE => 10,
        };
        json!({
            "message": fields.message,
            "asctime": seconds(now),
            "name": metadata.target().replace("::", "."),
            "levelname": level(*metadata.level()),
            "levelno": number,
            "pathname": metadata.file(),
            "lineno": metadata.line(),
            "created": now.unix_timestamp(),
            "msecs": now.millisecond(),
            "process": self.pid,
            "hostname": self.host,
            "context": caller.unwrap_or_else(|| json!({})),
            "extra": fields.others,
        })
    }
}

/// The message of an event and its fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }
}

impl Caller {
    fn to_json(&self) -> Value {
        let global = Some(&self.global_request_id).filter(|id| !id.is_empty());
        json!({
            "request_id": self.request_id,
            "global_request_id": global,
            "user_id": self.user,
            "project_id": self.project,
        })
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

/// A level as Python calls it.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn seconds(time: OffsetDateTime) -> String {
    let date = format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day());
    format!("{date} {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}
