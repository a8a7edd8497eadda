//! The order of a list in SQL: its next rows, what is behind a row, and where a marker is.
//!
//! Every statement reads along an index that has the order, so that it costs as much as the rows it gives.

use std::cmp::min;

use sea_query::{
    Asterisk, Condition, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, UnionType,
};

use super::{CREATED_AT, ID, Listing, padded};
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::unreadable;
use crate::row::Row;

/// Last row seen: its time, its id.
pub(in crate::query) type Last = (Option<String>, String);

/// The place of a row of a list.
pub(in crate::query) fn last(doing: &'static str, row: &Row) -> Result<Last, StoreError> {
    let at = unreadable(doing);
    Ok((row.text(CREATED_AT).map_err(&at)?, row.string(ID).map_err(&at)?))
}

/// The places behind the last one seen. The database must compare ids as bytes are compared.
pub(super) fn behind<'p>(places: &'p [Last], after: Option<&Last>, newest_first: bool) -> &'p [Last] {
    let Some(last) = after else { return places };
    let seen = places.partition_point(|place| if newest_first { place >= last } else { place <= last });
    &places[seen..]
}

impl<C: IntoColumnRef + Copy> Listing<'_, C> {
    /// So many rows behind the last one seen; `among`: only those at these places.
    pub(super) fn batch(
        &self,
        after: Option<&Last>,
        among: Option<&[Last]>,
        limit: u64,
        offset: u64,
    ) -> SelectStatement {
        // engines know no larger number
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
        // The first rows of each in order, and of those the first ones. By position: that is
        // where every query has the time and the id.
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
        for position in [CREATED_AT, ID] {
            select.order_by_expr(Expr::cust((position + 1).to_string()), order.clone());
        }
        select.limit(limit).offset(offset).to_owned()
    }

    /// Rows behind the last one seen, in the order (created_at, id). Rows written by hand may lack the time; both
    /// engines sort NULL first.
    fn behind(&self, last: &Last) -> Condition {
        let (time, id) = (|| Expr::col(self.created_at), || Expr::col(self.id));
        let (at, last_id) = (last.0.as_deref(), last.1.as_str());
        match (at, self.page.newest_first) {
            // the first half alone bounds the part of the index that is read
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

    /// The place of the page's marker; none if the page has no marker. The search need not want the marker's document,
    /// and the document may be deleted: a client can change and delete the documents of a page before it asks for the
    /// next one.
    pub(super) async fn find_marker(&self, db: &mut Db) -> Result<Option<Last>, StoreError> {
        let (Some(marker), Some(select)) = (&self.page.marker, &self.marked) else { return Ok(None) };
        let doing = db.doing();
        match db.select_one(select).await? {
            // as bytes: the database may take another id for this one
            Some(row) if last(doing, &row)?.1 == *marker => last(doing, &row).map(Some),
            _ => Err(StoreError::UnknownMarker { id: marker.clone() }),
        }
    }
}
