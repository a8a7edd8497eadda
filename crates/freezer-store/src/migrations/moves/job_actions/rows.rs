//! Inserts new actions. Each statement has many rows, because this is faster than many statements. `plan.rs`
//! decides which actions are needed.
//!
//! No id may exist in the database already. If a statement with many rows fails within a transaction that
//! continues, a Galera node also sends the rows that it has rolled back to the other nodes, and is then evicted
//! from the cluster (seen with MariaDB 10.11.19).

use std::borrow::Cow;

use sea_query::{Expr, InsertStatement, OnConflict, Query};
use serde_json::Value;

use super::JobRow;
use super::columns::columns;
use super::list::Definition;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::migrations::moves::column_charsets::ColumnCharsets;
use crate::model::{ActionColumns, ActionFields};
use crate::query::actions::only_in_json;
use crate::query::stored_actions::ComparedAction;
use crate::tables::{ActionReports, Actions};

/// Number of rows in one INSERT. 200 rows with 19 values each are far below the 32,766 values that SQLite
/// allows.
const ROWS: usize = 200;

/// Bytes of JSON after which an INSERT ends. The smallest default of `max_allowed_packet` is 4 MiB. If a
/// document is larger than that, this server has accepted it before.
const BYTES: usize = 512 << 10;

/// A new action for an entry of a job.
pub(super) struct NewAction<'a> {
    job: &'a JobRow,
    pub(super) id: String,
    user_id: &'a str,
    definition: Definition<'a>,
    columns: ActionColumns,
    document: String,
}

impl<'a> NewAction<'a> {
    pub(super) fn new(
        job: &'a JobRow,
        definition: Definition<'a>,
        id: String,
        user_id: &'a str,
        held: &ColumnCharsets,
    ) -> NewAction<'a> {
        let columns = columns(&definition.freezer_action, held);
        let document = json::to_text(&definition.freezer_action);
        NewAction { job, id, user_id, definition, columns, document }
    }

    /// Returns the action as it is read after it was stored.
    pub(super) fn as_stored(&self) -> ComparedAction {
        let mut freezer_action = self.definition.freezer_action.clone().into_owned();
        let columns = self.columns.shown();
        let only_in_json = only_in_json(&columns, &freezer_action);
        json::replace_values(&mut freezer_action, &columns);
        ComparedAction {
            project_id: self.job.project_id.clone(),
            is_live: self.job.is_live(),
            document: Some(self.document.clone()),
            fields: ActionFields {
                action_id: self.id.clone(),
                max_retries: Some(self.definition.max_retries),
                max_retries_interval: Some(self.definition.max_retries_interval),
                mandatory: self.definition.mandatory,
                freezer_action,
                only_in_json,
            },
        }
    }
}

impl Definition<'_> {
    /// Returns the definition of an action, with the values of its columns.
    pub(super) fn of(action: &ComparedAction) -> Definition<'static> {
        let ActionFields { max_retries, max_retries_interval, mandatory, freezer_action, .. } =
            &action.fields;
        let values = freezer_action.iter().filter(|(_, value)| !value.is_null());
        Definition {
            freezer_action: Cow::Owned(values.map(|(key, value)| (key.clone(), value.clone())).collect()),
            max_retries: max_retries.unwrap_or(0),
            max_retries_interval: max_retries_interval.unwrap_or(0),
            mandatory: *mandatory,
        }
    }

    /// Returns whether an action has the same meaning. Values that a column cannot store are only in its
    /// document.
    pub(super) fn is(&self, action: &ComparedAction, held: &ColumnCharsets) -> bool {
        let fields = &action.fields;
        let same_tries = fields.max_retries == Some(self.max_retries)
            // Without retries, the interval has no meaning.
            && (self.max_retries <= 0 || fields.max_retries_interval == Some(self.max_retries_interval));
        let is_made_of = || {
            let columns = columns(&self.freezer_action, held).shown();
            let mut shown = self.freezer_action.clone().into_owned();
            json::replace_values(&mut shown, &columns);
            action.document.as_deref() == Some(&json::to_text(&self.freezer_action))
                && columns.iter().all(|(key, _)| {
                    fields.freezer_action.get(*key).unwrap_or(&Value::Null)
                        == shown.get(*key).unwrap_or(&Value::Null)
                })
        };
        same_tries
            && fields.mandatory == self.mandatory
            && (fields.is_defined_as(&self.freezer_action) || is_made_of())
    }
}

