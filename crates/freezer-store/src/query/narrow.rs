//! What of a search the database can do: conditions that pass over rows which are certainly not wanted.
//!
//! Every row that comes through is judged again (`listing/searched.rs`), so a condition may let too many rows through, but must
//! never hold one back that is wanted. Databases compare more loosely than a search does (without regard to case, to
//! accents, to spaces at the end), which is right for a condition that keeps rows; one that drops rows compares bytes.
//! How an engine says either is `dialect.rs`.
//!
//! A key in JSON text is looked for as text, `"key"`: that works on any text in any engine, where functions for JSON
//! differ in what they take for JSON and fail on what is not. A text in which characters are written as escapes comes
//! through.

use std::ops::RangeInclusive;

use sea_query::{Condition, Expr, ExprTrait, Func, IntoColumnRef, SelectStatement, SimpleExpr};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::search::Search;
use crate::search::terms::term;
use crate::search::times;

/// Where the documents of a list have their keys from.
pub(super) struct Shape<C: 'static> {
    /// The columns that are shown under a key of their own, and those that hold JSON.
    pub(super) sources: &'static [Source<C>],
    /// Keys whose values come from elsewhere or hold others: no condition is made of them.
    pub(super) opaque: &'static [&'static str],
    /// Keys that count only at the top of a document (see [`Search::accepts`]).
    pub(super) identity: &'static [&'static str],
    /// The column of a document's time (`search/times.rs`), which is NULL where that is not known.
    pub(super) time: Option<fn(Dialect) -> C>,
    /// Whether every text of a document is in its columns.
    pub(super) whole: bool,
}

/// One column, and how its value is shown.
#[derive(Clone, Copy)]
pub(super) enum Source<C> {
    /// A text; NULL is shown as null, or its key is not shown.
    Text(&'static str, C),
    /// A text; NULL is shown as "".
    Blank(&'static str, C),
    /// A whole number; NULL is shown as null, or its key is not shown.
    Int(&'static str, C),
    /// JSON text, shown with some of its keys replaced or added.
    Changed(C),
    /// JSON text, shown as it is.
    AsItIs(C),
    /// The same, and the column of its terms (`search/terms.rs`), in which no key of an identity need be looked for.
    WithTerms(C, fn(Dialect) -> C),
}

/// A further table whose rows are part of a document: its columns, and the query for those of one document, to which
/// a condition is added.
pub(super) struct Inner<'a, C: 'static> {
    pub(super) sources: &'static [Source<C>],
    pub(super) rows: &'a SelectStatement,
}

/// Adds to a query what of a search its columns can tell.
pub(super) fn narrow<C, I>(
    dialect: Dialect,
    select: &mut SelectStatement,
    search: &Search,
    shape: &Shape<C>,
    inner: Option<&Inner<'_, I>>,
) where
    C: IntoColumnRef + Copy,
    I: IntoColumnRef + Copy,
{
    let pairs = search.matches.iter().filter(|(key, _)| !shape.opaque.contains(&key.as_str()));
    let (own, anywhere): (Vec<_>, Vec<_>) =
        pairs.partition(|(key, _)| inner.is_none() || shape.identity.contains(&key.as_str()));
    let in_row = |(key, value): &(String, Value)| {
        may_have(dialect, shape.sources, key, value, !shape.identity.contains(&key.as_str()))
    };
    for pair in own {
        select.cond_where(in_row(pair));
    }
    if let (Some(inner), false) = (inner, anywhere.is_empty()) {
        select.cond_where(here_or_inside(dialect, &anywhere, in_row, inner));
    }
    if let (Some(time), Some(range)) = (shape.time, times::range(search)) {
        select.cond_where(may_be_in(time(dialect), &range));
    }
    for text in search.texts.iter().filter(|_| shape.whole) {
        if let Some(condition) = may_contain(dialect, shape.sources, &text.to_lowercase()) {
            select.cond_where(condition);
        }
    }
    for (key, value) in &search.match_not {
        let nested = !shape.identity.contains(&key.as_str());
        for source in shape.sources {
            if let Some(condition) = has_not(dialect, source, key, value, nested) {
                select.cond_where(condition);
            }
        }
    }
}

/// True for every row that has each pair in itself or in its inner rows, and for others. The inner rows of a row are read
/// once, however many pairs there are.
fn here_or_inside<I: IntoColumnRef + Copy>(
    dialect: Dialect,
    pairs: &[&(String, Value)],
    in_row: impl Fn(&(String, Value)) -> Condition,
    inner: &Inner<'_, I>,
) -> Condition {
    let (mut here, mut inside) = (Condition::all(), Condition::all());
    for pair @ (key, value) in pairs {
        let in_inner = may_have(dialect, inner.sources, key, value, true);
        here = here.add(in_row(pair));
        let either = Condition::any().add(in_row(pair)).add(in_inner);
        inside = inside.add(Expr::from(Func::max(Expr::from(either))).eq(1));
    }
    // Without inner rows there is no maximum, so what the row has itself is asked beside it. Not EXISTS: MariaDB 10.11
    // materialises it, which reads the inner tables whole, those of other projects too, before the first row. SQLite takes
    // HAVING only beside a maximum that is selected.
    let mut rows = inner.rows.clone();
    rows.clear_selects().expr(Func::max(Expr::val(1))).cond_having(inside);
    Condition::any().add(here).add(Expr::from(rows).is_not_null())
}

/// True for every row whose time is in the range, and for those whose time is not known.
pub(super) fn may_be_in<C: IntoColumnRef + Copy>(time: C, range: &RangeInclusive<i64>) -> Condition {
    let within = Expr::col(time).between(*range.start(), *range.end());
    Condition::any().add(Expr::col(time).is_null()).add(within)
}

/// True for every row that shows the text somewhere, in either case, and for others; none where rows cannot tell: letters
/// beyond ASCII may be stored as escapes.
fn may_contain<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    sources: &[Source<C>],
    lowercase: &str,
) -> Option<Condition> {
    if !lowercase.is_ascii() {
        return None;
    }
    let mut any = Condition::any();
    for source in sources {
        match *source {
            Source::Text(_, column) | Source::Blank(_, column) => {
                any = any.add(dialect.may_contain(column, lowercase));
            }
            Source::Changed(column) | Source::AsItIs(column) | Source::WithTerms(column, _) => {
                any = any.add(dialect.holds(column, "\\"));
                if lowercase.chars().all(is_literal) {
                    any = any.add(dialect.may_contain(column, lowercase));
                }
            }
            Source::Int(..) => {}
        }
    }
    Some(any)
}

/// True for every row that shows the key with the value, and for others.
fn may_have<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    sources: &[Source<C>],
    key: &str,
    value: &Value,
    nested: bool,
) -> Condition {
    // a list of alternatives without any is no condition at all, so the first one is always false
    let mut any = Condition::any().add(Expr::cust("1 = 0"));
    for source in sources {
        match *source {
            Source::Text(name, column) if name == key => match value {
                Value::String(text) => any = any.add(Expr::col(column).eq(text.as_str())),
                Value::Null => any = any.add(Expr::col(column).is_null()),
                _ => {}
            },
            Source::Blank(name, column) if name == key => {
                if let Value::String(text) = value {
                    any = any.add(Expr::col(column).eq(text.as_str()));
                    if text.is_empty() {
                        any = any.add(Expr::col(column).is_null());
                    }
                }
            }
            Source::Int(name, column) if name == key => match value {
                Value::Null => any = any.add(Expr::col(column).is_null()),
                Value::Number(_) | Value::Bool(_) => {
                    any = any.add(match whole(value) {
                        Some(number) => Expr::col(column).eq(number),
                        None => Expr::col(column).is_not_null(),
                    });
                }
                _ => {}
            },
            Source::Changed(column) | Source::AsItIs(column) if nested => {
                any = any.add(may_hold_or_is_there(dialect, column, key, value));
            }
            // An index can tell of the terms alone, and the text is looked through only where they let a row through: a
            // row without terms need not be sent.
            Source::WithTerms(column, terms) if nested => {
                let has_term = dialect.may_have_term(terms(dialect), &term(key, value));
                let holds = may_hold_or_is_there(dialect, column, key, value);
                any = any.add(Condition::all().add(has_term).add(holds));
            }
            _ => {}
        }
    }
    any
}

/// A number that a column of whole numbers can be compared with: small enough to be equal to one only.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => {
            let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
            (number.abs() < 2_147_483_648.0).then_some(number as i64)
        }
    }
}

