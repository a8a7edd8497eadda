//! [`ConnectSettings`]: the variables that every connection to MySQL and MariaDB sets, and the error for a server that
//! rejects them.

use std::time::Duration;

use crate::error::{DriverError, StoreError};
use crate::url::DatabaseUrl;

/// Settings of each connection, from `[database]`.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// `mysql_sql_mode`: TRADITIONAL rejects values that do not fit, instead of truncating them.
    pub mysql_sql_mode: Option<String>,
    /// `mysql_wsrep_sync_wait`: the statements that wait until the Galera node has applied earlier writes.
    /// `None`: 3 if the server is a node of a cluster.
    pub mysql_wsrep_sync_wait: Option<u32>,
    /// Time limit for opening a connection.
    pub connect_timeout: Duration,
    /// Whether the connections change tables. Then the server does not check foreign keys, because tables with foreign
    /// keys are converted, and it selects the algorithm of each ALTER itself.
    pub changes_tables: bool,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        ConnectSettings {
            mysql_sql_mode: Some("TRADITIONAL".to_owned()),
            mysql_wsrep_sync_wait: None,
            connect_timeout: Duration::from_secs(5),
            changes_tables: false,
        }
    }
}

/// If a joined table is small, the servers collect rows of the preceding tables in a buffer, which loses
/// their order. Then a list with a limit is read completely and sorted. Both servers have such a setting
/// under different names, and ignore the comment for the other server.
const NO_JOIN_BUFFERS: &str =
    "/*M!100000 , join_cache_level = 0 */ /*!50700 , optimizer_switch = 'block_nested_loop=off' */";

/// With another global value than this, MariaDB refuses changes of tables that need another algorithm. From 11.5, the
/// variable has no effect.
const ANY_ALGORITHM: &str = "/*M!100307 , alter_algorithm = 'DEFAULT' */";

/// Resets variables that a server may set for interactive clients, and that reject changes of many rows or
/// truncate the result of a query. The number is the server's built-in default; `DEFAULT` would mean the
/// global value.
const NO_LIMITS: &str = "sql_safe_updates = 0, sql_select_limit = 18446744073709551615";

/// Statements that wait on a Galera node until it has applied earlier writes of other nodes: reads (1), and
/// changes of existing rows (2). Inserts (4) do not wait.
pub(crate) const SAFE_SYNC_WAIT: u32 = 3;

/// The value for no statement limit at the server. It is longer than any schema change.
pub(crate) const NO_STATEMENT_LIMIT: Duration = Duration::from_secs(86_400);

/// Modes in which our statements have another meaning, with the reason. The test `sql_modes` checks that the service
/// behaves the same in all other modes.
const UNUSABLE_MODES: [(&str, &str); 3] = [
    ("ORACLE", "has another syntax"),
    ("EMPTY_STRING_IS_NULL", "stores empty texts as NULL"),
    ("ALL", "includes ORACLE and EMPTY_STRING_IS_NULL"),
];

impl ConnectSettings {
    /// Returns the error for a mode in which our statements would have another meaning. `of_server` is the mode of a
    /// new connection, which applies if the option is empty.
    pub(crate) fn unusable_mode(&self, database: &DatabaseUrl, of_server: &str) -> Option<StoreError> {
        let modes = self.mysql_sql_mode.as_deref().unwrap_or(of_server);
        let names = || modes.split(',').map(|name| name.trim_matches('\''));
        let (unusable, reason) = UNUSABLE_MODES
            .iter()
            .find(|(unusable, _)| names().any(|name| name.eq_ignore_ascii_case(unusable)))?;
        let setting = match &self.mysql_sql_mode {
            Some(modes) => format!("[database] mysql_sql_mode = {modes}"),
            None => format!("[database] mysql_sql_mode is empty, and the server has sql_mode = {of_server}"),
        };
        let reason =
            format!("the service cannot use the database {database} in the mode {unusable}, which {reason}");
        Some(StoreError::Setting { setting, reason, advice: "use TRADITIONAL, or other modes" })
    }

