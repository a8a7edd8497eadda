//! All differences between the engines.
//!
//! Statements are built once with sea-query. This file renders them as text and values for one engine, and
//! contains the expressions that differ.

use sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt};
use sea_query::{Expr, IntoColumnRef, MysqlQueryBuilder, SelectStatement, SimpleExpr, SqliteQueryBuilder};
use sea_query_sqlx::{SqlxBinder, SqlxValues};

use crate::clock::Timestamp;
use crate::schema::ColumnKind;
use crate::search::action_terms::SCHEDULE_KEYS;
use crate::tables::Backups;

/// The engine of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MySQL, MariaDB, Galera.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Renders a statement as text and values for this engine.
    pub(crate) fn build(self, statement: &impl SqlxBinder) -> (String, SqlxValues) {
        match self {
            Dialect::MySql => statement.build_sqlx(MysqlQueryBuilder),
            Dialect::Sqlite => statement.build_sqlx(SqliteQueryBuilder),
        }
    }

    /// Returns the statement that starts a write transaction. On SQLite it takes the write lock at once,
    /// because a later upgrade of a read lock fails with BUSY instead of waiting. The write lock also
    /// replaces row locks.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Dialect::MySql => "BEGIN",
            Dialect::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// Formats a point in time like the Python service: MySQL stores whole seconds, and SQLAlchemy's type for
    /// SQLite writes six decimal places.
    pub(crate) fn datetime(self, at: Timestamp) -> String {
        match self {
            Dialect::MySql => at.to_sql(),
            Dialect::Sqlite => format!("{}.000000", at.to_sql()),
        }
    }

    /// Returns a condition: the text column contains a piece of ASCII text, compared byte by byte.
    pub(crate) fn holds(self, column: impl IntoColumnRef, piece: &str) -> SimpleExpr {
        match self {
            // Comparing bytes is three times as fast as comparing characters, with the same result for ASCII
            // in any character set.
            Dialect::MySql => Expr::cust_with_exprs(
                "LOCATE(?, CAST(? AS BINARY)) > 0",
                [Expr::val(piece), Expr::col(column)],
            ),
            Dialect::Sqlite => {
                Expr::cust_with_exprs("INSTR(?, ?) > 0", [Expr::col(column), Expr::val(piece)])
            }
        }
    }

    /// Returns a condition: the text column may contain a piece of lower-case ASCII in upper or lower case.
    /// It is also true if the column has non-ASCII characters, because the lower case of some is an ASCII
    /// letter.
    pub(crate) fn may_contain(self, column: impl IntoColumnRef + Copy, lowercase: &str) -> SimpleExpr {
        let (column, piece) = (|| Expr::col(column), Expr::val(lowercase));
        match self {
            // Latin-1 has one byte for each character, so the search is several times as fast as in UTF-8.
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

    /// Returns the column with the search terms. It is NULL if the terms are outdated. MySQL uses a generated
    /// column for this. SQLite has no checksums, so a trigger resets the column that was written.
    pub(crate) fn searched_terms(self) -> Backups {
        match self {
            Dialect::MySql => Backups::FzSearchIndex,
            Dialect::Sqlite => Backups::FzSearchTerms,
        }
    }

    /// Returns a condition: the document may have a term, because its terms include it or are unknown.
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

    /// Makes a query read its first table along an index. Without this hint, MariaDB reads along the same index
    /// as a range and compares each entry with the end of the range, which costs a third of a search by terms.
    pub(crate) fn read_along(self, select: &mut SelectStatement, index: &'static str) {
        if self == Dialect::MySql {
            select.force_index(index, IndexHintScope::All);
        }
    }

    /// Returns the column with the search time. It is NULL as in [`Dialect::searched_terms`].
    pub(crate) fn searched_time(self) -> Backups {
        match self {
            Dialect::MySql => Backups::FzTimeIndex,
            Dialect::Sqlite => Backups::FzTime,
        }
    }

    /// Returns a condition: the terms or the time of a backup were not computed from its present metadata. A
    /// backup without terms can have computed terms, because it may have too many of them.
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

    /// Returns the checksum of a backup's metadata, computed by the server, whose character set may differ
    /// from ours. NULL if there is none.
    pub(crate) fn crc_of_metadata(self) -> SimpleExpr {
        Expr::cust(match self {
            Dialect::MySql => "CAST(CRC32(backup_metadata) AS SIGNED)",
            Dialect::Sqlite => "NULL",
        })
    }

    /// Returns a condition: the text column differs from this ASCII text, byte by byte. NULL for NULL.
    pub(crate) fn differs(self, column: impl IntoColumnRef, text: &str) -> SimpleExpr {
        match self {
            Dialect::MySql => Expr::cust_with_exprs(
                "CAST(? AS BINARY) <> CAST(? AS BINARY)",
                [Expr::col(column), Expr::val(text)],
            ),
            Dialect::Sqlite => Expr::cust_with_exprs("? <> ?", [Expr::col(column), Expr::val(text)]),
        }
    }

    /// Returns a condition that is only true if a text column contains a JSON object without objects, lists
    /// or escapes in it, and the object contains the key once, with the text as its value. Key and text must
    /// need no escapes in JSON.
    ///
    /// In such an object every quotation mark begins or ends a string, so `"key":"text"` is always a member.
    /// The two spellings are those of this service and of the Python service.
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
        // Cheap conditions come first, because most rows fail one of them.
        let sql = match self {
            // 5C is a backslash, which servers write in two ways.
            Dialect::MySql => {
                "(LOCATE(?, CAST(? AS BINARY)) > 0 OR LOCATE(?, CAST(? AS BINARY)) > 0) AND LEFT(?, 1) = '{' \
                 AND LOCATE('{', ?, 2) = 0 AND LOCATE('[', ?) = 0 AND LOCATE(x'5C', CAST(? AS BINARY)) = 0 \
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

    /// Returns a condition: the schedule of a job certainly contains `"status": "completed"`. It equals
    /// [`Dialect::flat_json_has`] in a form that an index accepts. It is stored with the tables, so it must
    /// never change.
    pub(crate) fn certainly_completed(self) -> &'static str {
        match self {
            // 5C is a backslash, which servers write in two ways.
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

    /// Returns a condition that is true unless the job is [certainly
    /// completed](Dialect::certainly_completed), in the form of the index `fz_jobs_poll`.
    pub(crate) fn not_completed(self) -> String {
        match self {
            Dialect::MySql => "fz_completed = 0".to_owned(),
            Dialect::Sqlite => format!("{} IS NOT 1", self.certainly_completed()),
        }
    }

    /// Returns a condition: the terms of an action are outdated, in the form of the index `fz_actions_stale`.
    /// Searches always read such an action.
    pub(crate) fn has_stale_terms(self) -> &'static str {
        match self {
            Dialect::MySql => "fz_terms_stale = 1",
            Dialect::Sqlite => "fz_terms_crc IS NULL",
        }
    }

    /// Returns the checksum of an action's row, computed by the server, whose character set may differ from
    /// ours. NULL on SQLite. `search/action_terms.rs` computes the same value. It is stored with the tables,
    /// so it must never change.
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

    /// Returns an expression for `search::action_terms::number` of two columns. None on SQLite, which has no checksums.
    pub(crate) fn crc_of_ids(self, project: &str, action: &str) -> Option<String> {
        let utf8 = |column: &str| format!("CONVERT(COALESCE({column}, '') USING utf8mb4)");
        (self == Dialect::MySql).then(|| format!("CRC32(CONCAT({}, x'1F', {}))", utf8(project), utf8(action)))
    }

    /// Returns the statement that begins a transaction which sees one state of the database.
    pub(crate) fn begin_snapshot(self) -> &'static str {
        if self == Dialect::MySql { "START TRANSACTION WITH CONSISTENT SNAPSHOT" } else { "BEGIN" }
    }

    /// Returns a condition: no action lists a row of `fz_action_terms`.
    pub(crate) fn is_surplus_term(self) -> String {
        let is_listed = match self {
            Dialect::MySql => "LOCATE(UNHEX(LPAD(HEX(fz_action_terms.term), 16, '0')), actions.fz_terms)",
            Dialect::Sqlite => "INSTR(actions.fz_terms, UNHEX(PRINTF('%016X', fz_action_terms.term)))",
        };
        format!(
            "NOT EXISTS (SELECT 1 FROM actions WHERE actions.id = fz_action_terms.action_id \
             AND COALESCE(actions.project_id, '') = fz_action_terms.project_id AND {is_listed} > 0)"
        )
    }

    /// Returns a condition: the schedule of a job may have keys other than
    /// [`SCHEDULE_KEYS`](crate::search::action_terms::SCHEDULE_KEYS), in the form of the index
    /// `fz_jobs_unusual`.
    pub(crate) fn is_unusual(self) -> String {
        match self {
            Dialect::MySql => "fz_unusual = 1".to_owned(),
            Dialect::Sqlite => format!("{} IS NOT 1", self.has_usual_schedule()),
        }
    }

    /// Returns a condition: the schedule certainly is a JSON object without objects, lists, escapes or
    /// unusual keys. In such an object a quotation mark before a colon always ends a key. It is stored with
    /// the tables, so it must never change.
    pub(crate) fn has_usual_schedule(self) -> String {
        let mut rest = match self {
            Dialect::MySql => "CAST(schedule AS BINARY)".to_owned(),
            Dialect::Sqlite => "schedule".to_owned(),
        };
        for key in SCHEDULE_KEYS {
            rest = format!("REPLACE({rest}, '\"{key}\":', '')");
        }
        match self {
            // 5C is a backslash and 22 a quotation mark. Servers write some of these in two ways.
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

    /// Quotes a name for this engine.
    pub(crate) fn quote(self, name: &str) -> String {
        match self {
            Dialect::MySql => format!("`{name}`"),
            Dialect::Sqlite => format!("\"{name}\""),
        }
    }

    /// Quotes names for this engine, separated by commas.
    pub(crate) fn quote_all(self, names: &[&str]) -> String {
        names.iter().map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// Returns the declaration of a column type. SQLite gets the type names of SQLAlchemy.
    pub(crate) fn column_type(self, kind: ColumnKind) -> String {
        match (self, kind) {
            (_, ColumnKind::Text(width)) => format!("VARCHAR({width})"),
            (Dialect::MySql, ColumnKind::Document) => "MEDIUMTEXT".to_owned(),
            (Dialect::Sqlite, ColumnKind::Document) => "TEXT".to_owned(),
            (Dialect::MySql, ColumnKind::Int) => "INT".to_owned(),
            (Dialect::Sqlite, ColumnKind::Int) => "INTEGER".to_owned(),
            (Dialect::MySql, ColumnKind::Bool) => "TINYINT(1)".to_owned(),
            (Dialect::Sqlite, ColumnKind::Bool) => "BOOLEAN".to_owned(),
            (_, ColumnKind::DateTime) => "DATETIME".to_owned(),
            (_, ColumnKind::Timestamp) => "TIMESTAMP".to_owned(),
            (_, ColumnKind::Blob) => "BLOB".to_owned(),
        }
    }

    /// Returns the collation of new tables. It is explicit, because the server's default for utf8mb4 differs
    /// between MySQL 8 and MariaDB, and tables with different collations cannot be joined.
    pub(crate) fn new_collation(self) -> &'static str {
        match self {
            Dialect::MySql => "utf8mb4_general_ci",
            Dialect::Sqlite => "",
        }
    }

    /// Returns the options after a table's columns. The row format is explicit, because indexes of wide texts
    /// need it and the server's default may differ.
    pub(crate) fn table_options(self, collation: &str) -> String {
        match self {
            Dialect::MySql => {
                let charset = collation.split('_').next().unwrap_or("utf8mb4");
                format!(" ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET={charset} COLLATE={collation}")
            }
            Dialect::Sqlite => String::new(),
        }
    }

    /// Returns the statement that creates a secondary index. `columns` are quoted. MySQL has no IF NOT EXISTS
    /// here, so the caller must check first.
    pub(crate) fn create_index(self, name: &str, table: &str, columns: &str) -> String {
        let guard = match self {
            Dialect::MySql => "",
            Dialect::Sqlite => "IF NOT EXISTS ",
        };
        format!("CREATE INDEX {guard}{} ON {} ({columns})", self.quote(name), self.quote(table))
    }

    /// Returns the database's time in seconds since 1970. All processes that read the same row use this
    /// clock.
    pub(crate) fn now_seconds(self) -> &'static str {
        match self {
            Dialect::MySql => "UNIX_TIMESTAMP()",
            Dialect::Sqlite => "CAST(strftime('%s', 'now') AS INTEGER)",
        }
    }
}
