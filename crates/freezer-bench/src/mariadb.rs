//! Runs SQL text with the `mariadb` client program, and reads the status counters of the server.
//! The SQL for Freezer's tables is in `seed/tables.rs`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, io, thread};

use percent_encoding::percent_decode_str;

/// The names of the client programs of MariaDB and MySQL.
const PROGRAMS: [&str; 2] = ["mariadb", "mysql"];

/// Reads the counters. `Questions` counts the statements that clients executed, as text (COM_QUERY) or prepared
/// (COM_STMT_EXECUTE). It does not include preparing, closing and pings. `Com_*` counts each kind of statement, and
/// `Handler_read_*` counts the rows and index entries that the server read.
const COUNTERS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Connections') \
                        OR Variable_name LIKE 'Com\\_%' OR Variable_name LIKE 'Handler\\_read\\_%' \
                        OR Variable_name = 'Handler_commit'";

/// A pause. If the server is not used by others, it counts only our own statements in this time.
const QUIET: Duration = Duration::from_millis(500);
/// The number of pauses to wait for an unused server.
const QUIET_TRIES: usize = 20;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is invalid.
    #[error("{0}: not a URL of the form mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url(String),
    /// The client program is not installed, or it cannot be used.
    #[error("the client program mariadb (or mysql) cannot be used: {0}; is mariadb-client installed?")]
    Program(#[from] io::Error),
    /// The server refused the SQL.
    #[error("{database}: {message}")]
    Refused {
        /// The database.
        database: String,
        /// The message of the client program.
        message: String,
    },
}

/// The address and login of a database.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    user: String,
    password: Option<String>,
    host: String,
    port: u16,
    name: String,
}

/// Omits the password.
impl std::fmt::Display for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "mysql://{}@{}:{}/{}", self.user, self.host, self.port, self.name)
    }
}

/// The counters of a server at one moment.
type Counters = BTreeMap<String, i64>;

/// The SQL statements of a number of requests, from the server's counters.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Statements {
    /// The number of requests.
    pub requests: u64,
    /// `Questions` per request: the number of statements, including BEGIN and COMMIT.
    pub questions: f64,
    /// `Com_*`, `Handler_read_*` and `Connections` per request, if they are not 0.
    pub counters: BTreeMap<String, f64>,
    /// The `Questions` of others in a pause of half a second. If this is not 0, another client used the server, and the figures
    /// are too high.
    pub foreign: i64,
}

