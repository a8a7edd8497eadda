//! Detects tables, views and databases of other programs. `db sync` refuses them before it changes anything.

use super::head::{TABLES, TableLayout};
use super::layout::{ColumnInfo, Layout, Table};
use super::moves::leftovers;
use super::{inspect, lock, repeats};
use crate::Store;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::{ColumnKind, REVISIONS, Remedy, SchemaError, Sharing};

/// Columns that a revision adds or renames. Older layouts do not have them.
const ADDED: [(&str, &[&str]); 3] = [
    (
        "clients",
        &["supported_actions", "supported_modes", "supported_storages", "supported_engines", "is_central"],
    ),
    ("actions", &["actionmode", "path_to_backup"]),
    ("backups", &["status"]),
];

/// Columns of older layouts.
pub(super) const FORMER: [(&str, &[&str]); 3] =
    [("jobs", &["job_actions"]), ("actions", &["mode", "src_file"]), ("backups", &["user_name"])];

/// Tables outside the layout that our statements use, with the columns that these statements need.
const HELPERS: [(&str, &[&str]); 4] = [
    (leftovers::TABLE, &["table_name", "row_id", "column_name", "value"]),
    (lock::TABLE, &["id", "holder", "beat"]),
    (repeats::TABLE, &repeats::COLUMNS),
    ("alembic_version", &["version_num"]),
];

/// Number of foreign tables that an error lists.
const SHOWN: usize = 5;

/// Refuses a database if it contains foreign tables or views with our names, or only tables of another program.
/// `shared` allows the latter, unless `alembic_version` contains revisions of the other program, because Freezer
/// needs this table too.
///
/// # Errors
/// [`SchemaError::NotOurs`] and [`SchemaError::OtherProgram`].
pub(super) async fn refuse(
    db: &mut Db,
    layout: &Layout,
    database: &str,
    shared: bool,
) -> Result<(), StoreError> {
    let found = problems(layout);
    if !found.is_empty() {
        let mut rest = layout.clone();
        rest.tables.retain(|name, _| found.iter().all(|(problem, _)| problem != name));
        let remedy = match signs_of_another(db, &rest).await? {
            Some((_, sharing)) => Remedy::Share(sharing),
            None => Remedy::Remove,
        };
        let found = found.into_iter().map(|(_, flaw)| flaw).collect::<Vec<_>>().join(", ");
        return Err(SchemaError::NotOurs { database: database.to_owned(), found, remedy }.into());
    }
    let Some((signs, sharing)) = signs_of_another(db, layout).await? else { return Ok(()) };
    if shared && sharing == Sharing::Possible {
        return Ok(());
    }
    Err(SchemaError::OtherProgram { database: database.to_owned(), signs, sharing }.into())
}

impl Store {
    /// Refuses a database in which our statements would use tables of another program.
    ///
    /// # Errors
    /// [`SchemaError::NotOurs`] and [`SchemaError::OtherProgram`].
    pub(crate) async fn refuse_foreign(&self) -> Result<(), StoreError> {
        let database = self.database().to_string();
        crate::read!(self, "schema.foreign", |db| {
            let layout = inspect::layout(db).await?;
            refuse(db, &layout, &database, false).await
        })
    }
}

/// Returns the foreign tables and views that have our names, with descriptions.
fn problems(layout: &Layout) -> Vec<(&'static str, String)> {
    let names = TABLES.iter().map(|table| table.name).chain(HELPERS.map(|(name, _)| name));
    let views = names.filter(|name| layout.views.contains(*name));
    let views = views.map(|name| (name, format!("a view {name}, though Freezer needs a table of this name")));
    let mut found: Vec<(&str, String)> = views.collect();
    let mut add = |name: &'static str, flaws: Vec<String>| {
        if !flaws.is_empty() {
            found.push((name, format!("a table {name} that is not Freezer's ({})", flaws.join("; "))));
        }
    };
    for wanted in TABLES {
        if let Some(table) = layout.table(wanted.name) {
            add(wanted.name, flaws_of(wanted, table));
        }
    }
    for (name, columns) in HELPERS {
        if let Some(table) = layout.table(name) {
            let known =
                |column: &ColumnInfo| columns.iter().any(|known| column.name.eq_ignore_ascii_case(known));
            add(name, missing(columns, table).into_iter().chain(demanded(table, known)).collect());
        }
    }
    found
}

