//! Removes rows of the table of terms that no action lists. They exist after a restore of `actions` alone, or if
//! an action was removed by hand. Searches check each job that they find, so such rows only cost time.

use sea_query::{Expr, ExprTrait, Order, Query};

use crate::error::StoreError;
use crate::exec::Db;
use crate::key_order::{self, KeyPart};
use crate::migrations::term_sums::Parts;
use crate::tables::FzActionTerms as Terms;

/// Number of rows in one batch.
const BATCH: u64 = 5_000;

/// Separates the parts of a key in the text that identifies the end of a batch.
const SEPARATOR: char = '\u{1f}';

/// The primary key of a row.
struct TermKey {
    term: i64,
    project_id: String,
    action_id: String,
}

impl TermKey {
    fn read(text: &str) -> Option<TermKey> {
        let mut parts = text.splitn(3, SEPARATOR).map(str::to_owned);
        let term = parts.next()?.parse().ok()?;
        Some(TermKey { term, project_id: parts.next()?, action_id: parts.next()? })
    }

    fn text(&self) -> String {
        format!("{}{SEPARATOR}{}{SEPARATOR}{}", self.term, self.project_id, self.action_id)
    }

    /// Returns the columns of the key with their values.
    fn parts(&self) -> [KeyPart; 3] {
        [
            (Expr::col(Terms::Term), Expr::value(self.term)),
            (Expr::col(Terms::ProjectId), Expr::value(self.project_id.as_str())),
            (Expr::col(Terms::ActionId), Expr::value(self.action_id.as_str())),
        ]
    }
}

/// Removes surplus rows from one batch after the key `after`. Returns the last key of the batch and the number
/// of rows.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    parts: Parts,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let dialect = db.dialect();
    let after = after.and_then(TermKey::read);
    let mut select = Query::select();
    select.columns([Terms::Term, Terms::ProjectId, Terms::ActionId]).from(Terms::Table);
    for column in [Terms::Term, Terms::ProjectId, Terms::ActionId] {
        select.order_by(column, Order::Asc);
    }
    if let Some(after) = &after {
        select.cond_where(key_order::after(dialect, after.parts()));
    }
    let rows = db.read::<(Option<i64>, String, String)>(select.limit(BATCH)).await?;
    let count = rows.len() as u64;
    let Some((term, project_id, action_id)) = rows.into_iter().next_back() else { return Ok(None) };
    let last = TermKey { term: term.unwrap_or_default(), project_id, action_id };
    let mut delete = Query::delete();
    delete
        .from_table(Terms::Table)
        .and_where(Expr::col(Terms::ActionId).ne(""))
        .and_where(Expr::cust(dialect.is_surplus_term()))
        .cond_where(key_order::up_to(dialect, last.parts()));
    if let Some(after) = &after {
        delete.cond_where(key_order::after(dialect, after.parts()));
    }
    if let Some(condition) = parts.condition(dialect, "project_id", "action_id") {
        delete.and_where(Expr::cust(condition));
    }
    db.execute(&delete).await?;
    Ok(Some((last.text(), count)))
}
