//! Measures the numbers of rows in the background, because a scrape must not wait for the database.

use std::sync::Arc;
use std::time::Duration;

use freezer_store::Deadline;
use freezer_store::maintenance::TableRows;

use crate::app::App;

/// Time limit of a measurement. Its statements are ended then.
const LIMIT: Duration = Duration::from_secs(10);
/// Pause while the service waits for its database.
const PAUSE: Duration = Duration::from_secs(1);

/// The results of measurements.
#[derive(Debug, Default)]
pub struct RowMeasurements {
    /// The last successful one.
    pub(super) tables: Vec<TableRows>,
    /// Its time, in seconds since 1970.
    pub(super) at: Option<i64>,
    /// Number of failed ones.
    pub(super) failures: u64,
}

impl RowMeasurements {
    pub(super) fn add(&mut self, found: Option<Vec<TableRows>>, now: i64) {
        match found {
            Some(tables) => (self.tables, self.at) = (tables, Some(now)),
            None => self.failures += 1,
        }
    }
}

/// Measures at this interval, as long as it is polled. The first measurement comes within a tenth of the interval, at a time
/// that differs between processes.
pub async fn watch(app: Arc<App>, interval: Duration) {
    tokio::time::sleep(interval / 1_000 * (std::process::id() % 100)).await;
    loop {
        while app.readiness.wait().is_some() {
            tokio::time::sleep(PAUSE.min(interval)).await;
        }
        measure(&app).await;
        tokio::time::sleep(interval).await;
    }
}

/// Measures once.
pub async fn measure(app: &App) {
    let found = app.store.until(Deadline::after(LIMIT)).measure_rows().await;
    let found = found.inspect_err(|error| tracing::debug!(%error, "rows were not measured")).ok();
    app.metrics.set_rows(found, app.clock.now().0);
}
