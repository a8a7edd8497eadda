//! [`SyncPlan`]: the steps of a `db sync`, and the reasons why a database is refused.

use super::collations::Mixed;
use super::dependents::Dependents;
use super::keys::WrongKey;
use super::layout::Layout;
use super::live_clients::EqualClients;
use super::options::Wishes;
use super::planner::{Planner, SchemaChange};
use super::row_facts::RowFacts;
use super::state::State;
use super::{
    action_terms, additions, collations, dependents, equal_keys, foreign, keys, missing, references,
    revisions, state,
};
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
    /// Primary keys that are missing or wrong now.
    pub wrong_keys: Vec<WrongKey>,
    /// Descriptions of unique indexes of ours that are missing, wrong, or exist twice.
    pub wrong_unique_indexes: Vec<String>,
    /// Live clients of a project whose names are equal after the sync.
    pub equal_clients: Vec<EqualClients>,
    /// What uses columns that the sync drops, or that are gone.
    pub dependents: Dependents,
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
            let mut wrong_keys = keys::wrong(&layout);
            if reads_rows {
                keys::check_rows(db, &layout, &mut wrong_keys, &database).await?;
            }
            let facts = match reads_rows {
                true => RowFacts::read(db, &layout, wishes).await?,
                false => RowFacts::unread(),
            };
            let dependents = match reads_rows {
                true => dependents::find(db, &layout).await?,
                false => Dependents::default(),
            };
            Ok::<_, StoreError>((layout, state, facts, wrong_keys, dependents))
        });
        let (layout, state, facts, wrong_keys, dependents) = inspected?;
        if let State::At(found) = &state
            && !REVISIONS.iter().any(|known| known.id == found)
        {
            return Err(SchemaError::Unknown { database, found: found.clone() }.into());
        }
        if let Some(reason) = action_terms::wrong_columns(&layout) {
            return Err(SchemaError::WrongHelper { database, table: action_terms::TABLE, reason }.into());
        }
        let stamps = state != State::At(HEAD.to_owned());
        let mixed = collations::mixed(&layout);
        let names_are_equal = !facts.equal_clients.is_empty();
        let wrong_unique_indexes = keys::wrong_unique_indexes(&layout, self.dialect(), names_are_equal);
        let mut planner = Planner::new(self.dialect(), layout.clone());
        planner.ensure_primary_keys(&wrong_keys);
        plan_all(&mut planner, wishes, &facts);
        if reads_rows {
            dependents::refuse(&dependents, &database)?;
            references::refuse(&layout, &planner, &wrong_keys, &database)?;
            self.refuse_equal_keys(&layout, &planner).await?;
        }
        let equal_clients = facts.equal_clients;
        let left_out = left_out_index(&equal_clients).into_iter().collect();
        let steps = planner.into_steps();
        Ok(SyncPlan {
            state,
            steps,
            stamps,
            left_out,
            mixed,
            wrong_keys,
            wrong_unique_indexes,
            equal_clients,
            dependents,
        })
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
    for table in additions::stored_tables() {
        planner.ensure_explicit_row_format(table);
    }
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

/// Number of groups of clients in a message.
const SHOWN: usize = 20;

/// Explains why the names of live clients cannot be unique, if so.
fn left_out_index(equal: &[EqualClients]) -> Option<(String, String)> {
    let shown: Vec<String> = equal.iter().take(SHOWN).map(EqualClients::to_string).collect();
    let more = if equal.len() > SHOWN { "; …" } else { "" };
    let why = format!(
        "clients of a project have equal names: {}{more}; delete or rename all but one of each, then run again: \
         freezer-manage db sync",
        shown.join("; ")
    );
    (!equal.is_empty()).then(|| ("add unique index on live client names".to_owned(), why))
}
