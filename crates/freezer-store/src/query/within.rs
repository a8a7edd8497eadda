//! Reads documents if they are not larger than the query may read, so that a document of an earlier release cannot fill the
//! memory before its size is known.

use sea_query::{CaseStatement, Expr, ExprTrait, Func, IntoColumnRef, SelectStatement};

use crate::error::StoreError;
use crate::exec::Db;
use crate::json::tree_memory;
use crate::row::FromRow;

/// Returns the values of a query for one document. `texts` are the columns whose size is unlimited.
///
/// # Errors
/// [`StoreError::TooLarge`] if their texts are larger than the query may read.
pub(super) async fn read_within<T: FromRow, C: IntoColumnRef + Copy>(
    db: &mut Db,
    select: &SelectStatement,
    (what, id): (&'static str, &str),
    texts: &[C],
) -> Result<Option<T>, StoreError> {
    let limit = db.read_limit();
    if limit == u64::MAX {
        return db.read_one(select).await;
    }
    let size = || size(texts.iter().copied());
    let mut within = select.clone();
    within.and_where(size().lte(i64::try_from(limit).unwrap_or(i64::MAX)));
    if let Some(document) = db.read_one(&within).await? {
        return Ok(Some(document));
    }
    let mut measure = select.clone();
    measure.clear_selects().expr(size());
    let Some(bytes) = db.read_one::<Option<i64>>(&measure).await? else { return Ok(None) };
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
    // the row may have become smaller in the meantime
    let bytes = std::cmp::max(bytes, limit.saturating_add(1));
    Err(StoreError::TooLarge { doing: db.doing(), what, id: id.to_owned(), bytes })
}

/// Refuses a document whose tree takes more memory than a change may use. `texts` are its texts that a change parses.
///
/// # Errors
/// [`StoreError::TreeTooLarge`].
pub(super) fn check_tree(
    doing: &'static str,
    limit: u64,
    (what, id): (&'static str, &str),
    texts: &[Option<&str>],
) -> Result<(), StoreError> {
    if limit == u64::MAX {
        return Ok(());
    }
    let memory: usize = texts.iter().flatten().map(|text| tree_memory(text.as_bytes())).sum();
    let memory = memory as u64;
    if memory <= limit {
        return Ok(());
    }
    Err(StoreError::TreeTooLarge { doing, what, id: id.to_owned(), memory })
}

/// Returns a text of a row, or NULL if the texts of the row together are larger than `limit`.
pub(super) fn text_within(text: impl IntoColumnRef, size: Expr, limit: u64) -> Expr {
    CaseStatement::new().case(size.lte(largest(limit)), Expr::col(text)).into()
}

/// Returns a limit as a value of a statement. It is a part of the text, because statements with few limits are kept prepared.
fn largest(limit: u64) -> Expr {
    Expr::cust(i64::try_from(limit).unwrap_or(i64::MAX).to_string())
}

/// Returns the number of bytes of texts together.
pub(super) fn size<C: IntoColumnRef>(texts: impl Iterator<Item = C>) -> Expr {
    texts.map(bytes).reduce(Expr::add).unwrap_or_else(|| Expr::val(0))
}

/// Returns the number of bytes of a text.
fn bytes(column: impl IntoColumnRef) -> Expr {
    // SQLite counts characters in `LENGTH`
    let bytes = Func::cust("OCTET_LENGTH").arg(Expr::col(column));
    Func::coalesce([bytes.into(), Expr::val(0)]).into()
}
