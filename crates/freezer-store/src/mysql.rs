//! [`MySql`]: a connection to MySQL, MariaDB or Galera, how it is opened, and how it runs statements.
//!
//! The driver is mysql_async. If the server supports it (MariaDB 10.6 and later), this driver does not
//! request the description of every column with every answer, which was a third of the cost of showing a job
//! ([ADR 5](../../../docs/adr/0005-mysql-driver.md)). Each connection prepares a statement once. `exec.rs`
//! runs statements, and `engine.rs` has the settings of connections.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Statement};
use tokio_rustls::TlsConnector;

use crate::error::DriverError;
use crate::prepared::is_kept;
use crate::progress::ReadProgress;
use crate::time_slice::TimeSlice;
use crate::url::MySqlUrl;

/// A parameter of a statement.
pub(crate) use mysql_async::Value as MySqlValue;

/// A row of a result.
pub(crate) use mysql_async::Row as MySqlRow;

/// The text of a statement.
pub(crate) enum Sql {
    /// A text with static lifetime, whose address identifies it.
    Fixed(&'static str),
    /// A text for one use.
    Made(String),
}

/// Total size of the dynamic statements that a connection keeps prepared. Above it, all of them are closed. A
/// server needs many times this memory. The service has few statements, but the number of different searches
/// is unlimited.
const KEPT_BYTES: usize = 256 << 10;

/// Size of the discarded rows above which a statement is ended at the server.
const DISCARDED_BYTES: usize = 2 << 20;

/// `ER_QUERY_INTERRUPTED`
const INTERRUPTED: u16 = 1317;

/// The largest packet of the protocol. The server has its own limit.
const MAX_PACKET: usize = 1 << 30;

/// Idle time of a connection before the kernel checks the server, and time limit for the acknowledgement of
/// sent data.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Identifies a connection at its server. A balancer may lead another connection to another server with the
/// same numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    /// Identity of the server.
    pub server: Arc<str>,
    /// Number of the connection at the server.
    pub id: u32,
    /// Index of the server in the list of the URL.
    pub place: usize,
}

/// An open connection with its prepared statements.
pub(crate) struct MySql {
    connection: Conn,
    server: Arc<str>,
    place: usize,
    fixed: HashMap<usize, Statement>,
    made: HashMap<String, Statement>,
    /// Total size of the dynamic statements.
    made_bytes: usize,
    progress: Arc<ReadProgress>,
}

/// A prepared statement.
struct Prepared {
    statement: Statement,
    /// Whether it stays prepared for the next use.
    is_kept: bool,
}

impl MySql {
    /// Opens a connection to a server of the URL by its index, encrypted by `tls` if there is a connector.
    pub(crate) async fn open(
        url: &MySqlUrl,
        place: usize,
        tls: Option<(TlsConnector, bool)>,
    ) -> Result<MySql, DriverError> {
        let mut options = options(url);
        if let Some((host, port)) = place.checked_sub(1).and_then(|other| url.others.get(other)) {
            options = options.ip_or_hostname(host.clone()).tcp_port(*port);
        }
        if let Some((connector, optional)) = tls {
            options = options.tls_connector(connector, optional);
        }
        let connection = Conn::new(options).await?;
        Ok(MySql {
            connection,
            server: Arc::from(""),
            place,
            fixed: HashMap::new(),
            made: HashMap::new(),
            made_bytes: 0,
            progress: Arc::default(),
        })
    }

    /// Identifies the server. Returns whether it is a node of a Galera cluster, and its `sql_mode`.
    pub(crate) async fn identify(&mut self) -> Result<(bool, String), DriverError> {
        let mut rows: Vec<(String, String)> = self
            .connection
            .query(
                "SHOW VARIABLES WHERE Variable_name IN \
                 ('hostname', 'port', 'datadir', 'socket', 'server_uuid', 'wsrep_node_name', 'wsrep_on', 'sql_mode')",
            )
            .await?;
        let is_cluster = rows.iter().any(|(name, value)| name == "wsrep_on" && value == "ON");
        let modes = rows.extract_if(.., |(name, _)| name == "sql_mode").map(|(_, value)| value).collect();
        let values: Vec<&str> = rows.iter().map(|(_, value)| value.as_str()).collect();
        self.server = values.join("|").into();
        Ok((is_cluster, modes))
    }

    /// Returns the thread of this connection at the server.
    pub(crate) fn thread(&self) -> Thread {
        Thread { server: self.server.clone(), id: self.connection.id(), place: self.place }
    }

    /// Returns the progress of the statements on this connection.
    pub(crate) fn progress(&self) -> Arc<ReadProgress> {
        self.progress.clone()
    }

    /// Checks whether the server answers on this connection.
    pub(crate) async fn ping(&mut self) -> Result<(), DriverError> {
        Ok(self.connection.ping().await?)
    }

