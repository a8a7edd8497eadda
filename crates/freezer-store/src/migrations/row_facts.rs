//! [`RowFacts`]: facts about the rows that decide which additions are needed. The layout alone does not tell them.

use sea_query::Iden;

use super::action_terms::ActionTerms;
use super::collations;
use super::layout::Layout;
use super::live_clients::{self, EqualClients};
use super::moves::paths;
use super::options::Wishes;
use crate::error::StoreError;
use crate::exec::Db;

/// Facts about the rows.
#[derive(Debug, Clone, Default)]
pub(super) struct RowFacts {
    /// Live clients whose names will be equal. They prevent the unique index on live client names.
    pub(super) equal_clients: Vec<EqualClients>,
    /// Actions lack a path that their documents have. This happens after upstream's upgrade from 7.x.
    pub(super) paths_are_missing: bool,
    /// Backups lack search terms.
    pub(super) terms_are_missing: bool,
    /// Missing and wrong terms of actions.
    pub(super) action_terms: ActionTerms,
}

impl RowFacts {
    /// Returns the facts of a database whose rows are not read.
    pub(super) fn unread() -> RowFacts {
        RowFacts { action_terms: ActionTerms::unread(), ..RowFacts::default() }
    }

    /// Reads the rows. This takes longer for larger tables.
    pub(super) async fn read(db: &mut Db, layout: &Layout, wishes: Wishes) -> Result<RowFacts, StoreError> {
        let is_utf8mb4 = collations::converts_linked(layout, wishes);
        let converted = live_clients::converted(db.dialect(), layout, wishes);
        Ok(RowFacts {
            equal_clients: live_clients::equal_clients(db, layout, &converted).await?,
            paths_are_missing: paths_are_missing(db, layout, is_utf8mb4).await?,
            terms_are_missing: terms_are_missing(db, layout).await?,
            action_terms: ActionTerms::read(db, layout).await?,
        })
    }
}

/// Returns whether actions of a database of 7.x still have paths only in their documents. For `is_utf8mb4` see
/// [`paths::are_missing`].
async fn paths_are_missing(db: &mut Db, layout: &Layout, is_utf8mb4: bool) -> Result<bool, StoreError> {
    let [old, new] = paths::COLUMNS.map(|column| layout.has_column("actions", column));
    // Only a database with this table, which releases before 16.0.0 created, can contain such rows. Others need
    // not be searched.
    if old || !new || layout.table("migrate_version").is_none() {
        return Ok(false);
    }
    paths::are_missing(db, "path_to_backup", is_utf8mb4).await
}

/// Returns whether a live backup lacks its search terms or its time. If the columns do not exist yet, this is
/// true for every backup with metadata.
async fn terms_are_missing(db: &mut Db, layout: &Layout) -> Result<bool, StoreError> {
    let has = |columns: &[&str]| columns.iter().all(|column| layout.has_column("backups", column));
    if !has(&["id", "deleted", "backup_metadata"]) {
        return Ok(false);
    }
    let (searched, time) =
        (db.dialect().searched_terms().to_string(), db.dialect().searched_time().to_string());
    let sql = match has(&["fz_search_terms", "fz_search_crc", &searched, "fz_time", "fz_time_crc", &time]) {
        // This reads the index, and the metadata only of rows that have no terms in it.
        true => format!(
            "SELECT 1 FROM (SELECT id FROM backups WHERE deleted = 0 AND ({searched} IS NULL OR {time} IS NULL)) AS bare \
             JOIN backups ON backups.id = bare.id WHERE {} LIMIT 1",
            db.dialect().lacks_terms()
        ),
        false => "SELECT 1 FROM backups WHERE deleted = 0 AND backup_metadata IS NOT NULL LIMIT 1".to_owned(),
    };
    Ok(!db.raw_select(&sql).await?.is_empty())
}