impl Database {
    /// Parses `mysql://user:password@host:port/database`. A driver (`mysql+pymysql://`) and parameters are ignored. An error
    /// does not include the password.
    pub fn from_url(url: &str) -> Result<Database, DatabaseError> {
        let parsed = || {
            let (scheme, rest) = url.split_once("://")?;
            matches!(scheme.split('+').next(), Some("mysql" | "mariadb")).then_some(())?;
            let rest = rest.split('?').next()?;
            let (login, place) = rest.rsplit_once('@')?;
            let (address, name) = place.split_once('/')?;
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            let (host, port) = match address.split_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (address, 3306),
            };
            let decode = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
            let password = password.map(|text| decode(text).ok_or(())).transpose().ok()?;
            let database =
                Database { user: decode(user)?, password, host: host.to_owned(), port, name: decode(name)? };
            (!database.host.is_empty() && !database.name.is_empty()).then_some(database)
        };
        let shown = url.rsplit_once('@').map_or(url, |(_, place)| place);
        parsed().ok_or_else(|| DatabaseError::Url(shown.to_owned()))
    }

    /// Runs the SQL text that `write` produces, and returns the output of the client program: a line for each row, with tabs
    /// between columns. It stops at the first error.
    ///
    /// The text is written before any output is read, so the output must fit into a pipe (64 KiB).
    pub fn execute(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<String, DatabaseError> {
        let mut child = self.start()?;
        let written = match child.stdin.take() {
            Some(stdin) => {
                let mut stdin = BufWriter::new(stdin);
                write(&mut stdin).and_then(|()| stdin.flush())
            }
            None => Ok(()),
        };
        let output = child.wait_with_output()?;
        if !output.status.success() {
            // The message of the client program is more specific than the error of our write.
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(DatabaseError::Refused { database: self.to_string(), message });
        }
        written?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn start(&self) -> Result<Child, DatabaseError> {
        let mut error = io::Error::from(io::ErrorKind::NotFound);
        for program in PROGRAMS {
            let mut command = Command::new(program);
            command
                // The settings of the user must not affect the measurement.
                .arg("--no-defaults")
                .args(["--protocol=tcp", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
                .arg(format!("--host={}", self.host))
                .arg(format!("--port={}", self.port))
                .arg(format!("--user={}", self.user))
                .arg(format!("--database={}", self.name))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            // In the environment, because all users can see arguments in the list of processes.
            match &self.password {
                Some(password) => command.env("MYSQL_PWD", password),
                None => command.env_remove("MYSQL_PWD"),
            };
            match command.spawn() {
                Ok(child) => return Ok(child),
                Err(failed) if failed.kind() == io::ErrorKind::NotFound => error = failed,
                Err(failed) => return Err(failed.into()),
            }
        }
        Err(error.into())
    }

    /// Returns the process id of the server, if it runs on this machine and its pid file can be read.
    pub fn server_pid(&self) -> Result<Option<u32>, DatabaseError> {
        let path = self.execute(|sql| sql.write_all(b"SELECT @@pid_file"))?;
        Ok(fs::read_to_string(path.trim()).ok().and_then(|text| text.trim().parse().ok()))
    }

    fn counters(&self) -> Result<Counters, DatabaseError> {
        Ok(parse_counters(&self.execute(|sql| sql.write_all(COUNTERS.as_bytes()))?))
    }
}

/// A running count of statements.
pub struct StatementCount {
    database: Database,
    before: Counters,
    /// The increase of the counters by reading them once.
    own: Counters,
    foreign: i64,
}

impl StatementCount {
    /// Starts a count. First it measures the increase by reading the counters, and waits up to ten seconds until no other client
    /// uses the server.
    pub fn begin(database: &Database) -> Result<StatementCount, DatabaseError> {
        let first = database.counters()?;
        let mut before = database.counters()?;
        let mut own = difference(&first, &before);
        let mut foreign = i64::MAX;
        for _ in 0..QUIET_TRIES {
            thread::sleep(QUIET);
            let after = database.counters()?;
            let answers = difference(&before, &after);
            // The minimum is the increase by the reading itself.
            if questions(&answers) < questions(&own) {
                own = answers.clone();
            }
            foreign = questions(&answers) - questions(&own);
            before = after;
            if foreign == 0 {
                break;
            }
        }
        Ok(StatementCount { database: database.clone(), before, own, foreign })
    }

    /// Ends the count and divides it by the number of requests.
    pub fn end(self, requests: u64) -> Result<Statements, DatabaseError> {
        let total = difference(&self.own, &difference(&self.before, &self.database.counters()?));
        let each = |count: i64| count as f64 / requests.max(1) as f64;
        Ok(Statements {
            requests,
            questions: each(questions(&total)),
            counters: total
                .iter()
                .filter(|(name, count)| **count != 0 && *name != "Questions")
                .map(|(name, count)| (name.clone(), each(*count)))
                .collect(),
            foreign: self.foreign,
        })
    }
}

fn questions(counters: &Counters) -> i64 {
    counters.get("Questions").copied().unwrap_or(0)
}

fn difference(before: &Counters, after: &Counters) -> Counters {
    after.iter().map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0))).collect()
}

fn parse_counters(text: &str) -> Counters {
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn urls() {
        let database =
            Database::from_url("mysql+pymysql://u:p%40%2F@127.0.0.1:23306/freezer?charset=utf8").unwrap();
        assert_eq!(database.password.as_deref(), Some("p@/"));
        assert_eq!(database.to_string(), "mysql://u@127.0.0.1:23306/freezer");
        assert_eq!(Database::from_url("mysql://u@h/f").unwrap().port, 3306);
        for bad in ["sqlite:///f", "mysql://u:secret@h:x/f", "mysql://u:secret@h", "mysql://u:secret@/f", "h"]
        {
            let Err(error) = Database::from_url(bad) else { panic!("{bad} was taken") };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn counters_are_differences() {
        let before = parse_counters("Questions\t100\nCom_select\t7\nCom_begin\t0\nRpl_status\tAUTH_MASTER\n");
        let after = parse_counters("Questions\t130\nCom_select\t27\nCom_begin\t10\n");
        let wanted = parse_counters("Questions\t30\nCom_select\t20\nCom_begin\t10\n");
        assert_eq!(difference(&before, &after), wanted);
    }
}
