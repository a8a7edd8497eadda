//! Metrics of HTTP requests: counted once, when a request is finished.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{LabelledCounters, SECONDS};

/// The route of requests that reached none.
const NO_ROUTE: &str = "none";

/// The metrics of requests. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct RequestMetrics {
    finished: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    rejected: LabelledCounters<1>,
    in_flight: Gauge,
}

/// The template of a route comes from the router, so there are about thirty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Arc<str>,
    method: &'static str,
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: Arc<str>,
    method: &'static str,
}

/// The status of an answer. `None`: the client disconnected before there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Status(Option<u16>);

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        match self.0 {
            Some(status) => status.encode(encoder),
            None => "none".encode(encoder),
        }
    }
}

/// A request in progress. It counts until this is dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RequestMetrics {
    pub(super) fn registered(registry: &mut Registry) -> RequestMetrics {
        let metrics = RequestMetrics {
            finished: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            rejected: LabelledCounters::default(),
            in_flight: Gauge::default(),
        };
        registry.register("http_requests", "Finished requests", metrics.finished.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the end of its answer",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "http_rejected_requests",
            "Requests that a limit or an outage rejected, by reason",
            metrics.rejected.clone(),
        );
        registry.register("http_requests_in_flight", "Requests in progress", metrics.in_flight.clone());
        metrics
    }

    /// Begins the series of these reasons for rejections with 0.
    pub fn expect_rejections(&self, reasons: impl IntoIterator<Item = &'static str>) {
        for reason in reasons {
            self.rejected.get_or_create_owned(&[("reason", reason)]);
        }
    }

    /// Counts a request that begins.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a finished request. `route`: its template; `None` if it reached none.
    pub fn finish(
        &self,
        (method, route): (Option<&Method>, Option<&str>),
        status: Option<u16>,
        duration: Duration,
        rejection: Option<&'static str>,
    ) {
        let (route, method) = (Arc::<str>::from(route.unwrap_or(NO_ROUTE)), method_name(method));
        let of_route = RouteLabels { route, method };
        self.seconds.get_or_create(&of_route).observe(duration.as_secs_f64());
        let labels = RequestLabels { route: of_route.route, method, status: Status(status) };
        self.finished.get_or_create(&labels).inc();
        if let Some(reason) = rejection {
            self.rejected.get_or_create(&[("reason", reason)]).inc();
        }
    }
}

/// Returns the name of a method. Clients can send any word, so unknown ones share a name.
fn method_name(method: Option<&Method>) -> &'static str {
    const KNOWN: [(Method, &str); 7] = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::PATCH, "PATCH"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    let Some(method) = method else { return "none" };
    KNOWN.iter().find(|(known, _)| known == method).map_or("other", |(_, name)| name)
}
