//! The macro [`table!`], which turns the declaration of a table into its types.
//!
//! For a declaration `"jobs": Jobs => StoredJob { … }` it generates:
//!
//! - `enum Jobs`: the identifiers of the table (`Jobs::Table`) and its columns, for statements.
//! - `Jobs::LAYOUT`: the columns of the table in upstream's order, for migrations and for the limits of validation.
//! - `struct StoredJob`: a field for each column that has one, with [`TableRow::COLUMNS`](super::TableRow::COLUMNS), the
//!   columns to select, and [`FromRow`](crate::row::FromRow), which reads them in the same order.

/// Declares a table: its name, the name of the enum, optionally the name of the struct of a stored row, and the columns.
///
/// A column has an identifier, a name, `required` (NOT NULL) or `optional`, a [`ColumnKind`](crate::schema::ColumnKind),
/// optionally a default value in SQL, and optionally a field of the struct. The first column of a struct is the id.
/// `additions` are columns of this project, which a table may lack, so they are not part of the layout.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $name:literal: $Table:ident => $Row:ident { $($columns:tt)* }
        $(additions { $($additions:tt)* })?
    ) => {
        table! { $(#[$doc])* $name: $Table { $($columns)* } $(additions { $($additions)* })? }
        table! { @row $Table $Row $name { $($columns)* } }
    };
    (
        $(#[$doc:meta])*
        $name:literal: $Table:ident {
            $(
                $Column:ident $column:literal: $null:ident $kind:ident $(($width:literal))? $(default $default:literal)?
                $(=> $field:ident: $type:ty)?,
            )*
        }
        $(additions { $($(#[$note:meta])* $Addition:ident $addition:literal,)* })?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(dead_code, reason = "no statement names every column")]
        pub(crate) enum $Table {
            Table,
            $($Column,)*
            $($($(#[$note])* $Addition,)*)?
        }

        impl crate::tables::Column for $Table {
            const TABLE: &'static str = $name;

            fn name(self) -> &'static str {
                match self {
                    $Table::Table => $name,
                    $($Table::$Column => $column,)*
                    $($($Table::$Addition => $addition,)*)?
                }
            }
        }

        impl $Table {
            /// The columns in upstream's order, without additions.
            pub(crate) const LAYOUT: &'static [crate::schema::ColumnLayout] = &[$(
                crate::schema::ColumnLayout::$null($column, crate::schema::ColumnKind::$kind $(($width))?)
                $(.with_default($default))?,
            )*];
        }

        impl sea_query::Iden for $Table {
            fn quoted(&self) -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(crate::tables::Column::name(*self))
            }

            fn unquoted(&self) -> &str {
                crate::tables::Column::name(*self)
            }
        }
    };
    (@row $Table:ident $Row:ident $name:literal {
        Id $id_name:literal: required Text($id_width:literal) => $id:ident: String,
        $(
            $Column:ident $column:literal: $null:ident $kind:ident $(($width:literal))? $(default $default:literal)?
            $(=> $field:ident: $type:ty)?,
        )*
    }) => {
        #[doc = concat!("The columns of a row of `", $name, "` that are read.")]
        #[derive(Debug)]
        pub(crate) struct $Row {
            pub(crate) $id: String,
            $($(pub(crate) $field: $type,)?)*
        }

        impl $Row {
            /// Returns the position of a column among the columns of the row. The compiler rejects a constant for a column
            /// that is not one of them.
            #[allow(dead_code, reason = "few rows are read in parts")]
            pub(crate) const fn position(column: $Table) -> usize {
                let columns = <$Row as crate::tables::TableRow>::COLUMNS;
                let mut at = 0;
                while columns[at] as usize != column as usize {
                    at += 1;
                }
                at
            }
        }

        impl crate::tables::TableRow for $Row {
            type Column = $Table;
            const COLUMNS: &'static [$Table] =
                &[$Table::Id, $($(table!(@column $Table::$Column, $field),)?)*];

            fn id(&self) -> &str {
                &self.$id
            }
        }

        impl crate::row::FromRow for $Row {
            const COUNT: usize = <$Row as crate::tables::TableRow>::COLUMNS.len();

            fn from_row(row: &mut crate::row::Row, from: usize) -> Result<Self, crate::error::DriverError> {
                let mut next = from + 1;
                Ok($Row {
                    $id: String::from_row(row, from)?,
                    $($($field: {
                        next += 1;
                        <$type as crate::row::FromRow>::from_row(row, next - 1)?
                    },)?)*
                })
            }
        }

        /// A row of an outer join: `None` if there is no such row.
        impl crate::row::FromRow for Option<$Row> {
            const COUNT: usize = <$Row as crate::row::FromRow>::COUNT;

            fn from_row(row: &mut crate::row::Row, from: usize) -> Result<Self, crate::error::DriverError> {
                match row.is_some(from)? {
                    true => <$Row as crate::row::FromRow>::from_row(row, from).map(Some),
                    false => Ok(None),
                }
            }
        }
    };
    (@column $column:expr, $field:ident) => { $column };
}
pub(super) use table;