/// Inserts all rows, with a report for each action. The service does the same for a new action, but upstream's
/// step does not.
pub(super) async fn insert(db: &mut Db, actions: &[NewAction<'_>]) -> Result<(), StoreError> {
    let mut rest = actions;
    while !rest.is_empty() {
        let (some, others) = rest.split_at(fitting(rest));
        db.execute(&action_rows(some)).await?;
        db.execute(&reports(some)).await?;
        rest = others;
    }
    Ok(())
}

/// Returns the number of rows that fit into one statement. At least one.
fn fitting(actions: &[NewAction<'_>]) -> usize {
    let sizes = actions.iter().scan(0, |bytes, action| {
        *bytes += action.document.len();
        Some(*bytes)
    });
    sizes.take(ROWS).take_while(|bytes| *bytes <= BYTES).count().max(1)
}

fn action_rows(actions: &[NewAction<'_>]) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table(Actions::Table).columns([
        Actions::Id,
        Actions::Action,
        Actions::ProjectId,
        Actions::UserId,
        Actions::Actionmode,
        Actions::PathToBackup,
        Actions::BackupName,
        Actions::Container,
        Actions::Timeout,
        Actions::Priority,
        Actions::MaxRetriesInterval,
        Actions::MaxRetries,
        Actions::Mandatory,
        Actions::LogFile,
        Actions::BackupMetadata,
        Actions::Deleted,
        Actions::CreatedAt,
        Actions::UpdatedAt,
        Actions::DeletedAt,
    ]);
    for action in actions {
        insert.values_panic(action_row(action));
    }
    insert
}

fn action_row(action: &NewAction<'_>) -> [Expr; 19] {
    let NewAction { job, id, user_id, definition, columns, document } = action;
    let [created_at, updated_at, deleted_at] = job.times.clone().map(Expr::value);
    [
        id.as_str().into(),
        columns.action.as_str().into(),
        job.project_id.as_str().into(),
        (*user_id).into(),
        Expr::value(columns.mode.clone()),
        Expr::value(columns.path_to_backup.clone()),
        Expr::value(columns.backup_name.clone()),
        Expr::value(columns.container.clone()),
        Expr::value(columns.timeout),
        Expr::value(columns.priority),
        definition.max_retries_interval.into(),
        definition.max_retries.into(),
        definition.mandatory.into(),
        Expr::value(columns.log_file.clone()),
        document.as_str().into(),
        Expr::value(job.deleted),
        // New rows get the times of their job.
        created_at,
        updated_at,
        deleted_at,
    ]
}

/// Inserts reports of the actions. Existing reports stay.
fn reports(actions: &[NewAction<'_>]) -> InsertStatement {
    let mut insert = Query::insert();
    insert
        .into_table(ActionReports::Table)
        .columns([
            ActionReports::Id,
            ActionReports::ProjectId,
            ActionReports::UserId,
            ActionReports::Deleted,
            ActionReports::CreatedAt,
            ActionReports::UpdatedAt,
            ActionReports::DeletedAt,
        ])
        .on_conflict(OnConflict::column(ActionReports::Id).do_nothing_on([ActionReports::Id]).to_owned());
    for NewAction { job, id, user_id, .. } in actions {
        let [created_at, updated_at, deleted_at] = job.times.clone().map(Expr::value);
        insert.values_panic([
            id.as_str().into(),
            job.project_id.as_str().into(),
            (*user_id).into(),
            Expr::value(job.deleted),
            created_at,
            updated_at,
            deleted_at,
        ]);
    }
    insert
}
