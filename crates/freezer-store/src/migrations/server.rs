//! Checks the version of the database server. The tables need generated columns, their catalogue and
//! `JSON_VALID`.

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::SchemaError;

/// The oldest supported MySQL, because of `JSON_VALID` and generated columns.
const MYSQL: Version = Version(5, 7, 8);
/// The oldest supported MariaDB, because of `information_schema.columns.generation_expression`.
const MARIADB: Version = Version(10, 2, 5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

/// Refuses a server that is too old, before an unsupported statement fails.
pub(super) async fn check(db: &mut Db, database: &str) -> Result<(), StoreError> {
    if db.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let rows = db.raw_read::<String>("SELECT CAST(VERSION() AS CHAR)").await?;
    let text = rows.into_iter().next().unwrap_or_default();
    match too_old(&text) {
        Some(needed) => {
            Err(SchemaError::OldServer { database: database.to_owned(), found: text, needed }.into())
        }
        None => Ok(()),
    }
}

/// Returns the required release if this one is older. `None` if it is new enough or unknown.
fn too_old(text: &str) -> Option<String> {
    // Some servers add this prefix for old replication clients.
    let version = text.strip_prefix("5.5.5-").filter(|rest| rest.contains("MariaDB")).unwrap_or(text);
    let is_mariadb = version.to_lowercase().contains("mariadb");
    let (name, needed) = if is_mariadb { ("MariaDB", MARIADB) } else { ("MySQL", MYSQL) };
    let found = parse(version, needed)?;
    let Version(major, minor, patch) = needed;
    (found < needed).then(|| format!("{name} {major}.{minor}.{patch}"))
}

/// Parses a version such as `8.0.36-0ubuntu1`. If the third part is not a number (`5.7.mysql_aurora.2.11.2`), it
/// counts as new enough.
fn parse(text: &str, needed: Version) -> Option<Version> {
    let number = |part: &str| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let mut parts = text.trim().splitn(3, '.');
    let (major, minor) = (number(parts.next()?)?, number(parts.next()?)?);
    Some(Version(major, minor, parts.next().and_then(number).unwrap_or(needed.2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_told_what_is_needed() {
        for old in [
            "5.6.51",
            "5.6.51-log",
            "5.5.62-0ubuntu0.14.04.1",
            "5.7.7-rc-log",
            "5.1.73",
            "4.1.22",
            "5.6.10-aurora",
        ] {
            assert_eq!(too_old(old).as_deref(), Some("MySQL 5.7.8"), "{old}");
        }
        for old in [
            "10.1.48-MariaDB",
            "5.5.68-MariaDB",
            "10.2.4-MariaDB-log",
            "5.5.5-10.0.38-MariaDB-1~xenial",
            "10.1.48-mariadb",
        ] {
            assert_eq!(too_old(old).as_deref(), Some("MariaDB 10.2.5"), "{old}");
        }
    }

    #[test]
    fn newer_and_unknown_servers_are_served() {
        for new in [
            "5.7.8",
            "5.7.44-48-log",
            "8.0.36-0ubuntu0.22.04.1",
            "8.4.0",
            "9.7.0",
            "10.2.5-MariaDB",
            "10.2.44-MariaDB-1:10.2.44+maria~bionic",
            "10.11.19-MariaDB-deb12-log",
            "5.5.5-10.6.4-MariaDB",
            "11.4.2-MariaDB-ubu2404",
            "12.0.1-MariaDB",
            "5.7.mysql_aurora.2.11.2",
            "8.0.11-TiDB-v7.5.0",
            "5.7",
            "",
            "something else",
        ] {
            assert_eq!(too_old(new), None, "{new}");
        }
    }
}
