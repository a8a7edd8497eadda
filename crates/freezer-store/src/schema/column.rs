//! The columns of tables, without the differences between engines, which `dialect.rs` has.

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

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnLayout {
    /// Name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
    /// NOT NULL.
    pub required: bool,
    /// DEFAULT, as SQL text.
    pub default: Option<&'static str>,
}

impl ColumnLayout {
    /// Returns a column that may be NULL.
    pub(crate) const fn optional(name: &'static str, kind: ColumnKind) -> ColumnLayout {
        ColumnLayout { name, kind, required: false, default: None }
    }

    /// Returns a column that is NOT NULL.
    pub(crate) const fn required(name: &'static str, kind: ColumnKind) -> ColumnLayout {
        ColumnLayout { name, kind, required: true, default: None }
    }

    /// Returns the column with a default.
    pub(crate) const fn with_default(self, default: &'static str) -> ColumnLayout {
        ColumnLayout { default: Some(default), ..self }
    }
}
