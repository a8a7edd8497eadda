//! Looks at a database, says what state its tables are in, plans an upgrade and carries it out.

use std::time::Duration;

use super::action_terms::{self, ActionTerms};
use super::additions::{self, RowFacts, Wishes};
use super::chain::{HEAD, REVISIONS};
use super::collations::{self, Mixed};
use super::head::TABLES;
use super::layout::Layout;
use super::moves::leftovers::Kept;
use super::moves::{Pass, RowMove, guard, leftovers};
use super::planner::{Planner, SchemaChange, StepAction};
use super::{SchemaError, foreign, inspect, lock, revisions, server};
use crate::Store;
use crate::error::StoreError;
use crate::exec::Db;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No table of ours.
    Empty,
    /// At a revision, says `alembic_version`.
    At(String),
    /// Tables of ours without a revision there.
    Unversioned(Vec<String>),
}

/// What `db sync` is to do beyond the necessary, and how.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Additions that are made only when asked for.
    pub wishes: Wishes,
    /// How long to wait for another sync to end.
    pub wait: Duration,
    /// Who we are, as [`holder`] says it: shown to those who wait.
    pub holder: String,
}

/// What `db sync` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// It made all tables.
    Created,
    /// It changed tables; these additions could not be made, and why.
    Upgraded {
        /// (what, why) of each.
        left_out: Vec<(String, String)>,
    },
    /// Nothing was to do.
    AlreadyCurrent,
}

/// What a sync would do, or does.
#[derive(Debug, Clone)]
pub struct SyncPlan {
    /// What the database holds now.
    pub state: State,
    /// Steps in order.
    pub steps: Vec<SchemaChange>,
    /// Whether `alembic_version` is to be written.
    pub stamps: bool,
    /// What cannot be done, for the operator: (what, why).
    pub left_out: Vec<(String, String)>,
    /// Columns that statements compare, and that have different collations now.
    pub mixed: Vec<Mixed>,
}

/// How far a sync is. Reported after every statement and every batch of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Number of the step, from 1.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// What the step does.
    pub what: &'a str,
    /// RowFacts done, where the step goes through rows.
    pub rows: Option<u64>,
    /// What the steps before this one put into `freezer_leftovers`.
    pub kept: Kept,
}

impl Store {
    /// What state the tables are in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the database cannot be asked: that is not the same as empty.
    pub async fn schema_state(&self) -> Result<State, StoreError> {
        let database = self.database().to_string();
        crate::read!(self, "schema.state", |db| Ok(look(db, &database).await?.1))
    }

    /// What a sync would do now.
    ///
    /// # Errors
    /// [`StoreError::Schema`] where the database is not one that can be upgraded.
    pub async fn plan(&self, wishes: Wishes) -> Result<SyncPlan, StoreError> {
        // some questions read whole tables
        self.patient().plan_of(wishes, true).await
    }

    /// `look_at_rows`: also at what only the rows tell additions, which takes longer the more there are.
    pub(crate) async fn plan_of(&self, wishes: Wishes, look_at_rows: bool) -> Result<SyncPlan, StoreError> {
        let database = self.database().to_string();
        let looked = crate::read!(self, "schema.plan", |db| {
            let (layout, state) = look(db, &database).await?;
            foreign::refuse(db, &layout, &database, wishes.shared_database).await?;
            let duplicates = match look_at_rows {
                true => inspect::duplicate_clients(db, &layout).await?,
                false => None,
            };
            let is_utf8mb4 = collations::converts_linked(&layout, wishes);
            let paths_are_missing =
                look_at_rows && inspect::paths_are_missing(db, &layout, is_utf8mb4).await?;
            let terms_are_missing = look_at_rows && inspect::terms_are_missing(db, &layout).await?;
            let rows = RowFacts {
                duplicate_clients: duplicates.is_some(),
                paths_are_missing,
                terms_are_missing,
                action_terms: ActionTerms::look(db, &layout, look_at_rows).await?,
            };
            let wrong = action_terms::wrong(db, &layout).await?;
            Ok::<_, StoreError>((layout, state, duplicates, rows, wrong))
        });
        let (layout, state, duplicates, rows, wrong) = looked?;
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
        let mut planner = Planner::new(self.dialect(), layout);
        for (at, (revision, plan)) in revisions::PLANS.into_iter().enumerate() {
            if at == 1 {
                // the first revision removes constraints that are in the way; the others move values
                planner.set_revision(None);
                additions::tables(&mut planner, wishes);
            }
            planner.set_revision(Some(revision));
            plan(&mut planner);
        }
        planner.set_revision(None);
        additions::plan(&mut planner, wishes, rows);
        let left_out = duplicates
            .map(|who| {
                let what = "keep the live clients of a project apart".to_owned();
                (
                    what,
                    format!(
                        "these are registered more than once: {who}; delete all but one, then sync again"
                    ),
                )
            })
            .into_iter()
            .collect();
        Ok(SyncPlan { state, steps: planner.into_steps(), stamps, left_out, mixed })
    }