fn flaws_of(wanted: &TableLayout, table: &Table) -> Vec<String> {
    let of = |list: &[(&str, &[&'static str])]| {
        list.iter().find(|(name, _)| *name == wanted.name).map_or(Vec::new(), |(_, columns)| columns.to_vec())
    };
    let (added, former) = (of(&ADDED), of(&FORMER));
    let needed: Vec<&str> =
        wanted.columns.iter().map(|column| column.name).filter(|name| !added.contains(name)).collect();
    let known = |column: &ColumnInfo| {
        let is = |name: &str| column.name.eq_ignore_ascii_case(name);
        wanted.columns.iter().any(|wanted| is(wanted.name)) || former.iter().any(|name| is(name))
    };
    let numbers = wanted
        .columns
        .iter()
        .filter(|column| matches!(column.kind, ColumnKind::Text(_) | ColumnKind::Document));
    let numbers = numbers.filter_map(|column| table.column(column.name).filter(|found| is_number(found)));
    let numbers: Vec<&str> = numbers.map(|found| found.name.as_str()).collect();
    let numbers = (!numbers.is_empty()).then(|| format!("numbers instead of texts: {}", numbers.join(", ")));
    missing(&needed, table).into_iter().chain(numbers).chain(demanded(table, known)).collect()
}

fn is_number(column: &ColumnInfo) -> bool {
    column.data_type.ends_with("int") || column.data_type == "integer"
}

fn missing(needed: &[&str], table: &Table) -> Option<String> {
    let missing: Vec<&str> = needed.iter().copied().filter(|name| table.column(name).is_none()).collect();
    (!missing.is_empty()).then(|| format!("missing columns: {}", missing.join(", ")))
}

/// Describes foreign columns that every new row must set. Our statements could not insert rows into such a
/// table.
fn demanded(table: &Table, known: impl Fn(&ColumnInfo) -> bool) -> Option<String> {
    let is_demanded = |column: &&ColumnInfo| {
        let is_set = column.has_default || column.auto_increment || !column.generated.is_empty();
        !column.nullable && !is_set && !known(column)
    };
    let names: Vec<&str> =
        table.columns.iter().filter(is_demanded).map(|column| column.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("unknown columns without a default: {}", names.join(", ")))
}

/// Describes the signs that a database without tables of ours belongs to another program.
async fn signs_of_another(db: &mut Db, layout: &Layout) -> Result<Option<(String, Sharing)>, StoreError> {
    if TABLES.iter().any(|table| layout.table(table.name).is_some()) {
        return Ok(None);
    }
    let revisions = inspect::revisions(db, layout).await?;
    let repositories = inspect::repositories(db, layout).await?;
    // The other tables of this database were dropped, or will be loaded.
    if repositories.iter().any(|name| name == OUR_REPOSITORY)
        || revisions.iter().any(|found| REVISIONS.iter().any(|known| known.id == found))
    {
        return Ok(None);
    }
    let is_helper = |name: &str| {
        name.starts_with("freezer_")
            || name.starts_with("fz_")
            || HELPERS.iter().any(|(helper, _)| *helper == name)
            || (name == "migrate_version" && layout.has_column(name, "repository_id"))
    };
    let others: Vec<&str> =
        layout.tables.keys().map(String::as_str).filter(|name| !is_helper(name)).collect();
    if repositories.is_empty() && others.is_empty() {
        // with an unknown revision alone, the error is about this revision
        return Ok(None);
    }
    let quoted = |(what, values): (&str, Vec<String>)| {
        (!values.is_empty()).then(|| format!("{what} {}", values.join(", ")))
    };
    let sharing = if revisions.is_empty() { Sharing::Possible } else { Sharing::Impossible };
    let versions = [("migrate_version is of", repositories), ("alembic_version is", revisions)];
    let tables = (!others.is_empty()).then(|| {
        let more = if others.len() > SHOWN { ", …" } else { "" };
        let some: Vec<&str> = others.iter().copied().take(SHOWN).collect();
        format!("tables: {}{more}", some.join(", "))
    });
    let signs: Vec<String> = versions.into_iter().filter_map(quoted).chain(tables).collect();
    Ok(Some((signs.join("; "), sharing)))
}

/// The value of `migrate_version.repository_id` for Freezer.
const OUR_REPOSITORY: &str = "freezer-api";
