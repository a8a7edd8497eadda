//! Character sets and collations: all tables whose columns are compared with each other must have the same one.
//!
//! A server refuses to compare columns of one character set if their collations differ (error 1267), and it
//! refuses a foreign key between them (1005). If their character sets differ, it compares them without the index
//! of one of them. Dumps cause such differences: a dump replaces only the tables that it contains, and the
//! default collation of a database may differ from that of its older tables.

use std::fmt;

use super::layout::{Layout, Table};
use super::options::Wishes;
use crate::dialect::Dialect;

/// A table with more rows than this is only converted to utf8mb4 if `--charset` is given, because the conversion
/// rewrites and locks the table.
pub(super) const LARGE_TABLE: u64 = 100_000;

/// A table and a column.
type ColumnPlace = (&'static str, &'static str);

/// Columns that statements of the service, of `db sync` and of `db check` compare.
const COMPARED: [(ColumnPlace, ColumnPlace); 7] = [
    (("job_actions", "job_id"), ("jobs", "id")),
    (("job_actions", "action_id"), ("actions", "id")),
    (("actions", "project_id"), ("jobs", "project_id")),
    (("user_credentials", "job_id"), ("jobs", "id")),
    (("fz_action_terms", "action_id"), ("actions", "id")),
    (("fz_action_terms", "project_id"), ("actions", "project_id")),
    (("clients", "client_id"), ("jobs", "client_id")),
];

/// The tables of [`COMPARED`]. The first one that is utf8mb4 decides the collation of all.
pub(super) const LINKED: [&str; 6] =
    ["jobs", "actions", "clients", "job_actions", "user_credentials", "fz_action_terms"];

/// Tables of [`LINKED`] that have columns in foreign keys.
pub(super) const IN_KEYS: [&str; 3] = ["jobs", "actions", "job_actions"];

/// Two columns that statements compare, and that have different collations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixed {
    /// Table, column and collation of each.
    pub columns: [(&'static str, &'static str, String); 2],
}

impl Mixed {
    /// Returns whether a server refuses to compare the columns. If their character sets differ and one is
    /// Unicode, it converts one of them.
    pub fn is_refused(&self) -> bool {
        let [one, other] = self.columns.each_ref().map(|(.., collation)| charset(collation));
        one == other || ![one, other].iter().any(|charset| charset.starts_with("ut") || *charset == "ucs2")
    }
}

impl fmt::Display for Mixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(table, column, collation), (other_table, other_column, other)] = &self.columns;
        write!(f, "{table}.{column} is {collation}, but {other_table}.{other_column} is {other}")
    }
}

pub(super) fn charset(collation: &str) -> &str {
    collation.split('_').next().unwrap_or_default()
}

/// Finds the columns of [`COMPARED`] whose collations differ.
pub(super) fn mixed(layout: &Layout) -> Vec<Mixed> {
    let place = |(table, column): ColumnPlace| {
        let collation = layout.table(table)?.column(column)?.collation.clone();
        // A column of bytes can be compared with any other.
        (!collation.is_empty()).then_some((table, column, collation))
    };
    let pairs = COMPARED.into_iter().filter_map(|(one, other)| Some([place(one)?, place(other)?]));
    pairs.filter(|[one, other]| one.2 != other.2).map(|columns| Mixed { columns }).collect()
}

/// Describes pairs of columns.
pub(super) fn describe(mixed: &[Mixed]) -> String {
    mixed.iter().map(Mixed::to_string).collect::<Vec<_>>().join("; ")
}

/// The collation for the tables of [`LINKED`].
pub(super) struct TargetCollation {
    pub(super) collation: String,
    /// Whether they already have it. Then a large table is not rewritten only because of utf8mb4.
    pub(super) keeps_large: bool,
}

pub(super) fn target(layout: &Layout, wishes: Wishes) -> TargetCollation {
    let there = || LINKED.into_iter().filter_map(|name| Some((name, layout.table(name)?)));
    let is_large = |name: &str, table: &Table| name != "fz_action_terms" && table.rows > LARGE_TABLE;
    let first = there().next().map(|(_, table)| table.collation.as_str());
    if let Some(collation) = first
        && !wishes.convert_large_tables
        && there().all(|(name, table)| has_collation(name, table, collation))
        && there().any(|(name, table)| is_large(name, table))
    {
        return TargetCollation { collation: collation.to_owned(), keeps_large: true };
    }
    let utf8mb4 = || there().filter(|(_, table)| table.charset() == "utf8mb4");
    // Rewriting the smaller tables is faster.
    let chosen = utf8mb4().find(|(name, table)| is_large(name, table)).or_else(|| utf8mb4().next());
    let collation = chosen.map_or(Dialect::MySql.new_collation(), |(_, table)| &table.collation).to_owned();
    TargetCollation { collation, keeps_large: false }
}

