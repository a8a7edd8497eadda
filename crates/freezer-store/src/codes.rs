//! The meaning of the error codes of MariaDB, MySQL, Galera, their proxies and SQLite: one table with a row
//! for each code.
//!
//! A code without a row is a defect of the service or of the installation ([`Class::Other`]). `tx.rs` decides
//! how to handle each class. [ADR 13](../../../docs/adr/0013-one-deadline-one-table-of-errors.md) explains
//! why there is one table. Sources: the error code references of MariaDB and MySQL, and
//! <https://www.sqlite.org/rescode.html>.

use crate::class::{Class, Outage, Unstorable};

const CONTENDED: Class = Class::Outage(Outage::Contended);
const LOCKED: Class = Class::Outage(Outage::Locked);
const REFUSING: Class = Class::Outage(Outage::Refusing);
const AWAY: Class = Class::Outage(Outage::Away);
const FULL: Class = Class::Outage(Outage::Full);
const STORAGE: Class = Class::Outage(Outage::Storage);
const SLOW: Class = Class::Outage(Outage::Slow);
const DENIED: Class = Class::Outage(Outage::Denied);

/// Codes of servers with the protocol of MySQL.
#[rustfmt::skip]
const SERVER: &[(u16, Class, &str)] = &[
    // The server rolled the transaction back. It may run again at once.
    (1020, CONTENDED, "a row has changed since the transaction began (MariaDB 11.6)"),
    (1205, CONTENDED, "lock wait timeout; on Galera also a node that does not catch up"),
    (1206, CONTENDED, "the table of locks is full"),
    (1213, CONTENDED, "deadlock; on Galera also a failed certification"),
    (1412, CONTENDED, "the definition of a table changed during the transaction"),
    (1614, CONTENDED, "deadlock in an XA transaction"),
    (1637, CONTENDED, "too many concurrent transactions"),
    (3101, CONTENDED, "group replication rolled the transaction back"),
    (3572, CONTENDED, "a lock was not to be had at once"),
    // The server answered without storing anything. It may serve another connection, or this one later.
    (1040, REFUSING, "too many connections"),
    (1041, REFUSING, "out of memory"),
    (1042, REFUSING, "the server cannot resolve the address of the client"),
    (1043, REFUSING, "bad handshake: a proxy without a server"),
    (1047, REFUSING, "the Galera node is not ready"),
    (1129, REFUSING, "the host is blocked after many connection errors"),
    (1135, REFUSING, "the server cannot create a thread"),
    (1203, REFUSING, "the user has too many connections"),
    (1226, REFUSING, "the user has exceeded a resource limit"),
    (1243, REFUSING, "a proxy lost a prepared statement"),
    (1290, REFUSING, "read-only: a failover left us at a replica"),
    (1461, REFUSING, "too many prepared statements"),
    (1615, REFUSING, "a prepared statement must be prepared again"),
    (1792, REFUSING, "read-only transaction"),
    (1836, REFUSING, "read-only mode"),
    (3032, REFUSING, "the server is in offline mode"),
    (3168, REFUSING, "the server is not available"),
    (9001, REFUSING, "ProxySQL reached no server in time"),
    // The connection is broken or the server is down, possibly after the change was stored.
    (1028, AWAY, "a sort was aborted"),
    (1053, AWAY, "the server is shutting down"),
    (1080, AWAY, "forced close of a thread"),
    (1152, AWAY, "aborted connection"),
    (1158, AWAY, "network: read error"),
    (1159, AWAY, "network: read timeout"),
    (1160, AWAY, "network: write error"),
    (1161, AWAY, "network: write timeout"),
    (1180, AWAY, "error during COMMIT; on Galera a node that lost the cluster"),
    (1184, AWAY, "aborted connection"),
    (1317, AWAY, "the statement was killed"),
    (1927, AWAY, "the connection was killed"),
    (2002, AWAY, "no connection through the socket"),
    (2003, AWAY, "no connection to the server"),
    (2006, AWAY, "the server has gone away"),
    (2013, AWAY, "the connection was lost during a statement"),
    (2055, AWAY, "the connection was lost"),
    (3100, AWAY, "group replication failed during COMMIT"),
    (4031, AWAY, "disconnected for inactivity"),
    // No space, read-only files or damaged tables. Only the operator can help.
    (1021, FULL, "disk full"),
    (1036, FULL, "a table is read-only"),
    (1114, FULL, "the table is full"),
    (1016, STORAGE, "a table cannot be opened"),
    (1026, STORAGE, "error while writing a file"),
    (1030, STORAGE, "error of the storage engine"),
    (1034, STORAGE, "a table is damaged"),
    (1194, STORAGE, "a table is marked as crashed"),
    (1195, STORAGE, "a table is marked as crashed"),
    (1296, STORAGE, "error of the storage engine"),
    (1932, STORAGE, "a table does not exist in the storage engine"),
    (1969, SLOW, "max_statement_time exceeded (MariaDB)"),
    (3024, SLOW, "max_execution_time exceeded (MySQL)"),
    (1142, DENIED, "the account may not use the table"),
    (1143, DENIED, "the account may not use the column"),
    (1227, DENIED, "the account lacks a privilege"),
    (1370, DENIED, "the account may not run a routine"),
    (1062, Class::Duplicate, "duplicate key"),
    (1046, Class::Replaced, "no database: it was dropped"),
    (1049, Class::Replaced, "no such database"),
    (1054, Class::Replaced, "no such column"),
    (1146, Class::Replaced, "no such table"),
    (1176, Class::Replaced, "no such index"),
    (1253, Class::Replaced, "a collation that does not belong to the character set of a column"),
    (1267, Class::Replaced, "columns of two tables have collations that cannot be compared: a dump was loaded"),
    (1270, Class::Replaced, "the same of three columns"),
    (1271, Class::Replaced, "the same of more columns"),
    (1118, Class::Unstorable(Unstorable::TooLong), "row too large"),
    (1153, Class::Unstorable(Unstorable::PacketTooLarge), "packet larger than max_allowed_packet"),
    (1406, Class::Unstorable(Unstorable::TooLong), "longer than the column"),
    (1366, Class::Unstorable(Unstorable::CharacterSet), "a character that the column cannot hold"),
    (3988, Class::Unstorable(Unstorable::CharacterSet), "the same of MySQL, which names no column"),
    (1264, Class::Unstorable(Unstorable::OutOfRange), "out of range"),
    (1265, Class::Unstorable(Unstorable::OutOfRange), "truncated"),
    (1292, Class::Unstorable(Unstorable::OutOfRange), "not a value of the type"),
];

