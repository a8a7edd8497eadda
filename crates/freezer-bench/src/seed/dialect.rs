//! The differences between the SQL of MariaDB (MySQL) and SQLite that a seed needs.

use time::OffsetDateTime;
use time::macros::format_description;

/// 2025-01-01 00:00:00 UTC, the creation time of row 0. Row n was created n seconds later.
pub const EPOCH: u64 = 1_735_689_600;

/// The dialect of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedDialect {
    /// MariaDB and MySQL.
    MySql,
    /// SQLite.
    Sqlite,
}

impl SeedDialect {
    /// Returns a text literal.
    pub fn text(self, value: &str) -> String {
        let value = value.replace('\'', "''");
        match self {
            SeedDialect::MySql => format!("'{}'", value.replace('\\', "\\\\")),
            SeedDialect::Sqlite => format!("'{value}'"),
        }
    }

    /// Returns the creation time of row `number` as a literal. SQLAlchemy's type for SQLite writes six decimal places.
    pub fn created_at(self, number: u64) -> String {
        let seconds = i64::try_from(EPOCH + number).unwrap_or(i64::MAX);
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let text =
            OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&format).ok());
        let text = text.unwrap_or_else(|| "2025-01-01 00:00:00".to_owned());
        match self {
            SeedDialect::MySql => format!("'{text}'"),
            SeedDialect::Sqlite => format!("'{text}.000000'"),
        }
    }

    /// Returns the first statements.
    pub fn begin(self) -> &'static str {
        match self {
            // These checks take time and find nothing, because this program creates the ids.
            SeedDialect::MySql => {
                "SET SESSION sql_mode = 'TRADITIONAL', unique_checks = 0, foreign_key_checks = 0;\n\
                 START TRANSACTION;"
            }
            SeedDialect::Sqlite => "BEGIN IMMEDIATE;",
        }
    }

    /// Returns the last statements. They update the statistics of the optimizer, which the server would do at an unknown time.
    pub fn end(self) -> &'static str {
        match self {
            SeedDialect::MySql => {
                "COMMIT;\nANALYZE TABLE clients, actions, action_reports, jobs, job_actions, sessions, backups;"
            }
            SeedDialect::Sqlite => "COMMIT;\nANALYZE;",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        assert_eq!(SeedDialect::MySql.text(r"it's a \ path"), r"'it''s a \\ path'");
        assert_eq!(SeedDialect::Sqlite.text(r"it's a \ path"), r"'it''s a \ path'");
    }

    #[test]
    fn rows_are_a_second_apart() {
        assert_eq!(SeedDialect::MySql.created_at(0), "'2025-01-01 00:00:00'");
        assert_eq!(SeedDialect::Sqlite.created_at(86_401), "'2025-01-02 00:00:01.000000'");
    }
}