/// Returns whether the table and its compared columns have this collation.
pub(super) fn has_collation(name: &str, table: &Table, collation: &str) -> bool {
    let compared = COMPARED.into_iter().flat_map(|(one, other)| [one, other]).filter(|(of, _)| *of == name);
    let found = compared.filter_map(|(_, column)| table.column(column));
    table.collation == collation
        && found.into_iter().all(|column| column.collation.is_empty() || column.collation == collation)
}

/// Returns whether no statement compares columns of this table with those of other tables.
pub(super) fn is_by_itself(table: &str) -> bool {
    !LINKED.contains(&table)
}

/// Returns whether jobs, actions and their links will be utf8mb4 after an upgrade.
pub(super) fn converts_linked(layout: &Layout, wishes: Wishes) -> bool {
    let TargetCollation { collation, keeps_large } = target(layout, wishes);
    charset(&collation) == "utf8mb4" && !keeps_large
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed_of(one: &str, other: &str) -> Mixed {
        Mixed { columns: [("job_actions", "job_id", one.to_owned()), ("jobs", "id", other.to_owned())] }
    }

    #[test]
    fn a_server_converts_between_character_sets_only_to_unicode() {
        for (one, other, is_refused) in [
            ("utf8mb4_general_ci", "utf8mb4_unicode_ci", true),
            ("utf8mb3_general_ci", "utf8mb3_bin", true),
            ("latin1_swedish_ci", "latin2_general_ci", true),
            ("latin1_swedish_ci", "utf8mb4_general_ci", false),
            ("utf8_general_ci", "utf8mb4_unicode_ci", false),
        ] {
            assert_eq!(mixed_of(one, other).is_refused(), is_refused, "{one} {other}");
        }
        let text = mixed_of("utf8mb4_general_ci", "utf8mb4_bin").to_string();
        assert_eq!(text, "job_actions.job_id is utf8mb4_general_ci, but jobs.id is utf8mb4_bin");
    }

    fn layout(tables: &[(&str, &str, u64)]) -> Layout {
        let table = |(name, collation, rows): &(&str, &str, u64)| {
            let table = Table { collation: (*collation).to_owned(), rows: *rows, ..Table::default() };
            ((*name).to_owned(), table)
        };
        Layout { tables: tables.iter().map(table).collect(), ..Layout::default() }
    }

    #[test]
    fn large_tables_decide_and_keep_what_all_tables_have() {
        const LARGE: u64 = LARGE_TABLE + 1;
        let (general, unicode, latin1) = ("utf8mb4_general_ci", "utf8mb4_unicode_ci", "latin1_swedish_ci");
        for (jobs, actions, links, expected, keeps_large) in [
            ((general, 1), (general, 1), (general, 1), general, false),
            ((unicode, 1), (general, 1), (general, 1), unicode, false),
            ((unicode, 1), (general, LARGE), (general, 1), general, false),
            ((latin1, 1), (latin1, 1), (latin1, 1), general, false),
            ((latin1, 1), (latin1, LARGE), (latin1, 1), latin1, true),
            ((latin1, LARGE), (latin1, 1), (unicode, 1), unicode, false),
            ((latin1, LARGE), ("utf8mb3_general_ci", 1), (latin1, 1), general, false),
        ] {
            let of = |name, (collation, rows)| (name, collation, rows);
            let layout = layout(&[of("jobs", jobs), of("actions", actions), of("job_actions", links)]);
            let found = target(&layout, Wishes::default());
            let case = format!("{jobs:?} {actions:?} {links:?}");
            assert_eq!((found.collation.as_str(), found.keeps_large), (expected, keeps_large), "{case}");
            let asked = target(&layout, Wishes { convert_large_tables: true, ..Wishes::default() });
            assert!(asked.collation.starts_with("utf8mb4") && !asked.keeps_large, "{case}");
        }
    }
}
