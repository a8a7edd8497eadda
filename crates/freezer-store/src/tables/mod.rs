//! The tables, each declared once: its columns with their types, and the columns that are read from a row.
//!
//! Everything else that knows columns is generated from these declarations ([`declare`]) or refers to them:
//!
//! | what | from |
//! |---|---|
//! | identifiers in statements | the enum: `Jobs::Table`, `Jobs::ClientId` |
//! | the layout that migrations create and check | `Jobs::LAYOUT`, in `migrations/head.rs` |
//! | the widths that the service checks in requests | the same layout (`validate/limits.rs` of the service) |
//! | the columns of a SELECT | [`TableRow::COLUMNS`] of the struct: `StoredJob::COLUMNS` |
//! | the values of a row | [`FromRow`] of the struct, which reads the same columns in the same order |
//!
//! A struct is plain data. `query/<noun>.rs` turns it into a document or into the fields of a change. Statements that
//! read other columns name them and read a tuple, in the same order: `db.read::<(String, i64)>(&select)`. So no code
//! outside `row.rs` and the generated readers has the position of a column.
//!
//! The order and the types are those of freezer-api 19.0.0, which a golden dump in the tests verifies. The declarations
//! never change for existing columns, because published migrations create the tables from them. Some columns have the
//! names of the original proposal (`sessions.job`, `actions.actionmode`). `docs/database.md` describes the columns.

mod declare;

use sea_query::Iden;

use self::declare::table;
use crate::json::StoredField;
use crate::row::FromRow;

/// A column of a declared table, or the table itself.
pub(crate) trait Column: Copy {
    /// The name of the table.
    const TABLE: &'static str;

    /// Returns the name.
    fn name(self) -> &'static str;

    /// Returns the place of the column's value in a row.
    fn of_row(self, id: &str) -> StoredField<'_> {
        StoredField { table: Self::TABLE, column: self.name(), id }
    }
}

/// The columns of a row that are read together.
pub(crate) trait TableRow: FromRow {
    /// The enum of the table's columns.
    type Column: Copy + 'static;
    /// The columns to select, in the order in which they are read. The id is the first one.
    const COLUMNS: &'static [Self::Column];

    /// Returns the id.
    fn id(&self) -> &str;
}

table! {
    /// `clients`: one row for each registered node.
    "clients": Clients => StoredClient {
        Id "id": required Text(255) => uuid: String,
        ProjectId "project_id": optional Text(36) => project_id: String,
        UserId "user_id": required Text(64) => user_id: String,
        ClientId "client_id": required Text(255) => client_id: String,
        Hostname "hostname": optional Text(255) => hostname: Option<String>,
        Description "description": optional Text(255) => description: Option<String>,
        Uuid "uuid": required Text(36),
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
        SupportedActions "supported_actions": optional Text(255) => supported_actions: Option<String>,
        SupportedModes "supported_modes": optional Text(255) => supported_modes: Option<String>,
        SupportedStorages "supported_storages": optional Text(255) => supported_storages: Option<String>,
        SupportedEngines "supported_engines": optional Text(255) => supported_engines: Option<String>,
        IsCentral "is_central": required Bool default "0" => is_central: bool,
    }
}

table! {
    /// `sessions`: jobs that run together.
    "sessions": Sessions => StoredSession {
        Id "id": required Text(36) => session_id: String,
        SessionTag "session_tag": optional Int => session_tag: Option<i64>,
        Description "description": optional Text(255) => description: Option<String>,
        HoldOff "hold_off": optional Int => hold_off: Option<i64>,
        Schedule "schedule": optional Document => schedule: Option<String>,
        Job "job": optional Document => jobs: Option<String>,
        ProjectId "project_id": optional Text(36) => project_id: String,
        UserId "user_id": required Text(64) => user_id: String,
        TimeStart "time_start": optional Int => time_start: Option<i64>,
        TimeEnd "time_end": optional Int => time_end: Option<i64>,
        TimeStarted "time_started": optional Int => time_started: Option<i64>,
        TimeEnded "time_ended": optional Int => time_ended: Option<i64>,
        Status "status": optional Text(255) => status: Option<String>,
        Result "result": optional Text(255) => result: Option<String>,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
    }
}

table! {
    /// `jobs`.
    "jobs": Jobs => StoredJob {
        Id "id": required Text(36) => job_id: String,
        ProjectId "project_id": optional Text(36) => project_id: String,
        UserId "user_id": required Text(64) => user_id: String,
        Schedule "schedule": optional Document => schedule: Option<String>,
        ClientId "client_id": required Text(255) => client_id: String,
        SessionId "session_id": optional Text(36) => session_id: Option<String>,
        SessionTag "session_tag": optional Int => session_tag: Option<i64>,
        Description "description": optional Text(255) => description: Option<String>,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
    }
}

