//! How SQL texts differ between MariaDB (MySQL) and SQLite, as far as a seed needs it.

use time::OffsetDateTime;
use time::macros::format_description;

/// 2025-01-01 00:00:00 UTC, when everything begins; row n is n seconds younger.
pub const EPOCH: u64 = 1_735_689_600;

/// Whose SQL is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MariaDB and MySQL.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// A text literal.
    pub fn text(self, value: &str) -> String {
        let value = value.replace('\'', "''");
        match self {
            Dialect::MySql => format!("'{}'", value.replace('\\', "\\\\")),
            Dialect::Sqlite => format!("'{value}'"),
        }
    }

    /// When row `number` was created, as a literal. SQLAlchemy's type for SQLite writes six digits behind the point.
    pub fn created_at(self, number: u64) -> String {
        let seconds = i64::try_from(EPOCH + number).unwrap_or(i64::MAX);
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let text =
            OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&format).ok());
        let text = text.unwrap_or_else(|| "2025-01-01 00:00:00".to_owned());
        match self {
            Dialect::MySql => format!("'{text}'"),
            Dialect::Sqlite => format!("'{text}.000000'"),
        }
    }

    /// The first statements.
    pub fn begin(self) -> &'static str {
        match self {
            // checks that cost time and find nothing: the ids are ours
            Dialect::MySql => {
                "SET SESSION sql_mode = 'TRADITIONAL', unique_checks = 0, foreign_key_checks = 0;\n\
                 START TRANSACTION;"
            }
            Dialect::Sqlite => "BEGIN IMMEDIATE;",
        }
    }

    /// The last statements: the optimizer's figures must not depend on how soon the server renews them.
    pub fn end(self) -> &'static str {
        match self {
            Dialect::MySql => {
                "COMMIT;\nANALYZE TABLE clients, actions, action_reports, jobs, job_actions, sessions, backups;"
            }
            Dialect::Sqlite => "COMMIT;\nANALYZE;",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        assert_eq!(Dialect::MySql.text(r"it's a \ path"), r"'it''s a \\ path'");
        assert_eq!(Dialect::Sqlite.text(r"it's a \ path"), r"'it''s a \ path'");
    }

    #[test]
    fn rows_are_a_second_apart() {
        assert_eq!(Dialect::MySql.created_at(0), "'2025-01-01 00:00:00'");
        assert_eq!(Dialect::Sqlite.created_at(86_401), "'2025-01-02 00:00:01.000000'");
    }
}
