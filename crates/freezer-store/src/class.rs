//! The classes of database errors. `codes.rs` has the class of each code, and `tx.rs` decides how to handle it.

use std::fmt;

/// The class of an error, which decides about another run of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The database does not work at present.
    Outage(Outage),
    /// A unique key was violated.
    Duplicate,
    /// A value does not fit its column.
    Unstorable(Unstorable),
    /// The database lacks a table, column or index, has columns that can no longer be compared, or does not
    /// exist any more. It was replaced or is being restored.
    Replaced,
    /// All other errors.
    Other,
}

/// The reason why the database does not work at present, and whether another run can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The server rolled the change back, for example after a deadlock. Run it again.
    Contended,
    /// Another process holds the lock of the SQLite file. Run it again on the same connection.
    Locked,
    /// The server refused the statement without storing anything. Run it again on another connection.
    Refusing,
    /// The connection is broken or the server is down. Run it again on another connection. A change may have
    /// been stored.
    Away,
    /// The disk is full, or files are read-only. The database has stored nothing. Only the operator can help.
    Full,
    /// Files are damaged, or cannot be read or written. A change may have been stored. Only the operator can help.
    Storage,
    /// A statement exceeded its time limit.
    Slow,
    /// The account lacks a privilege. Only the operator can help.
    Denied,
    /// A trigger uses a column that does not exist. The tables themselves may be right. Only the operator can help.
    Trigger,
    /// No connection became available in time.
    Busy,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outage::Contended => "other changes to the same rows did not end",
            Outage::Locked => "another process holds the lock of the database file",
            Outage::Refusing | Outage::Away => "the database is not available",
            Outage::Full => {
                "the database can store nothing, and has stored nothing; check the free space and the permissions of its files"
            }
            Outage::Storage => {
                "the database cannot store or read its files; check the free space, the permissions and the log of the \
                 database"
            }
            Outage::Slow => "the statement took too long",
            Outage::Denied => {
                "the account of [database] connection lacks a privilege; grant it all privileges on the database"
            }
            Outage::Trigger => {
                "a trigger of the table uses a column that does not exist, so nothing was stored; find it with: freezer-manage \
                 db check"
            }
            Outage::Busy => "no connection became free; see max_pool_size and max_overflow",
        })
    }
}

/// The reason why a value does not fit a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstorable {
    /// The value is longer than the column.
    TooLong,
    /// The statement is larger than `max_allowed_packet` of the server.
    PacketTooLarge,
    /// The character set of the column (utf8mb3) does not have a character of the value.
    CharacterSet,
    /// The value is a number outside the column's range, or not a number.
    OutOfRange,
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unstorable::TooLong => "the value is longer than the column",
            Unstorable::PacketTooLarge => {
                "the document is larger than the database server accepts; its operator can raise max_allowed_packet"
            }
            Unstorable::CharacterSet => {
                "the value has a character (such as an emoji) that the column's character set cannot hold"
            }
            Unstorable::OutOfRange => "the value is outside the column's range",
        })
    }
}