/// Whether JSON text may hold the key with the value, as far as the text can tell.
fn may_hold_or_is_there<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    column: C,
    key: &str,
    value: &Value,
) -> Condition {
    let there = || Condition::all().add(Expr::col(column).is_not_null());
    may_hold(dialect, column, key, value).unwrap_or_else(there)
}

/// Whether JSON text may hold the key with the value; none where the text cannot tell.
fn may_hold<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    column: C,
    key: &str,
    value: &Value,
) -> Option<Condition> {
    let text = value.as_str().filter(|text| text.is_ascii());
    if !key.is_ascii() {
        return None;
    }
    let named: String = [Some(key), text].into_iter().flatten().collect();
    // the shortest piece that every escape of one of the characters has
    let escape = match named.chars().all(|c| c.is_ascii_alphanumeric() || "_ .:-@".contains(c)) {
        true => "\\u00",
        false => "\\",
    };
    let escaped = dialect.holds(column, escape);
    if !named.chars().all(is_literal) {
        return Some(Condition::any().add(escaped));
    }
    let mut literally = Condition::all().add(dialect.holds(column, &format!("\"{key}\"")));
    if let Some(text) = text {
        literally = literally.add(dialect.holds(column, &format!("\"{text}\"")));
    }
    Some(Condition::any().add(literally).add(escaped))
}

/// Whether a character can stand in a JSON string as it is.
fn is_literal(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}

/// False only for rows that certainly show the key with the value; none where the column cannot tell.
fn has_not<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    source: &Source<C>,
    key: &str,
    value: &Value,
    nested: bool,
) -> Option<SimpleExpr> {
    let text = value.as_str().filter(|text| text.is_ascii())?;
    match *source {
        Source::Text(name, column) | Source::Blank(name, column) if name == key => {
            Some(Expr::col(column).is_null().or(dialect.differs(column, text)))
        }
        Source::AsItIs(column) | Source::WithTerms(column, _)
            if nested && key.chars().chain(text.chars()).all(is_literal) =>
        {
            Some(Expr::col(column).is_null().or(dialect.flat_json_has(column, key, text).not()))
        }
        _ => None,
    }
}
