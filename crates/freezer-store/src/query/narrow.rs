//! The part of a search that the database can evaluate: conditions that skip rows which certainly do not
//! match.
//!
//! Every other row is matched again (`listing/searched.rs`). A condition may accept too many rows, but must
//! never skip a matching one. Databases compare more loosely than a search: they ignore case, accents and
//! trailing spaces. This is allowed in conditions that keep rows. Conditions that skip rows compare bytes.
//! `dialect.rs` has the expressions.
//!
//! A key in JSON text is searched as text, `"key"`. This works for any text on any engine, while the JSON
//! functions of engines differ, and fail on invalid JSON. Texts with escapes are never skipped.

use std::ops::RangeInclusive;

use sea_query::{Condition, Expr, ExprTrait, Func, IntoColumnRef, SelectStatement, SimpleExpr};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::search::Search;
use crate::search::terms::term;
use crate::search::times;

/// The sources of a document's keys.
pub(super) struct Shape<C: 'static> {
    /// The columns with a key of their own, and the columns with JSON.
    pub(super) sources: &'static [Source<C>],
    /// Keys whose values come from elsewhere or contain other keys. They get no condition.
    pub(super) opaque: &'static [&'static str],
    /// Keys that count only at the top level of a document (see [`Search::accepts`]).
    pub(super) identity: &'static [&'static str],
    /// The column of a document's time (`search/times.rs`). It is NULL if the time is unknown.
    pub(super) time: Option<fn(Dialect) -> C>,
    /// Whether the columns contain every text of a document.
    pub(super) whole: bool,
}

