//! Names of tables and columns, once.
//!
//! `sea_query::Iden` spells a variant in snake case; the proposal's names live on in the columns
//! (`sessions.job`, `actions.actionmode`). Which column holds what is in `docs/database.md`.

use sea_query::Iden;

/// `clients`: one row per node that registered.
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

/// `actions`: definitions of what a job does.
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
    /// An addition of ours: the terms that `fz_action_terms` has of the action (`search/action_terms.rs`).
    FzTerms,
    /// An addition of ours: the checksum of the row that they are of.
    FzTermsCrc,
}

/// `fz_action_terms`: an addition of ours, the actions that have a term.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "column names, explained in docs/database.md")]
pub enum FzActionTerms {
    Table,
    Term,
    ProjectId,
    ActionId,
}

/// `action_reports`: one row per action; the Python service writes it and never reads it.
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

/// `job_actions`: which actions a job runs, in order.
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

/// `backups`: the catalogue.
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
    /// An addition of ours: the terms of the metadata (`search/terms.rs`).
    FzSearchTerms,
    /// An addition of ours: the checksum of the metadata that they are of.
    FzSearchCrc,
    /// An addition of ours, on MySQL: the terms, as long as the checksum is right.
    FzSearchIndex,
    /// An addition of ours: the time of the metadata (`search/times.rs`).
    FzTime,
    /// An addition of ours: the checksum of the metadata that it is of.
    FzTimeCrc,
    /// An addition of ours, on MySQL: the time, as long as the checksum is right.
    FzTimeIndex,
    /// An addition of ours: a hash of what makes a backup the same one.
    FzIdentity,
}