    /// Returns the threads that the account may see, with their command. `Sleep` means that the thread waits
    /// for a statement.
    pub(crate) async fn threads(&mut self) -> Result<Vec<(u64, String)>, DriverError> {
        let rows: Vec<MySqlRow> = self.connection.query("SHOW PROCESSLIST").await?;
        let read = |row: &MySqlRow| Some((row.get(0)?, row.get(4)?));
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Closes the socket without waiting for a running statement.
    pub(crate) fn abandon(self) {
        self.connection.abandon();
    }

    /// Passes each row of a query to `each` as it arrives. After `Break`, the remaining rows are discarded. If they
    /// exceed [`DISCARDED_BYTES`], `stop` runs, which ends the statement at the server.
    pub(crate) async fn select_each(
        &mut self,
        (sql, values): (Sql, Vec<MySqlValue>),
        each: impl FnMut(MySqlRow) -> ControlFlow<()>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        let prepared = self.prepared(sql).await?;
        let read = self.read_each(&prepared.statement, values, each, stop).await;
        self.forget(prepared).await?;
        read
    }

    async fn read_each(
        &mut self,
        statement: &Statement,
        values: Vec<MySqlValue>,
        mut each: impl FnMut(MySqlRow) -> ControlFlow<()>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        let mut slice = TimeSlice::start();
        let mut result = self.connection.exec_iter(statement, values).await?;
        let mut flow = ControlFlow::Continue(());
        let (mut discarded, mut stop) = (0, Some(stop));
        loop {
            let row = match result.next().await {
                Ok(Some(row)) => row,
                Ok(None) => break,
                // it was stopped
                Err(mysql_async::Error::Server(answer)) if stop.is_none() && answer.code == INTERRUPTED => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            self.progress.row();
            if flow.is_continue() {
                flow = each(row);
            } else {
                discarded += bytes(&row);
                if discarded > DISCARDED_BYTES
                    && let Some(stop) = stop.take()
                {
                    self.progress.paused(stop).await;
                }
            }
            slice.yield_if_over().await;
        }
        Ok(result.drop_result().await?)
    }

    /// Returns all rows of a query.
    pub(crate) async fn select(
        &mut self,
        prepared: (Sql, Vec<MySqlValue>),
    ) -> Result<Vec<MySqlRow>, DriverError> {
        let mut rows = Vec::new();
        let each = |row| {
            rows.push(row);
            ControlFlow::Continue(())
        };
        self.select_each(prepared, each, std::future::ready(())).await?;
        Ok(rows)
    }

    /// Runs a statement that changes rows. Returns the number of matched rows.
    pub(crate) async fn execute(
        &mut self,
        (sql, values): (Sql, Vec<MySqlValue>),
    ) -> Result<u64, DriverError> {
        let prepared = self.prepared(sql).await?;
        let changed = self.change(&prepared.statement, values).await;
        self.forget(prepared).await?;
        changed
    }

    async fn change(&mut self, statement: &Statement, values: Vec<MySqlValue>) -> Result<u64, DriverError> {
        let result = self.connection.exec_iter(statement, values).await?;
        let found = result.affected_rows();
        result.drop_result().await?;
        Ok(found)
    }

    /// Closes a statement that does not stay prepared.
    async fn forget(&mut self, prepared: Prepared) -> Result<(), DriverError> {
        match prepared {
            Prepared { is_kept: true, .. } => Ok(()),
            Prepared { statement, .. } => Ok(self.connection.close(statement).await?),
        }
    }

    /// Runs a text without placeholders, which may contain several statements.
    pub(crate) async fn raw(&mut self, sql: &str) -> Result<u64, DriverError> {
        self.connection.query_drop(sql).await?;
        Ok(self.connection.affected_rows())
    }

    /// Returns all rows of a query without placeholders. Every value is a text.
    pub(crate) async fn raw_select(&mut self, sql: &str) -> Result<Vec<MySqlRow>, DriverError> {
        Ok(self.connection.query(sql).await?)
    }

    async fn prepared(&mut self, sql: Sql) -> Result<Prepared, DriverError> {
        let kept = |statement: &Statement| Prepared { statement: statement.clone(), is_kept: true };
        match sql {
            Sql::Fixed(text) => {
                let address = text.as_ptr() as usize;
                if let Some(statement) = self.fixed.get(&address) {
                    return Ok(kept(statement));
                }
                let statement = self.connection.prep(text).await?;
                self.fixed.insert(address, statement.clone());
                Ok(kept(&statement))
            }
            Sql::Made(text) => {
                if let Some(statement) = self.made.get(&text) {
                    return Ok(kept(statement));
                }
                let statement = self.connection.prep(text.as_str()).await?;
                if !is_kept(&text) {
                    return Ok(Prepared { statement, is_kept: false });
                }
                if self.made_bytes + text.len() > KEPT_BYTES {
                    self.made_bytes = 0;
                    for (_, statement) in self.made.drain() {
                        self.connection.close(statement).await?;
                    }
                }
                self.made_bytes += text.len();
                self.made.insert(text, statement.clone());
                Ok(kept(&statement))
            }
        }
    }
}

/// Bytes of the texts of a row.
fn bytes(row: &MySqlRow) -> usize {
    let length = |at| match row.as_ref(at) {
        Some(MySqlValue::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    (0..row.len()).map(length).sum()
}

fn options(url: &MySqlUrl) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(url.host.clone())
        .tcp_port(url.port)
        .user(Some(url.user.clone()))
        .pass(url.password.clone())
        .db_name(Some(url.database.clone()))
        .socket(url.socket.as_ref().map(|path| path.display().to_string()))
        // An UPDATE counts all matched rows, even if it does not change them.
        .client_found_rows(true)
        // These settings avoid queries of the driver after login.
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .max_allowed_packet(Some(MAX_PACKET))
        .wait_timeout(Some(28_800))
        // This connection keeps prepared statements itself and finds them without comparing texts.
        .stmt_cache_size(0)
}
