//! Plain data: the five documents of the API and the rows behind them, one file per noun.
//!
//! Each model serialises as the document that clients read, so its shape is written down once and search
//! (`search.rs`) sees exactly what an answer shows. No SQL here (`query/`), no rules of the
//! API (the service's `validate/` and `service/`).

mod action;
mod backup;
mod client;
mod credential;
mod job;
mod session;

pub use action::{Action, ActionColumns, ActionDefinition, ActionFields, ActionInList};
pub use backup::{Backup, NewBackup};
pub use client::{Capabilities, Client, Registration};
pub use credential::UserCredentials;
pub use job::{Job, JobFields};
pub use session::{Session, SessionFields};
