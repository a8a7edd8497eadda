//! The order of a list in SQL: the next rows, the rows after a row, and the row of a marker.
//!
//! Every statement reads along an index with this order, so its cost is proportional to the returned rows.

use std::cmp::min;

use sea_query::{
    Asterisk, Condition, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, UnionType,
};

use super::{DocumentQuery, padded};
use crate::error::StoreError;
use crate::exec::Db;

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
    pub(super) fn batch(
        &self,
        after: Option<&Last>,
        among: Option<&[Last]>,
        limit: u64,
        offset: u64,
    ) -> SelectStatement {
        // The largest limit of the engines.
        let largest = u64::MAX >> 1;
        let (limit, offset) = (min(limit, largest), min(offset, largest));
        let order = if self.page.newest_first { Order::Desc } else { Order::Asc };
        let ordered = |select: &SelectStatement| {
            let mut select = select.clone();
            select.order_by(self.created_at, order.clone()).order_by(self.id, order.clone());
            if let Some(last) = after {
                select.cond_where(self.behind(last));
            }
            if let Some(places) = among {
                let ids = padded(places.iter().map(|(_, id)| id.as_str()).collect());
                select.and_where(Expr::col(self.id).is_in(ids));
            }
            select
        };
        if let [select] = &self.narrowed[..] {
            return ordered(select).limit(limit).offset(offset).to_owned();
        }
        // The first rows of each query in order, and the first of all these. Every table has these names of columns.
        let first = self.narrowed.iter().enumerate().map(|(number, select)| {
            let mut first = ordered(select);
            first.limit(min(limit + offset, largest));
            Query::select().column(Asterisk).from_subquery(first, format!("part{number}")).to_owned()
        });
        let parts = first.reduce(|mut parts, part| parts.union(UnionType::All, part).to_owned());
        let mut select = Query::select();
        select.column(Asterisk);
        if let Some(parts) = parts {
            select.from_subquery(parts, "parts");
        }
        for column in ["created_at", "id"] {
            select.order_by(column, order.clone());
        }
        select.limit(limit).offset(offset).to_owned()
    }

    /// Returns the condition for rows after the last one, in the order (created_at, id). Manually written
    /// rows may lack the time; both engines sort NULL first.
    fn behind(&self, last: &Last) -> Condition {
        let (time, id) = (|| Expr::col(self.created_at), || Expr::col(self.id));
        let (at, last_id) = (last.0.as_deref(), last.1.as_str());
        match (at, self.page.newest_first) {
            // Only the first condition limits the range of the index.
            (Some(at), false) => Condition::all()
                .add(time().gte(at))
                .add(Condition::any().add(time().gt(at)).add(id().gt(last_id))),
            (None, false) => Condition::any().add(time().is_not_null()).add(id().gt(last_id)),
            (Some(at), true) => Condition::any().add(time().is_null()).add(
                Condition::all()
                    .add(time().lte(at))
                    .add(Condition::any().add(time().lt(at)).add(id().lt(last_id))),
            ),
            (None, true) => Condition::all().add(time().is_null()).add(id().lt(last_id)),
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
