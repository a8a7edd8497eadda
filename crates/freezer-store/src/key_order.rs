//! Conditions for the rows after, before and up to a key of several columns, in the order of an index.
//!
//! Engines differ in the form with which they limit the range of the index to these rows. MySQL and MariaDB
//! need alternatives, `a > ? OR (a = ? AND b > ?)`. SQLite needs row values, `(a, b) > (?, ?)`. In any other
//! form, each batch of a list reads again all rows whose first column has the same value.

use sea_query::{Condition, Expr, ExprTrait};

use crate::dialect::Dialect;

/// A column of the key, and its value. No value is NULL.
pub(crate) type KeyPart = (Expr, Expr);

/// Returns the condition for rows after a key.
pub(crate) fn after<const N: usize>(dialect: Dialect, key: [KeyPart; N]) -> Condition {
    compare(dialect, &key, [Expr::gt, Expr::gt])
}

/// Returns the condition for rows before a key.
pub(crate) fn before<const N: usize>(dialect: Dialect, key: [KeyPart; N]) -> Condition {
    compare(dialect, &key, [Expr::lt, Expr::lt])
}

/// Returns the condition for rows up to a key, which includes the row with this key.
pub(crate) fn up_to<const N: usize>(dialect: Dialect, key: [KeyPart; N]) -> Condition {
    compare(dialect, &key, [Expr::lt, Expr::lte])
}

type Comparison = fn(Expr, Expr) -> Expr;

/// Compares a key. The second comparison is that of the last column, and of row values.
fn compare(dialect: Dialect, key: &[KeyPart], [of_column, of_last]: [Comparison; 2]) -> Condition {
    if dialect == Dialect::Sqlite {
        let (columns, values): (Vec<Expr>, Vec<Expr>) = key.iter().cloned().unzip();
        return Condition::all().add(of_last(Expr::tuple(columns), Expr::tuple(values)));
    }
    (0..key.len()).fold(Condition::any(), |any, at| {
        let (equal, (column, value)) = (&key[..at], key[at].clone());
        let is_last = at + 1 == key.len();
        let compared = if is_last { of_last(column, value) } else { of_column(column, value) };
        let same = equal.iter().cloned().map(|(column, value)| column.eq(value));
        any.add(same.fold(Condition::all(), Condition::add).add(compared))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sea_query::{Alias, MysqlQueryBuilder, Query};

    type Compared = fn(Dialect, [KeyPart; 3]) -> Condition;

    #[test]
    fn the_forms_of_the_engines() {
        let key = || ["a", "b", "c"].map(|name| (Expr::col(Alias::new(name)), Expr::value(7)));
        let sql = |dialect, form: Compared| {
            let select = Query::select().expr(Expr::value(1)).cond_where(form(dialect, key())).to_owned();
            select.to_string(MysqlQueryBuilder).replace('`', "")
        };
        let alternatives = "a = 7 AND b";
        for (form, first, last) in
            [(after as Compared, ">", ">"), (before as Compared, "<", "<"), (up_to as Compared, "<", "<=")]
        {
            assert_eq!(
                sql(Dialect::MySql, form),
                format!(
                    "SELECT 1 WHERE a {first} 7 OR ({alternatives} {first} 7) OR ({alternatives} = 7 AND c {last} 7)"
                )
            );
            assert_eq!(sql(Dialect::Sqlite, form), format!("SELECT 1 WHERE (a, b, c) {last} (7, 7, 7)"));
        }
    }
}
