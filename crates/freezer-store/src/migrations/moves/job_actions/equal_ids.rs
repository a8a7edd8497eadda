//! [`EqualIds`] knows which ids of actions the database considers equal. The collation of `actions.id` decides this, so
//! the server computes a key for each id.

use std::collections::{BTreeSet, HashMap};

use sea_query::{Expr, Query};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::tables::Actions;

/// Number of ids in one query.
const IDS: usize = 200;

/// Longer ids cannot be ids of actions.
const LONGEST: usize = 255;

/// Keys of ids. Two ids have the same key if the database considers them equal.
pub(in crate::migrations) struct EqualIds {
    /// The collation whose keys the server must compute. `None` if ids are compared letter by letter.
    asked: Option<String>,
    /// Whether the collation ignores spaces at the end.
    ignores_spaces: bool,
    /// Whether `actions.id` has another collation at present.
    is_planned: bool,
    keys: HashMap<String, String>,
}

impl EqualIds {
    /// Returns the rules of a collation. It is empty if ids are compared byte by byte, as on SQLite.
    pub(in crate::migrations) fn in_collation(collation: &str) -> EqualIds {
        let is_exact = collation.is_empty() || collation == "binary";
        let ignores_spaces = !is_exact && !collation.contains("_nopad_") && !collation.contains("_0900_");
        let asked = (!is_exact && !collation.ends_with("_bin")).then(|| collation.to_owned());
        EqualIds { asked, ignores_spaces, is_planned: false, keys: HashMap::new() }
    }

    /// Returns the rules of the collation that `actions.id` will have, if it has another one at present.
    pub(in crate::migrations) fn after_conversion(present: &str, planned: &str) -> EqualIds {
        EqualIds { is_planned: present != planned, ..EqualIds::in_collation(planned) }
    }

    /// Returns `actions.id` as these rules compare it.
    pub(super) fn id_of_actions(&self) -> Expr {
        match self.asked.as_ref().filter(|_| self.is_planned) {
            Some(collation) => {
                let charset = collation.split('_').next().unwrap_or_default();
                Expr::cust(format!("CONVERT(id USING {charset}) COLLATE {collation}"))
            }
            None => Expr::col(Actions::Id),
        }
    }

    /// Returns the rules of the present collation of `actions.id`.
    pub(super) async fn of_actions(db: &mut Db) -> Result<EqualIds, StoreError> {
        if db.dialect() == Dialect::Sqlite {
            return Ok(EqualIds::in_collation(""));
        }
        let found: Vec<String> = db
            .raw_read(
                "SELECT CAST(collation_name AS CHAR) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = 'actions' AND column_name = 'id'",
            )
            .await?;
        Ok(EqualIds::in_collation(found.first().map(String::as_str).unwrap_or_default()))
    }

    /// Computes the keys of these ids.
    pub(in crate::migrations) async fn add(
        &mut self,
        db: &mut Db,
        ids: impl IntoIterator<Item = &str>,
    ) -> Result<(), StoreError> {
        let Some(collation) = self.asked.clone() else { return Ok(()) };
        let charset = collation.split('_').next().unwrap_or_default();
        let new = |id: &&str| id.len() <= LONGEST && !self.keys.contains_key(*id);
        let new: BTreeSet<String> = ids.into_iter().filter(new).map(str::to_owned).collect();
        let new: Vec<String> = new.into_iter().collect();
        for ids in new.chunks(IDS) {
            // All queries have the same text.
            let values = (0..IDS).map(|at| Expr::val(self.compared(ids.get(at).map_or("", String::as_str))));
            let keys =
                vec![format!("HEX(WEIGHT_STRING(CONVERT(? USING {charset}) COLLATE {collation}))"); IDS];
            let mut select = Query::select();
            select.expr(Expr::cust_with_exprs(format!("CONCAT_WS(',', {})", keys.join(", ")), values));
            let keys = db.read::<String>(&select).await?.into_iter().next().unwrap_or_default();
            self.keys.extend(ids.iter().cloned().zip(keys.split(',').map(str::to_owned)));
        }
        Ok(())
    }

    /// Returns the key of an id.
    pub(in crate::migrations) fn key(&self, id: &str) -> String {
        self.keys.get(id).cloned().unwrap_or_else(|| self.compared(id).to_owned())
    }

    fn compared<'a>(&self, id: &'a str) -> &'a str {
        if self.ignores_spaces { id.trim_end_matches(' ') } else { id }
    }
}
