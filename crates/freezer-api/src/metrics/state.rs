//! The values that the service has at present: its database, its limits, its queues. They are read from their owners, so
//! nothing is counted twice.

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::rows::RowMeasurements;
use super::{Labels, PREFIX};
use crate::app::App;
use crate::auth::Authenticator;

/// Returns the present values of the service.
pub(super) fn registry(app: &App, rows: &RowMeasurements) -> Registry {
    let mut values = PresentValues(Registry::with_prefix(PREFIX));
    readiness(&mut values, app);
    database(&mut values, app);
    keystone(&mut values, app);
    limits(&mut values, app);
    of_rows(&mut values, rows);
    values.0
}

/// A registry of present values.
struct PresentValues(Registry);

impl PresentValues {
    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.0.register(name, help, ConstGauge::new(signed(value)));
    }

    fn bytes(&mut self, name: &str, help: &str, value: usize) {
        self.0.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(signed(value)));
    }

    fn flag(&mut self, name: &str, help: &str, value: bool) {
        self.gauge(name, help, usize::from(value));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstCounter::new(value));
    }

    /// Adds a gauge with several series.
    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, usize)>,
    ) {
        let family = Family::<Labels<N>, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(signed(value));
        }
        self.0.register(name, help, family);
    }
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn readiness(values: &mut PresentValues, app: &App) {
    let (is_ready, is_draining) = (app.readiness.wait().is_none(), app.readiness.is_draining());
    values.flag(
        "ready",
        "Whether requests are served (1), or the service waits for its database (0)",
        is_ready,
    );
    values.flag("draining", "Whether the service will stop soon", is_draining);
}

fn database(values: &mut PresentValues, app: &App) {
    let (pools, outage) = (app.store.pools(), app.store.outage());
    let connections = pools.iter().flat_map(|pool| {
        [("in_use", pool.in_use), ("idle", pool.idle)]
            .map(|(state, count)| ([("pool", pool.name), ("state", state)], count))
    });
    values.gauges("database_pool_connections", "Connections to the database", connections);
    let of_pools = |value: fn(&freezer_store::PoolStatus) -> usize| {
        pools.iter().map(move |pool| ([("pool", pool.name)], value(pool)))
    };
    values.gauges(
        "database_pool_limit",
        "Maximum number of connections in use (max_pool_size and max_overflow)",
        of_pools(|pool| pool.limit),
    );
    values.gauges(
        "database_pool_waiting",
        "Reads and writes that wait for a connection",
        of_pools(|pool| pool.waiting),
    );
    values.gauge(
        "database_row_waiting",
        "Changes that wait for another change of the same row",
        app.store.waiting_for_rows(),
    );
    values.counter(
        "database_statements",
        "Statements sent, including BEGIN and COMMIT",
        app.store.statements(),
    );
    values.flag("database_outage", "Whether the database is not available", outage.is_on);
    values.counter("database_outages", "Outages of the database, including the present one", outage.count);
}

fn keystone(values: &mut PresentValues, app: &App) {
    let Authenticator::Keystone(client) = &app.authenticator else { return };
    values.flag("keystone_outage", "Whether Keystone is not available", !client.is_available());
    let cached = usize::try_from(client.cached_tokens()).unwrap_or(usize::MAX);
    values.gauge("token_cache_entries", "Tokens in the cache, approximately", cached);
}

fn limits(values: &mut PresentValues, app: &App) {
    let limits = &app.http;
    values.gauge("http_connections_limit", "[api] max_connections", limits.connections.max);
    let (requests, bytes) = app.queues.admission().usage();
    values.gauge("waiting_requests", "Requests that use the database or wait for it", requests);
    values.gauge("waiting_requests_limit", "[api] max_waiting_requests", limits.waiting.requests);
    values.bytes("waiting", "Memory of the bodies of these requests", bytes);
    values.bytes("waiting_limit", "[api] max_waiting_bytes", limits.waiting.bytes);
    let answers = app.queues.answers();
    values.bytes("answers", "Memory of large answers that are being made or sent", answers.held());
    values.bytes("answers_limit", "[api] max_answer_bytes", answers.in_all());
    let searches = app.queues.scans().usage();
    values.gauge("searches", "Searches that run", searches.taken);
    values.gauge("searches_waiting", "Searches that wait", searches.waiting);
    values.gauge("searches_limit", "[api] max_searches", searches.limit);
    values.gauge(
        "idempotency_abandoned_claims",
        "Claims of Idempotency-Keys that may still be stored although their requests have failed",
        app.abandoned.count(),
    );
}

fn of_rows(values: &mut PresentValues, measured: &RowMeasurements) {
    values.counter("rows_measurement_failures", "Failed measurements of the rows", measured.failures);
    let Some(at) = measured.at else { return };
    values.0.register_with_unit(
        "rows_measured_timestamp",
        "Time of the last successful measurement of the rows",
        Unit::Seconds,
        ConstGauge::new(at),
    );
    let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
    let rows = measured.tables.iter().flat_map(|table| {
        let of_table = table.rows.iter();
        of_table.map(|(status, rows)| ([("table", table.table), ("status", *status)], count(*rows)))
    });
    values.gauges("rows", "Rows by table and status", rows);
    let estimates = measured.tables.iter();
    let estimates = estimates.map(|table| ([("table", table.table)], usize::from(table.is_estimate)));
    values.gauges(
        "rows_is_estimate",
        "Whether the number of rows of a table is an estimate of the database (1) or was counted (0)",
        estimates,
    );
}
