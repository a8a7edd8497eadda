//! The least that POST of a backup can cost over SQL: the rows that the service writes, inserted by the database driver
//! alone, one prepared statement and one commit each, on as many connections as the load has.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Statement};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock;
use crate::dataset::{Dataset, Kind, USER};
use crate::mariadb::{Database, DatabaseError};
use crate::record::Record;
use crate::run::{Metering, Meters};
use crate::scenario;
use crate::stats::Latencies;

/// All columns that the service writes for a new backup.
const INSERT: &str = "INSERT INTO backups (id, project_id, deleted, created_at, updated_at, job_id, status, \
                      backup_metadata, user_id) VALUES (?, ?, 0, '2025-01-01 00:00:00', NULL, ?, 'available', ?, ?)";
/// Inserts of each connection before the measurement.
const WARM_UP: u64 = 20;

/// Why there is no floor.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// The driver.
    #[error("the bare driver: {0}")]
    Driver(#[from] mysql_async::Error),
    /// The URL, or the server's process.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A process is gone.
    #[error(transparent)]
    Process(#[from] crate::process::ProcessError),
}

/// The loop of the bare driver.
#[derive(Debug, Clone)]
pub struct Floor {
    /// mysql://USER:PASSWORD@HOST:PORT/DATABASE
    pub database: String,
    /// Whose backups.
    pub data: Dataset,
    /// At the same time.
    pub connections: u16,
}

impl Floor {
    /// Inserts for so long. The driver's CPU time is this program's own.
    ///
    /// # Errors
    /// [`FloorError`]
    pub async fn drive(&self, duration: Duration) -> Result<Record, FloorError> {
        let options = mysql_async::Opts::from_url(&self.database).map_err(mysql_async::Error::from)?;
        // the socket would be quicker than what the service has
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
        let meters = Meters { server: Vec::new(), database: Database::of_url(&self.database)?.server_pid()? };
        let metering = Metering::begin(&meters)?;
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
        let mut record = Record {
            engine: "MariaDB".to_owned(),
            scenario: "post_backup".to_owned(),
            jobs: self.data.jobs,
            connections: self.connections,
            connects: self.connections.into(),
            ..Record::default()
        };
        record.set_answers(&Latencies::new(latencies), 0, None, begun.elapsed());
        metering.end(&mut record)?;
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
    let job = data.id(Kind::Job, number % data.jobs);
    let metadata = scenario::backup(number, "bench", &job);
    connection.exec_drop(statement, (clock::row_id(), &data.project, &job, metadata, USER)).await
}
