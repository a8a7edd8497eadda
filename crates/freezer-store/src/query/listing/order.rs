//! The order of a list in SQL: the next rows, the rows after a row, and the row of a marker.
//!
//! Lists of a project, and of the jobs of all projects, read along an index with this order. Their cost is proportional
//! to the rows that are returned or skipped.

use std::cmp::min;

use sea_query::{
    Asterisk, Condition, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, UnionType,
};

use super::{DocumentQuery, padded};
use crate::additions::Indexes;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::key_order;

/// A position in a list: the time and the id of a row.
pub(in crate::query) type Last = (Option<String>, String);

/// Returns the positions after the last one. The database must compare ids by their bytes.
pub(super) fn behind<'p>(places: &'p [Last], after: Option<&Last>, newest_first: bool) -> &'p [Last] {
    let Some(last) = after else { return places };
    let seen = places.partition_point(|place| if newest_first { place >= last } else { place <= last });
    &places[seen..]
}

impl<C: IntoColumnRef + Copy> DocumentQuery<'_, C> {
    /// Selects the next rows after the last one. With `among`, only the rows at these positions.
    pub(super) async fn batch(
        &self,
        db: &mut Db,
        after: Option<&Last>,
        among: Option<&[Last]>,
        limit: u64,
        offset: u64,
    ) -> Result<SelectStatement, StoreError> {
        let dialect = db.dialect();
        let along = match (self.along, after, dialect) {
            (Some(index), Some(_), Dialect::MySql) if db.has_indexes(Indexes::Lists).await? => Some(index),
            _ => None,
        };
        // The largest limit of the engines.
        let largest = u64::MAX >> 1;
        let (limit, offset) = (min(limit, largest), min(offset, largest));
        let mut parts: Vec<SelectStatement> = self.narrowed.clone();
        if let (Some(first), Some(index)) = (parts.first_mut(), along) {
            dialect.read_along(first, index);
        }
        if let Some(last) = after {
            let ranges = self.ranges(dialect, last);
            let in_range = |part: SelectStatement| {
                ranges.iter().map(move |range| part.clone().cond_where(range.clone()).to_owned())
            };
            parts = parts.into_iter().flat_map(in_range).collect();
        }
        let ordered = |select: &mut SelectStatement, [time, id]: [Expr; 2]| {
            let order = if self.page.newest_first { Order::Desc } else { Order::Asc };
            // If only rows without a time follow, MariaDB would sort all of them.
            if !matches!(after, Some((None, _)) if self.page.newest_first) {
                select.order_by_expr(time, order.clone());
            }
            select.order_by_expr(id, order);
        };
        for part in &mut parts {
            ordered(part, [Expr::col(self.created_at), Expr::col(self.id)]);
            if let Some(places) = among {
                let ids = padded(places.iter().map(|(_, id)| id.as_str()).collect());
                part.and_where(Expr::col(self.id).is_in(ids));
            }
        }
        if let [part] = &mut parts[..] {
            return Ok(part.limit(limit).offset(offset).to_owned());
        }
        // The first rows of each query in order, and the first of all these. Every table has these names of columns.
        let first = parts.into_iter().enumerate().map(|(number, mut part)| {
            part.limit(min(limit + offset, largest));
            Query::select().column(Asterisk).from_subquery(part, format!("part{number}")).to_owned()
        });
        let parts = first.reduce(|mut parts, part| parts.union(UnionType::All, part).to_owned());
        let mut select = Query::select();
        select.column(Asterisk);
        if let Some(parts) = parts {
            select.from_subquery(parts, "parts");
        }
        ordered(&mut select, ["created_at", "id"].map(Expr::col));
        Ok(select.limit(limit).offset(offset).to_owned())
    }

    /// Returns conditions for the rows after the last one, in the order (created_at, id). No row has two of
    /// them. Manually written rows may lack the time; both engines sort NULL first.
    fn ranges(&self, dialect: Dialect, last: &Last) -> Vec<Condition> {
        let (time, id) = (|| Expr::col(self.created_at), || Expr::col(self.id));
        let (at, last_id) = (last.0.as_deref(), last.1.as_str());
        let key = |at: &str| [(time(), Expr::value(at)), (id(), Expr::value(last_id))];
        let untimed = |rest: Expr| Condition::all().add(time().is_null()).add(rest);
        let ranges = match (at, self.page.newest_first) {
            (Some(at), false) => vec![key_order::after(dialect, key(at))],
            (None, false) => {
                vec![untimed(id().gt(last_id)), Condition::all().add(time().is_not_null())]
            }
            (Some(at), true) => {
                vec![key_order::before(dialect, key(at)), Condition::all().add(time().is_null())]
            }
            (None, true) => vec![untimed(id().lt(last_id))],
        };
        match dialect {
            Dialect::MySql => vec![ranges.into_iter().fold(Condition::any(), Condition::add)],
            // SQLite reads along an index for each of them, but not for alternatives.
            Dialect::Sqlite => ranges,
        }
    }

    /// Returns the position of the page's marker, or `None` if the page has no marker. The marker's document
    /// does not have to match the search, and may be deleted, because a client can change and delete the documents of
    /// a page before it requests the next one.
    pub(super) async fn find_marker(&self, db: &mut Db) -> Result<Option<Last>, StoreError> {
        let (Some(marker), Some(select)) = (&self.page.marker, &self.marked) else { return Ok(None) };
        match db.read_one::<Last>(select).await? {
            // Compared as bytes, because the database may match another id.
            Some(place) if place.1 == *marker => Ok(Some(place)),
            _ => Err(StoreError::UnknownMarker { id: marker.clone() }),
        }
    }
}