/// Result codes of SQLite: extended codes whose class differs from that of their primary code, then primary
/// codes.
#[rustfmt::skip]
const SQLITE: &[(i32, Class, &str)] = &[
    (517, CONTENDED, "BUSY_SNAPSHOT: another writer came first"),
    (1032, Class::Replaced, "READONLY_DBMOVED: the file was removed or replaced"),
    (1555, Class::Duplicate, "CONSTRAINT_PRIMARYKEY"),
    (2067, Class::Duplicate, "CONSTRAINT_UNIQUE"),
    (5, LOCKED, "BUSY: another process holds the lock"),
    (6, CONTENDED, "LOCKED: another statement of this process"),
    (7, STORAGE, "NOMEM"),
    (8, FULL, "READONLY"),
    (9, SLOW, "INTERRUPT"),
    (10, STORAGE, "IOERR"),
    (11, STORAGE, "CORRUPT"),
    (13, FULL, "FULL: SQLite undoes the statement or the transaction"),
    (14, STORAGE, "CANTOPEN"),
    (15, LOCKED, "PROTOCOL: the locks of the file are contended"),
    (18, Class::Unstorable(Unstorable::TooLong), "TOOBIG"),
    (26, STORAGE, "NOTADB"),
];

/// Returns the class of a server's code.
pub(crate) fn of_server(code: u16) -> Class {
    SERVER.iter().find(|(known, ..)| *known == code).map_or(Class::Other, |(_, class, _)| *class)
}

/// Returns the class of a result code of SQLite. Extended codes are their primary code plus a multiple of
/// 256.
pub(crate) fn of_sqlite(code: i32) -> Class {
    let find = |wanted| SQLITE.iter().find(|(known, ..)| *known == wanted);
    find(code).or_else(|| find(code & 0xff)).map_or(Class::Other, |(_, class, _)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_row() {
        for (at, (code, class, text)) in SERVER.iter().enumerate() {
            assert_eq!(of_server(*code), *class, "{code} {text}");
            assert!(SERVER[..at].iter().all(|(before, ..)| before != code), "{code} has two rows");
        }
        for (at, (code, class, text)) in SQLITE.iter().enumerate() {
            assert_eq!(of_sqlite(*code), *class, "{code} {text}");
            assert!(SQLITE[..at].iter().all(|(before, ..)| before != code), "{code} has two rows");
        }
    }

    /// The list is repeated here, so that the test detects a row that was moved by mistake.
    #[test]
    fn codes_of_servers_have_their_classes() {
        for (class, codes) in [
            (CONTENDED, &[1205, 1213, 3101][..]),
            (REFUSING, &[1040, 1047, 1129, 1203, 1226, 1290, 1836, 3032]),
            (AWAY, &[1053, 1180, 1317, 1927, 2006, 2013, 4031]),
            (FULL, &[1021, 1036, 1114]),
            (STORAGE, &[1026, 1030]),
            (SLOW, &[1969, 3024]),
            (DENIED, &[1142, 1227]),
            (Class::Duplicate, &[1062]),
            (Class::Replaced, &[1049, 1054, 1146, 1253, 1267, 1270, 1271]),
            (Class::Other, &[1064, 1210]),
        ] {
            for code in codes {
                assert_eq!(of_server(*code), class, "{code}");
            }
        }
    }

    #[test]
    fn extended_codes_of_sqlite_have_the_class_of_their_primary_code() {
        for (class, codes) in [
            // BUSY, BUSY_RECOVERY, BUSY_TIMEOUT
            (LOCKED, &[5, 261, 773][..]),
            // LOCKED, LOCKED_SHAREDCACHE, BUSY_SNAPSHOT
            (CONTENDED, &[6, 262, 517]),
            // READONLY with RECOVERY, CANTLOCK, ROLLBACK, DIRECTORY; FULL
            (FULL, &[8, 264, 520, 776, 1544, 13]),
            // IOERR with READ, WRITE, FSYNC, SHORT_READ; CANTOPEN
            (STORAGE, &[10, 266, 778, 1034, 522, 14, 270, 11, 267, 26]),
            (Class::Replaced, &[1032]),
            (Class::Duplicate, &[1555, 2067]),
            (Class::Other, &[1, 19, 25]),
        ] {
            for code in codes {
                assert_eq!(of_sqlite(*code), class, "{code}");
            }
        }
    }
}
