//! Creates log lines from the events of the process. The caller is in the span that `api/middleware.rs`
//! opens.
//!
//! `record.rs` has the content of a line, `output.rs` its destinations.

use std::sync::Arc;

use time::OffsetDateTime;
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::output::Output;
use super::record::{Caller, LogRecord, Process};

/// Writes a line for each event, and stores the caller with the request's span.
pub(super) struct Lines {
    process: Process,
    output: Arc<Output>,
}

impl Lines {
    pub(super) fn new(output: Arc<Output>, program: &'static str) -> Lines {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.map(|name| name.trim().to_owned());
        let process = Process { program, pid: std::process::id(), host };
        Lines { process, output }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut caller = Caller::default();
        attributes.record(&mut caller);
        span.extensions_mut().insert(caller);
    }

    fn on_record(&self, id: &Id, values: &Values<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(caller) = span.extensions_mut().get_mut::<Caller>() {
            values.record(caller);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        #[expect(clippy::disallowed_methods, reason = "a log line says when it was written")]
        let now = OffsetDateTime::now_utc();
        let spans = context.event_scope(event).into_iter().flatten();
        // From the innermost span outwards. The request's span is the one with an id.
        for span in spans {
            let extensions = span.extensions();
            if let Some(caller) = extensions.get::<Caller>().filter(|caller| !caller.request_id.is_empty()) {
                return self.output.write(&LogRecord::new(&self.process, now, event, Some(caller)));
            }
        }
        self.output.write(&LogRecord::new(&self.process, now, event, None));
    }
}