table! {
    /// `actions`: definitions of actions.
    "actions": Actions => StoredAction {
        Id "id": required Text(36) => action_id: String,
        Action "action": required Text(255) => action: Option<String>,
        ProjectId "project_id": optional Text(36) => project_id: String,
        UserId "user_id": required Text(64) => user_id: String,
        Actionmode "actionmode": optional Text(255) => mode: Option<String>,
        PathToBackup "path_to_backup": optional Text(255) => path_to_backup: Option<String>,
        BackupName "backup_name": optional Text(255) => backup_name: Option<String>,
        Container "container": optional Text(255) => container: Option<String>,
        Timeout "timeout": optional Int => timeout: Option<i64>,
        Priority "priority": optional Int => priority: Option<i64>,
        MaxRetriesInterval "max_retries_interval": optional Int => max_retries_interval: Option<i64>,
        MaxRetries "max_retries": optional Int => max_retries: Option<i64>,
        Mandatory "mandatory": optional Bool => mandatory: bool,
        LogFile "log_file": optional Text(255) => log_file: Option<String>,
        BackupMetadata "backup_metadata": optional Document => definition: Option<String>,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
    }
    additions {
        /// The terms of the action in `fz_action_terms` (`search/action_terms.rs`).
        FzTerms "fz_terms",
        /// The checksum of the row from which the terms were computed.
        FzTermsCrc "fz_terms_crc",
    }
}

table! {
    /// `action_reports`: one row for each action. The Python service writes it but never reads it.
    "action_reports": ActionReports {
        Id "id": required Text(36),
        ProjectId "project_id": optional Text(36),
        UserId "user_id": required Text(64),
        Result "result": optional Text(255),
        TimeElapsed "time_elapsed": optional Text(255),
        ReportDate "report_date": optional Timestamp,
        Log "log": optional Blob,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
    }
}

table! {
    /// `backups`: the catalogue of backups.
    "backups": Backups => StoredBackup {
        Id "id": required Text(36) => backup_id: String,
        JobId "job_id": optional Text(36),
        ProjectId "project_id": optional Text(36) => project_id: String,
        UserId "user_id": required Text(64) => user_id: String,
        BackupMetadata "backup_metadata": optional Document => metadata: Option<String>,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
        Status "status": required Text(64) default "'available'" => status: String,
    }
    additions {
        /// The search terms of the metadata (`search/terms.rs`).
        FzSearchTerms "fz_search_terms",
        /// The checksum of the metadata from which the terms were computed.
        FzSearchCrc "fz_search_crc",
        /// On MySQL: the terms if the checksum matches, otherwise NULL.
        FzSearchIndex "fz_search_index",
        /// The search time of the metadata (`search/times.rs`).
        FzTime "fz_time",
        /// The checksum of the metadata from which the time was computed.
        FzTimeCrc "fz_time_crc",
        /// On MySQL: the time if the checksum matches, otherwise NULL.
        FzTimeIndex "fz_time_index",
        /// A hash of the properties that identify a backup.
        FzIdentity "fz_identity",
    }
}

table! {
    /// `user_credentials`: the Keystone trust of a job.
    "user_credentials": UserCredentials => StoredCredentials {
        Id "id": required Text(36) => id: String,
        TrustId "trust_id": required Text(255) => trust_id: String,
        TrustorUserId "trustor_user_id": required Text(64) => trustor_user_id: String,
        JobId "job_id": required Text(36),
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
    }
}

table! {
    /// `job_actions`: the actions of a job, in order.
    "job_actions": JobActions => StoredLink {
        Id "id": required Text(36) => id: String,
        JobId "job_id": required Text(36),
        ActionId "action_id": required Text(36),
        Position "position": optional Int => position: Option<i64>,
        DeletedAt "deleted_at": optional DateTime,
        Deleted "deleted": optional Bool,
        CreatedAt "created_at": optional DateTime,
        UpdatedAt "updated_at": optional DateTime,
    }
}

/// `fz_action_terms`, a table of ours that `migrations/action_terms.rs` creates: the actions with a term.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FzActionTerms {
    Table,
    Term,
    ProjectId,
    ActionId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_selects_the_columns_that_it_reads() {
        let names = |columns: &[Sessions]| columns.iter().map(|column| column.name()).collect::<Vec<_>>();
        let read = StoredSession::COLUMNS;
        assert_eq!(names(&read[..3]), ["id", "session_tag", "description"]);
        assert_eq!(read.len(), StoredSession::COUNT);
        assert_eq!(StoredSession::position(Sessions::Description), 2);
        assert_eq!(StoredLink::position(JobActions::Position), 1);
    }

    #[test]
    fn identifiers_are_the_names_of_the_layout() {
        assert_eq!(Iden::unquoted(&Sessions::Table), "sessions");
        assert_eq!(Iden::unquoted(&Actions::FzTermsCrc), "fz_terms_crc");
        for (column, layout) in [
            (Actions::Id, &Actions::LAYOUT[0]),
            (Actions::BackupMetadata, &Actions::LAYOUT[14]),
            (Actions::UpdatedAt, &Actions::LAYOUT[18]),
        ] {
            assert_eq!(column.name(), layout.name);
        }
        assert_eq!(Actions::Id.of_row("a1").table, "actions");
    }
}
