//! The lower limit for the cost of a POST of a backup. The bare database driver inserts the rows that the service would
//! write, with one prepared statement and one commit for each row, over the same number of connections.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Statement};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock;
use crate::dataset::{Dataset, ObjectKind, USER};
use crate::mariadb::{Database, DatabaseError};
use crate::record::BenchRecord;
use crate::run::{ProcessMeasurement, Processes};
use crate::scenario;
use crate::stats::Latencies;

/// Writes all columns that the service writes for a new backup.
const INSERT: &str = "INSERT INTO backups (id, project_id, deleted, created_at, updated_at, job_id, status, \
                      backup_metadata, user_id) VALUES (?, ?, 0, '2025-01-01 00:00:00', NULL, ?, 'available', ?, ?)";
/// The number of inserts on each connection before the measurement.
const WARM_UP: u64 = 20;

/// Why the bare driver could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// The driver failed.
    #[error("the bare driver: {0}")]
    Driver(#[from] mysql_async::Error),
    /// The URL is invalid, or the server's process cannot be found.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A process has ended.
    #[error(transparent)]
    Process(#[from] crate::process::ProcessError),
}

/// A load of the bare driver.
#[derive(Debug, Clone)]
pub struct Floor {
    /// The database: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`
    pub database: String,
    /// The data set with the jobs of the backups.
    pub data: Dataset,
    /// The number of connections.
    pub connections: u16,
}

impl Floor {
    /// Inserts rows for this long. The CPU time of the driver is that of this program.
    pub async fn drive(&self, duration: Duration) -> Result<BenchRecord, FloorError> {
        let options = mysql_async::Opts::from_url(&self.database).map_err(mysql_async::Error::from)?;
        // A Unix socket would be faster than the connection of the service.
        let options = OptsBuilder::from_opts(options).prefer_socket(false);
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            let mut connection = Conn::new(options.clone()).await?;
            let statement = connection.prep(INSERT).await?;
            for number in 0..WARM_UP {
                insert(&mut connection, &statement, &self.data, number).await?;
            }
            connections.push((connection, statement));
        }
        let processes =
            Processes { server: Vec::new(), database: Database::from_url(&self.database)?.server_pid()? };
        let measurement = ProcessMeasurement::begin(&processes)?;
        let begun = Instant::now();
        let mut workers = JoinSet::new();
        for (connection, statement) in connections {
            workers.spawn(worker(connection, statement, self.data.clone(), begun + duration));
        }
        let (mut latencies, mut failed) = (Vec::new(), None);
        while let Some(ended) = workers.join_next().await {
            match ended {
                Ok(Ok(of_worker)) => latencies.extend(of_worker),
                Ok(Err(error)) => failed = Some(error),
                Err(error) => failed = Some(mysql_async::Error::Other(error.into())),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut record = BenchRecord {
            engine: "MariaDB".to_owned(),
            scenario: "post_backup".to_owned(),
            jobs: self.data.jobs,
            connections: self.connections,
            connects: self.connections.into(),
            ..BenchRecord::default()
        };
        record.set_answers(&Latencies::new(latencies), 0, None, begun.elapsed());
        measurement.end(&mut record)?;
        Ok(record)
    }
}

async fn worker(
    mut connection: Conn,
    statement: Statement,
    data: Dataset,
    end: Instant,
) -> Result<Vec<Duration>, mysql_async::Error> {
    let mut latencies = Vec::new();
    for number in 0.. {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        insert(&mut connection, &statement, &data, number).await?;
        latencies.push(begun.elapsed());
    }
    connection.disconnect().await?;
    Ok(latencies)
}

async fn insert(
    connection: &mut Conn,
    statement: &Statement,
    data: &Dataset,
    number: u64,
) -> Result<(), mysql_async::Error> {
    let job = data.id(ObjectKind::Job, number % data.jobs);
    let metadata = scenario::backup(number, "bench", &job);
    connection.exec_drop(statement, (clock::row_id(), &data.project, &job, metadata, USER)).await
}
