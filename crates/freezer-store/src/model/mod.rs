//! Plain data: the five documents of the API and the rows behind them, one file for each noun.
//!
//! Each model serialises as the document that clients read, so its structure is defined once and a search
//! (`search/`) sees the same document as an answer. SQL is in `query/`, and the rules of the API are in the
//! service's `validate/` and `service/`.

mod action;
mod backup;
mod client;
mod credential;
mod job;
mod session;

pub use action::{Action, ActionColumns, ActionDefinition, ActionFields, ActionInList};
pub use backup::{Backup, NewBackup};
pub use client::{Capabilities, Client, Registration};
pub use credential::StoredTrust;
pub use job::{Job, JobFields};
pub use session::{Session, SessionFields};