    /// Returns the statement that a new connection runs first. `is_cluster`: the server is a node of a Galera cluster.
    pub(crate) fn statement(&self, is_cluster: bool, statement_timeout: Duration) -> String {
        let mut settings = vec![format!("time_zone = '+00:00', {NO_LIMITS}")];
        if let Some(mode) = &self.mysql_sql_mode {
            settings.push(format!("sql_mode = '{}'", mode.replace('\'', "").replace('\\', r"\\")));
        }
        let sync_wait = self.mysql_wsrep_sync_wait.or(is_cluster.then_some(SAFE_SYNC_WAIT));
        if let Some(wait) = sync_wait {
            settings.push(format!("wsrep_sync_wait = {wait}"));
        }
        if self.changes_tables {
            settings.push("foreign_key_checks = 0".to_owned());
        }
        let algorithm = if self.changes_tables { ANY_ALGORITHM } else { "" };
        let limit = statement_limit(statement_timeout);
        format!("SET {}, NAMES utf8mb4{NO_JOIN_BUFFERS}{algorithm}{limit}", settings.join(", "))
    }

    /// Returns the error for a server that rejects the statement. The option is named if the server names its variable.
    pub(crate) fn rejected(&self, database: &DatabaseUrl, error: &DriverError) -> StoreError {
        let reason = error.to_string();
        let of_options = [
            (
                "sql_mode",
                self.mysql_sql_mode.clone(),
                "name modes that the server knows, or leave the option empty",
            ),
            (
                "wsrep_sync_wait",
                self.mysql_wsrep_sync_wait.map(|number| number.to_string()),
                "remove the option, unless the server is a node of a Galera cluster",
            ),
        ];
        let option = of_options.into_iter().find_map(|(variable, value, advice)| {
            let is_named = reason.contains(&format!("'{variable}'"));
            let value = value.filter(|_| is_named)?;
            Some((format!("[database] mysql_{variable} = {value}"), advice))
        });
        let (setting, advice) = option.unwrap_or((
            "[database] connection: a variable that every connection sets".to_owned(),
            "correct the account or the proxy, or use a server of a version that the documentation names",
        ));
        let reason = format!("the database {database} rejects it: {reason}");
        StoreError::Setting { setting, reason, advice }
    }
}

/// Seconds that a statement waits for a row lock. Then its transaction runs again. This also resolves a
/// deadlock that the server does not detect: FLUSH TABLES WITH READ LOCK waits for a statement, which waits
/// for a row lock of a transaction, which waits for the flush.
const LONGEST_LOCK_WAIT: u64 = 10;

