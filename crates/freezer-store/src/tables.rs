//! Names of tables and columns.
//!
//! `sea_query::Iden` writes a variant in snake case. Some columns have the names of the original proposal
//! (`sessions.job`, `actions.actionmode`). `docs/database.md` describes the columns.

use sea_query::Iden;

/// `clients`: one row for each registered node.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum Clients {
    Table,
    Id,
    ProjectId,
    UserId,
    ClientId,
    Hostname,
    Description,
    Uuid,
    SupportedActions,
    SupportedModes,
    SupportedStorages,
    SupportedEngines,
    IsCentral,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
}

/// `actions`: definitions of actions.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum Actions {
    Table,
    Id,
    Action,
    ProjectId,
    UserId,
    Actionmode,
    PathToBackup,
    BackupName,
    Container,
    Timeout,
    Priority,
    MaxRetriesInterval,
    MaxRetries,
    Mandatory,
    LogFile,
    BackupMetadata,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
    /// An addition of ours: the terms of the action in `fz_action_terms` (`search/action_terms.rs`).
    FzTerms,
    /// An addition of ours: the checksum of the row from which the terms were computed.
    FzTermsCrc,
}

/// `fz_action_terms`, an addition of ours: the actions with a term.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum FzActionTerms {
    Table,
    Term,
    ProjectId,
    ActionId,
}

/// `action_reports`: one row for each action. The Python service writes it but never reads it.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum ActionReports {
    Table,
    Id,
    ProjectId,
    UserId,
    Result,
    TimeElapsed,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
}

/// `jobs`.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum Jobs {
    Table,
    Id,
    ProjectId,
    UserId,
    Schedule,
    ClientId,
    SessionId,
    SessionTag,
    Description,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
}

/// `job_actions`: the actions of a job, in order.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum JobActions {
    Table,
    Id,
    JobId,
    ActionId,
    Position,
    Deleted,
    DeletedAt,
    CreatedAt,
}

/// `sessions`: jobs that run together.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum Sessions {
    Table,
    Id,
    SessionTag,
    Description,
    HoldOff,
    Schedule,
    Job,
    ProjectId,
    UserId,
    TimeStart,
    TimeEnd,
    TimeStarted,
    TimeEnded,
    Status,
    Result,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
}

/// `user_credentials`: the Keystone trust of a job.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum UserCredentials {
    Table,
    Id,
    TrustId,
    TrustorUserId,
    JobId,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
}

/// `backups`: the catalogue of backups.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum Backups {
    Table,
    Id,
    JobId,
    ProjectId,
    UserId,
    BackupMetadata,
    Status,
    Deleted,
    DeletedAt,
    CreatedAt,
    UpdatedAt,
    /// An addition of ours: the search terms of the metadata (`search/terms.rs`).
    FzSearchTerms,
    /// An addition of ours: the checksum of the metadata from which the terms were computed.
    FzSearchCrc,
    /// An addition of ours, on MySQL: the terms if the checksum matches, otherwise NULL.
    FzSearchIndex,
    /// An addition of ours: the search time of the metadata (`search/times.rs`).
    FzTime,
    /// An addition of ours: the checksum of the metadata from which the time was computed.
    FzTimeCrc,
    /// An addition of ours, on MySQL: the time if the checksum matches, otherwise NULL.
    FzTimeIndex,
    /// An addition of ours: a hash of the properties that identify a backup.
    FzIdentity,
}
