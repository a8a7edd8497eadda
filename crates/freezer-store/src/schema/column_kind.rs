//! The types of columns, without the differences between engines, which `dialect.rs` has.

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// VARCHAR with this number of characters.
    Text(u16),
    /// JSON text of any size up to 16 MiB.
    Document,
    /// INT, 32 bits, signed.
    Int,
    /// BOOLEAN: 0 or 1.
    Bool,
    /// DATETIME, UTC, whole seconds.
    DateTime,
    /// TIMESTAMP.
    Timestamp,
    /// BLOB.
    Blob,
}