    /// Brings the tables to head without asking or telling: for `--dev` and for tests.
    ///
    /// # Errors
    /// As [`Store::sync_with`].
    pub async fn sync(&self) -> Result<Synced, StoreError> {
        let options =
            SyncOptions { wishes: Wishes::default(), wait: Duration::from_secs(90), holder: holder() };
        self.sync_with(&options, |_| {}).await
    }

    /// Brings the tables to head, from whatever layout they have. Safe to run again, also after a crash at any
    /// statement; only one runs at a time.
    ///
    /// # Errors
    /// [`StoreError::Schema`] where the database is not one that can be upgraded, or another sync does not end.
    pub async fn sync_with(
        &self,
        options: &SyncOptions,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Synced, StoreError> {
        let store = self.for_schema();
        // a table that another sync is changing cannot be looked into: first ask whether there is one
        if lock::held_by(&store, &options.holder).await?.is_none()
            && let Some(done) = nothing_to_do(&store.plan_of(options.wishes, true).await?)
        {
            return Ok(done);
        }
        let lock = lock::acquire(&store, &options.holder, options.wait).await?;
        let done = async {
            // somebody may have done it while we waited
            let plan = store.plan_of(options.wishes, true).await?;
            match nothing_to_do(&plan) {
                Some(done) => Ok(done),
                None => carry_out(&store, plan, &mut progress).await,
            }
        };
        let done = done.await;
        lock.release().await?;
        done
    }
}

fn nothing_to_do(plan: &SyncPlan) -> Option<Synced> {
    (plan.steps.is_empty() && !plan.stamps).then(|| match plan.left_out.is_empty() {
        true => Synced::AlreadyCurrent,
        false => Synced::Upgraded { left_out: plan.left_out.clone() },
    })
}

/// `<host>:<process id>` of this process, for [`SyncOptions::holder`]; with `@<namespace>` behind it where the system tells:
/// containers of one host may share its name, and each counts its processes from 1.
pub fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // the text goes into a statement
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    let at = if namespace.is_empty() { "" } else { "@" };
    format!("{host}:{}{at}{namespace}", std::process::id())
}