/// Returns the settings that limit statements, row locks and idle transactions at the server. MariaDB and
/// MySQL ignore the comments for each other. MySQL limits only SELECT, and no idle transactions.
fn statement_limit(limit: Duration) -> String {
    if limit >= NO_STATEMENT_LIMIT {
        return "/*M!100101 , max_statement_time = 0 */ /*!50708 , max_execution_time = 0 */".to_owned();
    }
    let idle = limit.as_secs().max(1);
    let lock = (limit.as_secs() / 3).clamp(1, LONGEST_LOCK_WAIT);
    format!(
        ", innodb_lock_wait_timeout = {lock}/*M!100101 , max_statement_time = {} */ /*M!100300 , idle_transaction_timeout = {idle} */ \
         /*!50708 , max_execution_time = {} */",
        limit.as_secs_f64(),
        limit.as_millis().max(1)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::error::is_final_answer;

    fn answer(code: u16, message: &str) -> DriverError {
        DriverError::Server(mysql_async::ServerError {
            code,
            message: message.to_owned(),
            state: "HY000".to_owned(),
        })
    }

    #[test]
    fn a_rejected_variable_names_its_option() {
        let url = DatabaseUrl::parse("mysql+pymysql://f:s3cr3t@db/freezer").unwrap();
        let settings = ConnectSettings {
            mysql_sql_mode: Some("JUNK".to_owned()),
            mysql_wsrep_sync_wait: Some(7),
            ..ConnectSettings::default()
        };
        for (code, message, begin) in [
            (
                1231,
                "Variable 'sql_mode' can't be set to the value of 'JUNK'",
                "[database] mysql_sql_mode = JUNK: the database mysql://f@db:3306/freezer rejects it: ",
            ),
            (
                1193,
                "Unknown system variable 'wsrep_sync_wait'",
                "[database] mysql_wsrep_sync_wait = 7: the database",
            ),
            (
                1227,
                "Access denied; you need (at least one of) the SUPER privilege(s)",
                "[database] connection: a variable",
            ),
            (1193, "Unknown system variable 'join_cache_level'", "[database] connection: a variable"),
            (1298, "Unknown or incorrect time zone: '+00:00'", "[database] connection: a variable"),
            (1115, "Unknown character set: 'utf8mb4'", "[database] connection: a variable"),
        ] {
            let error = answer(code, message);
            assert!(is_final_answer(&error), "{code}");
            let text = settings.rejected(&url, &error).to_string();
            assert!(text.starts_with(begin) && text.contains(message), "{text}");
            assert!(!text.contains("s3cr3t"), "{text}");
        }
        // A variable of ours, although the option is not set.
        let text = ConnectSettings::default()
            .rejected(&url, &answer(1193, "Unknown system variable 'wsrep_sync_wait'"));
        assert!(text.to_string().starts_with("[database] connection: "), "{text}");
    }

    #[test]
    fn an_unusable_mode_names_its_option() {
        let url = DatabaseUrl::parse("mysql+pymysql://f:s3cr3t@db/freezer").unwrap();
        let of_option = "[database] mysql_sql_mode = ";
        let of_server = "[database] mysql_sql_mode is empty, and the server has sql_mode = ";
        for (option, server, begin) in [
            (Some("ANSI,TRADITIONAL"), "ORACLE", None),
            (None, "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES", None),
            (None, "", None),
            (Some("oracle"), "", Some(of_option)),
            (Some("'ANSI,EMPTY_STRING_IS_NULL'"), "", Some(of_option)),
            (Some("ALL"), "", Some(of_option)),
            (None, "ANSI_QUOTES,ORACLE", Some(of_server)),
        ] {
            let settings =
                ConnectSettings { mysql_sql_mode: option.map(str::to_owned), ..ConnectSettings::default() };
            let text = settings.unusable_mode(&url, server).map(|error| error.to_string());
            assert_eq!(text.is_some(), begin.is_some(), "{option:?}, {server}: {text:?}");
            if let (Some(text), Some(begin)) = (text, begin) {
                let modes = option.unwrap_or(server);
                assert!(
                    text.starts_with(&format!("{begin}{modes}: the service cannot use the database ")),
                    "{text}"
                );
                assert!(!text.contains("s3cr3t"), "{text}");
            }
        }
    }

    #[test]
    fn an_outage_is_no_rejection() {
        for code in [1040, 1047, 1053, 1205, 1290, 1317, 1927] {
            assert!(!is_final_answer(&answer(code, "")), "{code}");
        }
        let closed = mysql_async::Error::Driver(mysql_async::DriverError::ConnectionClosed);
        assert!(!is_final_answer(&closed.into()));
    }

    #[test]
    fn a_mode_cannot_end_its_text() {
        for (mode, expected) in
            [("TRADITIONAL", "TRADITIONAL"), ("'ANSI'", "ANSI"), (r"A\", r"A\\"), (r"\', x = '", r"\\, x = ")]
        {
            let settings =
                ConnectSettings { mysql_sql_mode: Some(mode.to_owned()), ..ConnectSettings::default() };
            let sql = settings.statement(false, Duration::from_secs(30));
            assert!(sql.contains(&format!("sql_mode = '{expected}'")), "{sql}");
        }
    }
}
