//! [`SyncPlan`]: the steps of a `db sync`, and the reasons why a database is refused.

use super::collations::Mixed;
use super::layout::Layout;
use super::options::Wishes;
use super::planner::{Planner, SchemaChange};
use super::row_facts::RowFacts;
use super::state::State;
use super::{action_terms, additions, collations, equal_keys, foreign, missing, revisions, state};
use crate::Store;
use crate::error::StoreError;
use crate::schema::{HEAD, Obstacle, REVISIONS, SchemaError};

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
            if !wishes.create_missing_tables {
                missing::refuse(db, &layout, &state, &database).await?;
            }
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
        let mut planner = Planner::new(self.dialect(), layout.clone());
        plan_all(&mut planner, wishes, &facts);
        if reads_rows {
            self.refuse_equal_keys(&layout, &planner).await?;
        }
        let left_out = facts.duplicate_clients.into_iter().map(refused_unique_clients).collect();
        Ok(SyncPlan { state, steps: planner.into_steps(), stamps, left_out, mixed })
    }

    /// Refuses a plan that converts tables to a collation in which keys of different rows are equal.
    async fn refuse_equal_keys(&self, before: &Layout, planner: &Planner) -> Result<(), StoreError> {
        if planner.converted.is_empty() {
            return Ok(());
        }
        let (planned, converted) = (&planner.layout, &planner.converted);
        let found =
            crate::read!(self, "schema.plan", |db| equal_keys::find(db, before, planned, converted).await)?;
        if found.is_empty() {
            return Ok(());
        }
        let (database, found) = (self.database().to_string(), found.join("; "));
        Err(SchemaError::Obstacle(Obstacle::EqualKeys { database, found }).into())
    }
}

/// Plans all revisions and additions.
fn plan_all(planner: &mut Planner, wishes: Wishes, facts: &RowFacts) {
    planner.ensure_leftovers_columns();
    for (at, (revision, plan)) in revisions::PLANS.into_iter().enumerate() {
        if at == 1 {
            // The first revision removes constraints that prevent these changes. The other revisions move values.
            planner.set_revision(None);
            additions::plan_storage(planner, wishes);
        }
        planner.set_revision(Some(revision));
        plan(planner);
    }
    planner.set_revision(None);
    additions::plan(planner, wishes, facts);
}

/// Explains why the names of live clients cannot be unique.
fn refused_unique_clients(duplicates: String) -> (String, String) {
    let what = "add unique index on live client names".to_owned();
    let why =
        format!("these are registered more than once: {duplicates}; delete all but one, then sync again");
    (what, why)
}
