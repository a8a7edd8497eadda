//! [`SyncPlan`]: the steps of a `db sync`, and the reasons why a database is refused.

use super::collations::Mixed;
use super::options::Wishes;
use super::planner::{Planner, SchemaChange};
use super::row_facts::RowFacts;
use super::state::State;
use super::{action_terms, additions, collations, foreign, revisions, state};
use crate::Store;
use crate::error::StoreError;
use crate::schema::{HEAD, REVISIONS, SchemaError};

/// The plan of a sync.
#[derive(Debug, Clone)]
pub struct SyncPlan {
    /// The current state of the database.
    pub state: State,
    /// Steps in order.
    pub steps: Vec<SchemaChange>,
    /// Whether `alembic_version` must be written.
    pub stamps: bool,
    /// Additions that are not possible, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Columns that statements compare and that have different collations now.
    pub mixed: Vec<Mixed>,
}

impl Store {
    /// Plans a sync.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the database cannot be upgraded.
    pub async fn plan(&self, wishes: Wishes) -> Result<SyncPlan, StoreError> {
        // Some queries read whole tables.
        self.patient().plan_of(wishes, true).await
    }

    /// Plans a sync. If `reads_rows` is false, additions that only depend on rows are not planned. This is faster.
    pub(crate) async fn plan_of(&self, wishes: Wishes, reads_rows: bool) -> Result<SyncPlan, StoreError> {
        let database = self.database().to_string();
        let inspected = crate::read!(self, "schema.plan", |db| {
            let (layout, state) = state::read(db, &database).await?;
            foreign::refuse(db, &layout, &database, wishes.shared_database).await?;
            let facts = match reads_rows {
                true => RowFacts::read(db, &layout, wishes).await?,
                false => RowFacts::unread(),
            };
            let wrong = action_terms::wrong(db, &layout).await?;
            Ok::<_, StoreError>((layout, state, facts, wrong))
        });
        let (layout, state, facts, wrong) = inspected?;
        if let State::At(found) = &state
            && !REVISIONS.iter().any(|known| known.id == found)
        {
            return Err(SchemaError::Unknown { database, found: found.clone() }.into());
        }
        if let Some(reason) = wrong {
            return Err(SchemaError::WrongHelper { database, table: action_terms::TABLE, reason }.into());
        }
        let stamps = state != State::At(HEAD.to_owned());
        let mixed = collations::mixed(&layout);
        let steps = steps(Planner::new(self.dialect(), layout), wishes, &facts);
        let left_out = facts.duplicate_clients.into_iter().map(refused_unique_clients).collect();
        Ok(SyncPlan { state, steps, stamps, left_out, mixed })
    }
}

/// Plans all revisions and additions.
fn steps(mut planner: Planner, wishes: Wishes, facts: &RowFacts) -> Vec<SchemaChange> {
    for (at, (revision, plan)) in revisions::PLANS.into_iter().enumerate() {
        if at == 1 {
            // The first revision removes constraints that prevent these changes. The other revisions move values.
            planner.set_revision(None);
            additions::plan_storage(&mut planner, wishes);
        }
        planner.set_revision(Some(revision));
        plan(&mut planner);
    }
    planner.set_revision(None);
    additions::plan(&mut planner, wishes, facts);
    planner.into_steps()
}

/// Explains why the names of live clients cannot be unique.
fn refused_unique_clients(duplicates: String) -> (String, String) {
    let what = "add unique index on live client names".to_owned();
    let why =
        format!("these are registered more than once: {duplicates}; delete all but one, then sync again");
    (what, why)
}
