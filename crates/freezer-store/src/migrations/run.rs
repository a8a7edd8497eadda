//! Runs the steps of a [`SyncPlan`].

use super::kept::kept_except;
use super::moves::leftovers::Kept;
use super::moves::{Pass, RowMove, guard, leftovers};
use super::options::{Progress, Synced};
use super::plan::SyncPlan;
use super::planner::{SchemaChange, StepAction};
use super::state::State;
use crate::Store;
use crate::error::StoreError;
use crate::schema::{ColumnKind, HEAD, SchemaError};

/// Runs all steps of a plan.
pub(super) async fn run(
    store: &Store,
    mut plan: SyncPlan,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Synced, StoreError> {
    let steps = plan.steps.len();
    let mut stamped = !plan.stamps;
    // Additions before the last revision are required.
    let last_of_upstream = plan.steps.iter().rposition(|step| step.revision.is_some());
    let moved: Vec<_> = plan.steps.iter().filter_map(|step| step.action.kept_column()).collect();
    // Those of an earlier run of this upgrade.
    let mut kept = kept_except(store, &moved).await?;
    for (at, step) in plan.steps.iter().enumerate() {
        let is_optional = last_of_upstream.is_none_or(|last| at > last) && !step.required;
        if is_optional && !stamped {
            stamp(store).await?;
            stamped = true;
        }
        let mut report = |rows| progress(Progress { step: at + 1, steps, what: &step.what, rows, kept });
        let done = run_step(store, step, &mut report).await;
        match done {
            Ok(some) => kept += some,
            // The service works without this addition, so it is reported and the next one is made.
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
async fn run_step(
    store: &Store,
    step: &SchemaChange,
    report: &mut impl FnMut(Option<u64>),
) -> Result<Kept, StoreError> {
    match &step.action {
        StepAction::Sql(sql) => {
            crate::single!(store, "schema.step", |db| db.raw(sql).await)?;
        }
        StepAction::Rebuild(statements) => {
            crate::transaction!(store, "schema.rebuild", |db| {
                for sql in statements {
                    db.raw(sql).await?;
                }
                Ok::<_, StoreError>(())
            })?;
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

/// Runs one pass in batches. Returns the values that went to `freezer_leftovers`, and whether to run it again.
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

/// Drops a column of upstream, if all its values are in their new place. No other code drops such columns.
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

/// Stamps the tables as being at head, after all steps of upstream.
async fn stamp(store: &Store) -> Result<(), StoreError> {
    let dialect = store.dialect();
    let create = format!(
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num {} NOT NULL, PRIMARY KEY (version_num)){}",
        dialect.column_type(ColumnKind::Text(32)),
        dialect.table_options(dialect.new_collation())
    );
    crate::single!(store, "schema.stamp", |db| db.raw(&create).await)?;
    crate::transaction!(store, "schema.stamp", |db| {
        db.raw("DELETE FROM alembic_version").await?;
        db.raw(&format!("INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")).await
    })?;
    Ok(())
}
