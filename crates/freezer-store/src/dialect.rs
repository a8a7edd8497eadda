//! Every place where the databases differ, and only here.
//!
//! Statements are built once with sea-query; this file turns them into the text and the values of one
//! engine, and holds the few expressions that must be written differently.

use sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt};
use sea_query::{Expr, IntoColumnRef, MysqlQueryBuilder, SelectStatement, SimpleExpr, SqliteQueryBuilder};
use sea_query_sqlx::{SqlxBinder, SqlxValues};

use crate::clock::Timestamp;
use crate::migrations::Kind;
use crate::search::action_terms::SCHEDULE_KEYS;
use crate::tables::Backups;

/// Which language a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MySQL, MariaDB, Galera.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// A statement as this engine's text and values.
    pub(crate) fn build(self, statement: &impl SqlxBinder) -> (String, SqlxValues) {
        match self {
            Dialect::MySql => statement.build_sqlx(MysqlQueryBuilder),
            Dialect::Sqlite => statement.build_sqlx(SqliteQueryBuilder),
        }
    }

    /// Opens a write transaction. SQLite takes its write lock at once (a later upgrade of a read lock
    /// fails with BUSY instead of waiting), which also stands in for the row locks that it does not have.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Dialect::MySql => "BEGIN",
            Dialect::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// A point in time as the Python service stores it: MySQL keeps whole seconds,
    /// SQLAlchemy's SQLite type writes six digits behind the point.
    pub(crate) fn datetime(self, at: Timestamp) -> String {
        match self {
            Dialect::MySql => at.to_sql(),
            Dialect::Sqlite => format!("{}.000000", at.to_sql()),
        }
    }

    /// Whether a text column holds a piece of ASCII text, byte by byte.
    pub(crate) fn holds(self, column: impl IntoColumnRef, piece: &str) -> SimpleExpr {
        match self {
            // as bytes: three times as fast as comparing characters, and the same for ASCII in any character set
            Dialect::MySql => Expr::cust_with_exprs(
                "LOCATE(?, CAST(? AS BINARY)) > 0",
                [Expr::val(piece), Expr::col(column)],
            ),
            Dialect::Sqlite => {
                Expr::cust_with_exprs("INSTR(?, ?) > 0", [Expr::col(column), Expr::val(piece)])
            }
        }
    }

    /// Whether a text column may contain a piece of lower-case ASCII, in either case: it does, or it has other characters,
    /// of which some have ASCII letters for their lower case.
    pub(crate) fn may_contain(self, column: impl IntoColumnRef + Copy, lowercase: &str) -> SimpleExpr {
        let (column, piece) = (|| Expr::col(column), Expr::val(lowercase));
        match self {
            // Latin-1, of one byte for each character: searched several times as fast as UTF-8
            Dialect::MySql => Expr::cust_with_exprs(
                "(LOCATE(?, CONVERT(CAST(? AS BINARY) USING latin1) COLLATE latin1_swedish_ci) > 0 \
                 OR LENGTH(?) <> CHAR_LENGTH(?))",
                [piece, column(), column(), column()],
            ),
            Dialect::Sqlite => Expr::cust_with_exprs(
                "(INSTR(LOWER(?), ?) > 0 OR LENGTH(?) <> LENGTH(CAST(? AS BLOB)))",
                [column(), piece, column(), column()],
            ),
        }
    }

    /// The column that a search asks for terms: as NULL where they are not those of the document any more. On MySQL the
    /// server sees to that with a generated column; on SQLite, which has no checksums, a trigger empties the one that is
    /// written.
    pub(crate) fn searched_terms(self) -> Backups {
        match self {
            Dialect::MySql => Backups::FzSearchIndex,
            Dialect::Sqlite => Backups::FzSearchTerms,
        }
    }

    /// Whether a document may have a term: it is among its terms, or those are not known.
    pub(crate) fn may_have_term(self, terms: impl IntoColumnRef + Copy, term: &[u8]) -> SimpleExpr {
        let (column, term) = (|| Expr::col(terms), Expr::val(term.to_vec()));
        match self {
            Dialect::MySql => {
                Expr::cust_with_exprs("(? IS NULL OR LOCATE(?, ?) > 0)", [column(), term, column()])
            }
            Dialect::Sqlite => {
                Expr::cust_with_exprs("(? IS NULL OR INSTR(?, ?) > 0)", [column(), column(), term])
            }
        }
    }

    /// Has a query read along an index. MariaDB does so by itself, but takes the part of the index for a range: it compares
    /// each entry with the end of that, which takes a third of the time of a search by terms.
    pub(crate) fn read_along(self, select: &mut SelectStatement, index: &'static str) {
        if self == Dialect::MySql {
            select.force_index(index, IndexHintScope::All);
        }
    }

    /// A statement that reads a table which it joins along an index: as [`Dialect::read_along`], which names one only for
    /// the table that a statement begins with.
    pub(crate) fn join_along(self, sql: &str, table: &str, index: &str) -> String {
        match self {
            Dialect::MySql => sql.replace(
                &format!(" JOIN `{table}` ON "),
                &format!(" JOIN `{table}` FORCE INDEX (`{index}`) ON "),
            ),
            Dialect::Sqlite => sql.to_owned(),
        }
    }

    /// The column that a search asks for times: NULL as in [`Dialect::searched_terms`].
    pub(crate) fn searched_time(self) -> Backups {
        match self {
            Dialect::MySql => Backups::FzTimeIndex,
            Dialect::Sqlite => Backups::FzTime,
        }
    }

    /// Whether a backup's terms or time were never made of the metadata that it has. Not the same as having no terms:
    /// there may be too many of them.
    pub(crate) fn lacks_terms(self) -> &'static str {
        match self {
            Dialect::MySql => {
                "(fz_time_index IS NULL OR \
                 fz_search_index IS NULL AND NOT (CRC32(backup_metadata) <=> fz_search_crc))"
            }
            Dialect::Sqlite => {
                "((fz_search_crc IS NULL OR fz_time_crc IS NULL) AND backup_metadata IS NOT NULL)"
            }
        }
    }

    /// The checksum of a backup's metadata as the server has it, which may have another character set than what we read;
    /// NULL where there is none to be had.
    pub(crate) fn crc_of_metadata(self) -> SimpleExpr {
        Expr::cust(match self {
            Dialect::MySql => "CAST(CRC32(backup_metadata) AS SIGNED)",
            Dialect::Sqlite => "NULL",
        })
    }

    /// Whether a text column holds anything but this ASCII text, byte by byte; NULL for NULL.
    pub(crate) fn differs(self, column: impl IntoColumnRef, text: &str) -> SimpleExpr {
        match self {
            Dialect::MySql => Expr::cust_with_exprs(
                "CAST(? AS BINARY) <> CAST(? AS BINARY)",
                [Expr::col(column), Expr::val(text)],
            ),
            Dialect::Sqlite => Expr::cust_with_exprs("? <> ?", [Expr::col(column), Expr::val(text)]),
        }
    }

    /// True only where a text column holds a JSON object without objects, lists or escapes in it, and in that object
    /// the key, once, with the text as its value. Key and text stand in JSON as they are.
    ///
    /// In such an object every quotation mark begins or ends a string, so `"key":"text"` is what it looks like. The two
    /// spellings are those of this service and of the Python one.
    pub(crate) fn flat_json_has(
        self,
        column: impl IntoColumnRef + Copy,
        key: &str,
        text: &str,
    ) -> SimpleExpr {
        let column = || Expr::col(column);
        let spellings = [format!("\"{key}\":\"{text}\""), format!("\"{key}\": \"{text}\"")];
        let [compact, spaced] = spellings.map(Expr::val);
        let key = || Expr::val(format!("\"{key}\""));
        // cheap conditions first: most rows fail one of them
        let sql = match self {
            Dialect::MySql => {
                "(LOCATE(?, CAST(? AS BINARY)) > 0 OR LOCATE(?, CAST(? AS BINARY)) > 0) AND LEFT(?, 1) = '{' \
                 AND LOCATE('{', ?, 2) = 0 AND LOCATE('[', ?) = 0 AND LOCATE('\\\\', ?) = 0 \
                 AND LENGTH(?) - LENGTH(REPLACE(?, ?, '')) = LENGTH(?) AND JSON_VALID(?) = 1"
            }
            Dialect::Sqlite => {
                "(INSTR(?, ?) > 0 OR INSTR(?, ?) > 0) AND SUBSTR(?, 1, 1) = '{' \
                 AND INSTR(SUBSTR(?, 2), '{') = 0 AND INSTR(?, '[') = 0 AND INSTR(?, '\\') = 0 \
                 AND LENGTH(?) - LENGTH(REPLACE(?, ?, '')) = LENGTH(?) AND JSON_VALID(?) = 1"
            }
        };
        let spelled = match self {
            Dialect::MySql => [compact, column(), spaced, column()],
            Dialect::Sqlite => [column(), compact, column(), spaced],
        };
        let rest = [column(), column(), column(), column(), column(), column(), key(), key(), column()];
        Expr::cust_with_exprs(sql, spelled.into_iter().chain(rest))
    }

    /// Whether the schedule of a job certainly says `"status": "completed"`: as [`Dialect::flat_json_has`], in words that an
    /// index takes. It is stored with the tables, so it never changes.
    pub(crate) fn certainly_completed(self) -> &'static str {
        match self {
            // 5C: a backslash, which servers write in two ways
            Dialect::MySql => {
                "CASE WHEN (LOCATE('\"status\":\"completed\"', CAST(schedule AS BINARY)) > 0 \
                 OR LOCATE('\"status\": \"completed\"', CAST(schedule AS BINARY)) > 0) \
                 AND LEFT(schedule, 1) = '{' AND LOCATE('{', schedule, 2) = 0 AND LOCATE('[', schedule) = 0 \
                 AND LOCATE(x'5C', CAST(schedule AS BINARY)) = 0 \
                 AND LENGTH(schedule) - LENGTH(REPLACE(schedule, '\"status\"', '')) = 8 \
                 AND JSON_VALID(schedule) = 1 THEN 1 ELSE 0 END"
            }
            Dialect::Sqlite => {
                "((INSTR(schedule, '\"status\":\"completed\"') > 0 \
                 OR INSTR(schedule, '\"status\": \"completed\"') > 0) \
                 AND SUBSTR(schedule, 1, 1) = '{' AND INSTR(SUBSTR(schedule, 2), '{') = 0 \
                 AND INSTR(schedule, '[') = 0 AND INSTR(schedule, char(92)) = 0 \
                 AND LENGTH(schedule) - LENGTH(REPLACE(schedule, '\"status\"', '')) = 8 \
                 AND JSON_VALID(schedule) = 1)"
            }
        }
    }

    /// True for every job but those that are [certainly completed](Dialect::certainly_completed), in the words of the
    /// index `fz_jobs_poll`.
    pub(crate) fn not_completed(self) -> String {
        match self {
            Dialect::MySql => "fz_completed = 0".to_owned(),
            Dialect::Sqlite => format!("{} IS NOT 1", self.certainly_completed()),
        }
    }

    /// Whether the terms of an action are those of an earlier state of its row, in the words of the index
    /// `fz_actions_stale`. Such an action is always looked at.
    pub(crate) fn has_stale_terms(self) -> &'static str {
        match self {
            Dialect::MySql => "fz_terms_stale = 1",
            Dialect::Sqlite => "fz_terms_crc IS NULL",
        }
    }

    /// The checksum of the row of an action as the server computes it, which may store texts in another character set than
    /// this service reads; NULL on SQLite. `search/action_terms.rs` computes the same. It is stored with the tables, so it
    /// never changes.
    pub(crate) fn crc_of_action(self) -> &'static str {
        match self {
            Dialect::MySql => {
                "CRC32(CONCAT_WS(x'1F', CAST(id AS BINARY), IFNULL(CAST(project_id AS BINARY), x'18'), \
                 CAST(action AS BINARY), IFNULL(CAST(actionmode AS BINARY), x'18'), \
                 IFNULL(CAST(path_to_backup AS BINARY), x'18'), IFNULL(CAST(backup_name AS BINARY), x'18'), \
                 IFNULL(CAST(container AS BINARY), x'18'), IFNULL(CAST(log_file AS BINARY), x'18'), \
                 IFNULL(CAST(timeout AS BINARY), x'18'), IFNULL(CAST(priority AS BINARY), x'18'), \
                 IFNULL(CAST(max_retries AS BINARY), x'18'), IFNULL(CAST(max_retries_interval AS BINARY), x'18'), \
                 IFNULL(CAST(mandatory AS BINARY), x'18'), IFNULL(CAST(backup_metadata AS BINARY), x'18')))"
            }
            Dialect::Sqlite => "NULL",
        }
    }

    /// Whether a job's schedule may have keys beside [`SCHEDULE_KEYS`](crate::search::action_terms::SCHEDULE_KEYS), in the
    /// words of the index `fz_jobs_unusual`.
    pub(crate) fn is_unusual(self) -> String {
        match self {
            Dialect::MySql => "fz_unusual = 1".to_owned(),
            Dialect::Sqlite => format!("{} IS NOT 1", self.has_usual_schedule()),
        }
    }

    /// Whether a schedule certainly is a JSON object without objects, lists, escapes or keys beside the usual ones. In such
    /// an object a quotation mark in front of a colon always ends a key. It is stored with the tables, so it never changes.
    pub(crate) fn has_usual_schedule(self) -> String {
        let mut rest = match self {
            Dialect::MySql => "CAST(schedule AS BINARY)".to_owned(),
            Dialect::Sqlite => "schedule".to_owned(),
        };
        for key in SCHEDULE_KEYS {
            rest = format!("REPLACE({rest}, '\"{key}\":', '')");
        }
        match self {
            // 5C: a backslash, 22: a quotation mark; servers write some of these in two ways
            Dialect::MySql => format!(
                "schedule IS NULL OR LEFT(schedule, 1) = '{{' AND LOCATE('{{', schedule, 2) = 0 \
                 AND LOCATE('[', schedule) = 0 AND LOCATE(x'5C', CAST(schedule AS BINARY)) = 0 \
                 AND LOCATE(x'2220', CAST(schedule AS BINARY)) = 0 AND LOCATE(x'2209', CAST(schedule AS BINARY)) = 0 \
                 AND LOCATE(x'220A', CAST(schedule AS BINARY)) = 0 AND LOCATE(x'220D', CAST(schedule AS BINARY)) = 0 \
                 AND LOCATE(x'223A', {rest}) = 0 AND JSON_VALID(schedule) = 1"
            ),
            Dialect::Sqlite => format!(
                "(schedule IS NULL OR SUBSTR(schedule, 1, 1) = '{{' AND INSTR(SUBSTR(schedule, 2), '{{') = 0 \
                 AND INSTR(schedule, '[') = 0 AND INSTR(schedule, char(92)) = 0 \
                 AND INSTR(schedule, char(34, 32)) = 0 AND INSTR(schedule, char(34, 9)) = 0 \
                 AND INSTR(schedule, char(34, 10)) = 0 AND INSTR(schedule, char(34, 13)) = 0 \
                 AND INSTR({rest}, char(34, 58)) = 0 AND JSON_VALID(schedule) = 1)"
            ),
        }
    }

    /// A name in this engine's quotes.
    pub(crate) fn quote(self, name: &str) -> String {
        match self {
            Dialect::MySql => format!("`{name}`"),
            Dialect::Sqlite => format!("\"{name}\""),
        }
    }

    /// Names in this engine's quotes, separated by commas.
    pub(crate) fn quote_all(self, names: &[&str]) -> String {
        names.iter().map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// What a column of a kind is declared as; SQLite gets the words that SQLAlchemy writes.
    pub(crate) fn column_type(self, kind: Kind) -> String {
        match (self, kind) {
            (_, Kind::Text(width)) => format!("VARCHAR({width})"),
            (Dialect::MySql, Kind::Document) => "MEDIUMTEXT".to_owned(),
            (Dialect::Sqlite, Kind::Document) => "TEXT".to_owned(),
            (Dialect::MySql, Kind::Int) => "INT".to_owned(),
            (Dialect::Sqlite, Kind::Int) => "INTEGER".to_owned(),
            (Dialect::MySql, Kind::Bool) => "TINYINT(1)".to_owned(),
            (Dialect::Sqlite, Kind::Bool) => "BOOLEAN".to_owned(),
            (_, Kind::DateTime) => "DATETIME".to_owned(),
            (_, Kind::Timestamp) => "TIMESTAMP".to_owned(),
            (_, Kind::Blob) => "BLOB".to_owned(),
        }
    }

    /// Collation of new tables. Named, because the server's default for utf8mb4 would make MySQL 8 and MariaDB
    /// differ, and two tables of one database unjoinable.
    pub(crate) fn new_collation(self) -> &'static str {
        match self {
            Dialect::MySql => "utf8mb4_general_ci",
            Dialect::Sqlite => "",
        }
    }

    /// What follows a table's columns. The row format is named, because indexes of wide texts need it and a server's default
    /// may be another one.
    pub(crate) fn table_options(self, collation: &str) -> String {
        match self {
            Dialect::MySql => {
                let charset = collation.split('_').next().unwrap_or("utf8mb4");
                format!(" ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET={charset} COLLATE={collation}")
            }
            Dialect::Sqlite => String::new(),
        }
    }

    /// A secondary index; `columns` are quoted. MySQL has no IF NOT EXISTS here, so its caller looks first.
    pub(crate) fn create_index(self, name: &str, table: &str, columns: &str) -> String {
        let guard = match self {
            Dialect::MySql => "",
            Dialect::Sqlite => "IF NOT EXISTS ",
        };
        format!("CREATE INDEX {guard}{} ON {} ({columns})", self.quote(name), self.quote(table))
    }

    /// The database's own time, in seconds since 1970: one clock for all who look at the same row.
    pub(crate) fn now_seconds(self) -> &'static str {
        match self {
            Dialect::MySql => "UNIX_TIMESTAMP()",
            Dialect::Sqlite => "CAST(strftime('%s', 'now') AS INTEGER)",
        }
    }
}