async fn carry_out(
    store: &Store,
    mut plan: SyncPlan,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Synced, StoreError> {
    let steps = plan.steps.len();
    let mut stamped = !plan.stamps;
    // additions before it are needed for it
    let last_of_upstream = plan.steps.iter().rposition(|step| step.revision.is_some());
    let mut kept = Kept::default();
    for (at, step) in plan.steps.iter().enumerate() {
        let is_optional = last_of_upstream.is_none_or(|last| at > last);
        if is_optional && !stamped {
            stamp(store).await?;
            stamped = true;
        }
        let mut report = |rows| progress(Progress { step: at + 1, steps, what: &step.what, rows, kept });
        let done = run(store, step, &mut report).await;
        match done {
            Ok(some) => kept += some,
            // without an addition the service works: it is told, and the next one made
            Err(error @ StoreError::Backend { .. }) if is_optional => {
                plan.left_out.push((step.what.clone(), error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    if !stamped {
        stamp(store).await?;
    }
    Ok(match plan.state {
        State::Empty => Synced::Created,
        _ => Synced::Upgraded { left_out: plan.left_out },
    })
}

/// Runs a step. Returns the number of values that went to `freezer_leftovers`.
async fn run(
    store: &Store,
    step: &SchemaChange,
    report: &mut impl FnMut(Option<u64>),
) -> Result<Kept, StoreError> {
    match &step.action {
        StepAction::Sql(sql) => {
            crate::single!(store, "schema.step", |db| db.raw(sql).await)?;
        }
        StepAction::DropColumn { table, column } => drop_column(store, table, column).await?,
        StepAction::MoveRows(rows) => return move_rows(store, *rows, report).await,
    }
    report(None);
    Ok(Kept::default())
}

/// Runs all passes of a move.
async fn move_rows(
    store: &Store,
    rows: RowMove,
    report: &mut impl FnMut(Option<u64>),
) -> Result<Kept, StoreError> {
    let passes = rows.passes();
    if passes.iter().any(|pass| pass.needs_leftovers()) {
        let create = leftovers::create(store.dialect());
        crate::single!(store, "schema.step", |db| db.raw(&create).await)?;
    }
    let mut kept = Kept::default();
    for pass in passes {
        // Only the rows of the main pass are reported.
        let (mut some, unresolved) =
            run_pass(store, pass, |rows| report(pass.is_main().then_some(rows))).await?;
        if unresolved {
            // The first run may have created the actions that these entries refer to.
            (some, _) = run_pass(store, pass, |_| report(None)).await?;
        }
        kept += some;
    }
    Ok(kept)
}

/// Goes through a table in batches; gives what went to `freezer_leftovers`, and whether to go through it again.
async fn run_pass(
    store: &Store,
    pass: Pass,
    mut report: impl FnMut(u64),
) -> Result<(Kept, bool), StoreError> {
    let (mut rows, mut kept, mut unresolved) = (0, Kept::default(), false);
    let mut after: Option<String> = None;
    loop {
        let done = crate::transaction!(store, "schema.move", |db| pass.batch(db, after.as_deref()).await)?;
        let Some(batch) = done else { return Ok((kept, unresolved)) };
        rows += batch.rows;
        kept += batch.kept;
        unresolved |= batch.unresolved;
        after = Some(batch.last);
        report(rows);
    }
}

/// The only place where a column is dropped that is not one of ours: every value of it must be in its new place.
async fn drop_column(store: &Store, table: &'static str, column: &'static str) -> Result<(), StoreError> {
    if let Some(rows) = guard::unmoved(store, table, column).await?.describe() {
        let database = store.database().to_string();
        return Err(SchemaError::NotMoved { database, column: format!("{table}.{column}"), rows }.into());
    }
    let dialect = store.dialect();
    let sql = format!("ALTER TABLE {} DROP COLUMN {}", dialect.quote(table), dialect.quote(column));
    crate::single!(store, "schema.step", |db| db.raw(&sql).await)?;
    Ok(())
}

/// Says that the tables are at head. Last of all that upstream knows of.
async fn stamp(store: &Store) -> Result<(), StoreError> {
    let dialect = store.dialect();
    let create = format!(
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num {} NOT NULL, PRIMARY KEY (version_num)){}",
        dialect.column_type(super::ColumnKind::Text(32)),
        dialect.table_options(dialect.new_collation())
    );
    crate::single!(store, "schema.stamp", |db| db.raw(&create).await)?;
    crate::transaction!(store, "schema.stamp", |db| {
        db.raw("DELETE FROM alembic_version").await?;
        db.raw(&format!("INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")).await
    })?;
    Ok(())
}

pub(super) async fn look(db: &mut Db, database: &str) -> Result<(Layout, State), StoreError> {
    server::check(db, database).await?;
    let layout = inspect::layout(db).await?;
    let state = match inspect::revision(db, &layout).await? {
        Some(revision) => State::At(revision),
        None => {
            let ours = TABLES.iter().map(|table| table.name.to_owned());
            let there: Vec<String> = ours.filter(|name| layout.table(name).is_some()).collect();
            if there.is_empty() { State::Empty } else { State::Unversioned(there) }
        }
    };
    Ok((layout, state))
}

impl Db {
    /// The tables that there are, for [`maintenance`](crate::maintenance).
    pub(crate) async fn tables(&mut self) -> Result<Layout, StoreError> {
        inspect::layout(self).await
    }
}

impl Store {
    /// Runs what must not meet a sync, for [`maintenance`](crate::maintenance): the lock is held meanwhile, and given back
    /// also after an error.
    pub(crate) async fn under_sync_lock<T>(
        &self,
        holder: &str,
        wait: Duration,
        body: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let lock = lock::acquire(self, holder, wait).await?;
        let done = body.await;
        lock.release().await?;
        done
    }
}