/// A column, and how its value is shown.
#[derive(Clone, Copy)]
pub(super) enum Source<C> {
    /// A text. NULL is shown as null, or its key is omitted.
    Text(&'static str, C),
    /// A text. NULL is shown as "".
    Blank(&'static str, C),
    /// A whole number. NULL is shown as null, or its key is omitted.
    Int(&'static str, C),
    /// JSON text that is shown with changed or additional keys.
    Changed(C),
    /// JSON text that is shown unchanged.
    AsItIs(C),
    /// The same with the column of its terms (`search/terms.rs`), which cannot be used for identity keys.
    WithTerms(C, fn(Dialect) -> C),
}

impl<C> Shape<C> {
    /// Returns whether a key has no column of its own, so a document has it only in its JSON.
    pub(super) fn is_nested(&self, key: &str) -> bool {
        let has_column = |source: &Source<C>| match source {
            Source::Text(name, _) | Source::Blank(name, _) | Source::Int(name, _) => *name == key,
            Source::Changed(_) | Source::AsItIs(_) | Source::WithTerms(..) => false,
        };
        !self.opaque.contains(&key) && !self.identity.contains(&key) && !self.sources.iter().any(has_column)
    }
}

/// Another table whose rows are part of a document: its columns, and the query for the rows of one document,
/// which gets another condition.
pub(super) struct Inner<'a, C: 'static> {
    pub(super) sources: &'static [Source<C>],
    pub(super) rows: &'a SelectStatement,
}

/// Adds the conditions of a search to a query that its columns can evaluate.
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
    let mut conditions: Vec<Condition> = own.into_iter().map(in_row).collect();
    if let (Some(inner), false) = (inner, anywhere.is_empty()) {
        conditions.push(in_row_or_inner_rows(dialect, &anywhere, in_row, inner));
    }
    if let (Some(time), Some(range)) = (shape.time, times::range(search)) {
        conditions.push(may_be_in(time(dialect), &range));
    }
    for text in search.texts.iter().filter(|_| shape.whole) {
        conditions.extend(may_contain(dialect, shape.sources, &text.to_lowercase()));
    }
    for (key, value) in &search.match_not {
        let nested = !shape.identity.contains(&key.as_str());
        for source in shape.sources {
            let condition = has_not(dialect, source, key, value, nested);
            conditions.extend(condition.map(|condition| Condition::all().add(condition)));
        }
    }
    if !conditions.is_empty() {
        select.cond_where(all_of(conditions));
    }
}

/// Maximum number of conditions that one condition joins.
const JOINED: usize = 16;

/// Returns a condition that is true if all conditions are true, as a tree. The statement builder turns a list of conditions
/// into nested expressions and descends into them recursively, as servers do. A long list would overflow the stack of the
/// thread, and SQLite refuses more than 1,000 levels.
fn all_of(mut conditions: Vec<Condition>) -> Condition {
    let all = |some: &mut dyn Iterator<Item = Condition>| some.fold(Condition::all(), Condition::add);
    while conditions.len() > JOINED {
        let mut rest = conditions.into_iter();
        conditions = Vec::with_capacity(rest.len().div_ceil(JOINED));
        while rest.len() > 0 {
            conditions.push(all(&mut rest.by_ref().take(JOINED)));
        }
    }
    all(&mut conditions.into_iter())
}

/// Returns a condition that is true if each pair may be in the row or in its inner rows. The inner rows of a
/// row are read once for all pairs.
fn in_row_or_inner_rows<I: IntoColumnRef + Copy>(
    dialect: Dialect,
    pairs: &[&(String, Value)],
    in_row: impl Fn(&(String, Value)) -> Condition,
    inner: &Inner<'_, I>,
) -> Condition {
    let (mut here, mut inside) = (Vec::with_capacity(pairs.len()), Vec::with_capacity(pairs.len()));
    for pair @ (key, value) in pairs {
        let in_inner = may_have(dialect, inner.sources, key, value, true);
        here.push(in_row(pair));
        let either = Condition::any().add(in_row(pair)).add(in_inner);
        inside.push(Condition::all().add(Expr::from(Func::max(Expr::from(either))).eq(1)));
    }
    // Without inner rows the maximum is NULL, so the condition on the row itself is separate. This is not
    // EXISTS, because MariaDB 10.11 materialises it and reads the inner tables of all projects before the
    // first row. SQLite accepts HAVING only with a selected maximum.
    let mut rows = inner.rows.clone();
    rows.clear_selects().expr(Func::max(Expr::val(1))).cond_having(all_of(inside));
    Condition::any().add(all_of(here)).add(Expr::from(rows).is_not_null())
}

/// Returns a condition that is true if the time is in the range or unknown.
pub(super) fn may_be_in<C: IntoColumnRef + Copy>(time: C, range: &RangeInclusive<i64>) -> Condition {
    let within = Expr::col(time).between(*range.start(), *range.end());
    Condition::any().add(Expr::col(time).is_null()).add(within)
}

/// Returns a condition that is true if the row may show the text, ignoring case. Returns `None` if columns
/// cannot decide this, because non-ASCII letters may be stored as escapes.
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

/// Returns a condition that is true if the row may show the key with the value.
fn may_have<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    sources: &[Source<C>],
    key: &str,
    value: &Value,
    nested: bool,
) -> Condition {
    // An empty list of alternatives is no condition at all, so the first alternative is always false.
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
                any = any.add(may_contain_pair_or_unknown(dialect, column, key, value));
            }
            // An index contains the terms alone, and the text is only searched if they match. Rows without
            // terms are sent in any case.
            Source::WithTerms(column, terms) if nested => {
                let has_term = dialect.may_have_term(terms(dialect), &term(key, value));
                let holds = may_contain_pair_or_unknown(dialect, column, key, value);
                any = any.add(Condition::all().add(has_term).add(holds));
            }
            _ => {}
        }
    }
    any
}

/// Returns a number that a column of whole numbers can be compared with: it is small enough to equal only one
/// of them.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => {
            let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
            (number.abs() < 2_147_483_648.0).then_some(number as i64)
        }
    }
}

/// Returns a condition: the JSON text may contain the key with the value, or this is unknown.
fn may_contain_pair_or_unknown<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    column: C,
    key: &str,
    value: &Value,
) -> Condition {
    let there = || Condition::all().add(Expr::col(column).is_not_null());
    may_contain_pair(dialect, column, key, value).unwrap_or_else(there)
}

/// Returns a condition: the JSON text may contain the key with the value. Returns `None` if the text cannot
/// decide this.
fn may_contain_pair<C: IntoColumnRef + Copy>(
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
    // The shortest text that occurs in every escape of one of these characters.
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

/// Returns whether a character needs no escape in a JSON string.
fn is_literal(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}

/// Returns a condition that is false only if the row certainly shows the key with the value. Returns `None`
/// if the column cannot decide this.
fn has_not<C: IntoColumnRef + Copy>(
    dialect: Dialect,
    source: &Source<C>,
    key: &str,
    value: &Value,
    nested: bool,
) -> Option<SimpleExpr> {
    let text = value.as_str().filter(|text| text.is_ascii())?;
    match *source {
        // A document can show another value than "" from its JSON.
        Source::Text(..) if text.is_empty() => None,
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
