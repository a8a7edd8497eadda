//! [`MySql`]: a connection to MySQL, MariaDB or Galera, how it is opened, and how statements go over it.
//!
//! The driver is mysql_async, because it does not have every column described again with every answer where the server
//! can leave that out (MariaDB 10.6 and later), which was a third of the work of showing one job
//! ([ADR 5](../../../docs/adr/0005-mysql-driver.md)). Statements are prepared once for a connection. When statements run
//! is `exec.rs`; which settings every connection has, `engine.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Statement};
use tokio_rustls::TlsConnector;

use crate::error::DriverError;
use crate::exec::Turn;
use crate::statement::is_kept;
use crate::url::MySqlUrl;

/// What goes over the wire for a placeholder.
pub(crate) use mysql_async::Value as MySqlValue;

/// A row of a result.
pub(crate) use mysql_async::Row as MySqlRow;

/// The text of a statement.
pub(crate) enum Sql {
    /// One whose text lives as long as the process: its address names it.
    Fixed(&'static str),
    /// One made for this time.
    Made(String),
}

/// Bytes of made statements that a connection keeps prepared, at most; then it forgets them all. A server needs many times as
/// much for them. The service makes few statements, except for searches, of which there is no end.
const KEPT_BYTES: usize = 256 << 10;

/// The largest packet that the protocol knows: the server's own limit decides.
const MAX_PACKET: usize = 1 << 30;

/// Pause on a quiet connection before the kernel asks whether the server is still there, and how long what was sent may stay
/// unacknowledged before it closes the connection.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A connection as its server knows it. A balancer may lead another connection to another server, which gives the same numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    /// Identity of the server.
    pub server: Arc<str>,
    /// Number of the connection there.
    pub id: u32,
    /// Its place in the list of servers of the URL.
    pub place: usize,
}

/// An open connection with its prepared statements.
pub(crate) struct MySql {
    connection: Conn,
    server: Arc<str>,
    place: usize,
    fixed: HashMap<usize, Statement>,
    made: HashMap<String, Statement>,
    /// Bytes of their texts.
    made_bytes: usize,
}

/// A statement that is prepared.
struct Prepared {
    statement: Statement,
    /// Whether it stays prepared for the next time.
    is_kept: bool,
}

impl MySql {
    /// Opens a connection to the server at a place in the list of the URL, encrypted by `tls` if there is a connector.
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
        })
    }

    /// Asks which server this is, and returns whether it is a node of a Galera cluster.
    pub(crate) async fn identify(&mut self) -> Result<bool, DriverError> {
        let rows: Vec<(String, String)> = self
            .connection
            .query(
                "SHOW VARIABLES WHERE Variable_name IN \
                 ('hostname', 'port', 'datadir', 'socket', 'server_uuid', 'wsrep_node_name', 'wsrep_on')",
            )
            .await?;
        let is_cluster = rows.iter().any(|(name, value)| name == "wsrep_on" && value == "ON");
        let values: Vec<&str> = rows.iter().map(|(_, value)| value.as_str()).collect();
        self.server = values.join("|").into();
        Ok(is_cluster)
    }

    /// What the server knows this connection by.
    pub(crate) fn thread(&self) -> Thread {
        Thread { server: self.server.clone(), id: self.connection.id(), place: self.place }
    }

    /// Asks whether the server answers on this connection.
    pub(crate) async fn ping(&mut self) -> Result<(), DriverError> {
        Ok(self.connection.ping().await?)
    }

    /// The threads that the account may see, with what each does: `Sleep` means that it waits for a statement.
    pub(crate) async fn threads(&mut self) -> Result<Vec<(u64, String)>, DriverError> {
        let rows: Vec<MySqlRow> = self.connection.query("SHOW PROCESSLIST").await?;
        let read = |row: &MySqlRow| Some((row.get(0)?, row.get(4)?));
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Closes the socket without waiting for anything that is under way.
    pub(crate) fn abandon(self) {
        self.connection.abandon();
    }

    /// Hands each row of a query to `each` as it comes.
    pub(crate) async fn select_each(
        &mut self,
        (sql, values): (Sql, Vec<MySqlValue>),
        each: impl FnMut(MySqlRow),
    ) -> Result<(), DriverError> {
        let prepared = self.prepared(sql).await?;
        let read = self.read_each(&prepared.statement, values, each).await;
        self.forget(prepared).await?;
        read
    }

    async fn read_each(
        &mut self,
        statement: &Statement,
        values: Vec<MySqlValue>,
        mut each: impl FnMut(MySqlRow),
    ) -> Result<(), DriverError> {
        let mut turn = Turn::begin();
        let mut result = self.connection.exec_iter(statement, values).await?;
        while let Some(row) = result.next().await? {
            each(row);
            turn.end_if_long().await;
        }
        Ok(result.drop_result().await?)
    }

    /// All rows of a query.
    pub(crate) async fn select(
        &mut self,
        prepared: (Sql, Vec<MySqlValue>),
    ) -> Result<Vec<MySqlRow>, DriverError> {
        let mut rows = Vec::new();
        self.select_each(prepared, |row| rows.push(row)).await?;
        Ok(rows)
    }

    /// Changes rows, and says how many it found.
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

    /// Closes a statement that is not kept.
    async fn forget(&mut self, prepared: Prepared) -> Result<(), DriverError> {
        match prepared {
            Prepared { is_kept: true, .. } => Ok(()),
            Prepared { statement, .. } => Ok(self.connection.close(statement).await?),
        }
    }

    /// Runs text without placeholders, which need not be one statement.
    pub(crate) async fn raw(&mut self, sql: &str) -> Result<u64, DriverError> {
        self.connection.query_drop(sql).await?;
        Ok(self.connection.affected_rows())
    }

    /// All rows of a query without placeholders; every value comes as text.
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

fn options(url: &MySqlUrl) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(url.host.clone())
        .tcp_port(url.port)
        .user(Some(url.user.clone()))
        .pass(url.password.clone())
        .db_name(Some(url.database.clone()))
        .socket(url.socket.as_ref().map(|path| path.display().to_string()))
        // rows that an UPDATE finds count, also where it changes nothing of them
        .client_found_rows(true)
        // what the driver would ask the server for after logging in
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .max_allowed_packet(Some(MAX_PACKET))
        .wait_timeout(Some(28_800))
        // they are kept here, where no text need be looked at to find them
        .stmt_cache_size(0)
}
