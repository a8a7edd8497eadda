//! [`TableList`]: lists of documents that are rows of one table.

use sea_query::{Condition, IntoColumnRef, IntoIden, IntoTableRef};

use super::{
    DocumentQuery, DocumentReader, Listed, ListedDocument, Page, list, nothing_missing, read_listed,
    size_position,
};
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::TableColumns;
use crate::query::narrow::{self, Shape};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::TableRow;

/// The list of a table.
pub(in crate::query) struct TableList<C: 'static, Q: 'static> {
    /// The table.
    pub(in crate::query) columns: TableColumns<C>,
    /// The sources of the documents' keys.
    pub(in crate::query) shape: Shape<Q>,
    /// The time of creation and the id.
    pub(in crate::query) order: [Q; 2],
    /// The index of a project's rows in this order.
    pub(in crate::query) index: &'static str,
    /// The key whose values another index finds.
    pub(in crate::query) found_by: &'static str,
    /// The kind of document, and the columns whose size is unlimited.
    pub(in crate::query) texts: (&'static str, &'static [C]),
}

impl<C, Q> TableList<C, Q>
where
    C: IntoIden + IntoTableRef + Copy + PartialEq + 'static,
    Q: IntoColumnRef + Copy,
{
    /// Returns documents of a scope. `R` is the stored row.
    pub(in crate::query) async fn list<R, T>(
        &self,
        db: &mut Db,
        scope: &Scope,
        search: &Search,
        page: &Page,
    ) -> Result<Listed<T>, StoreError>
    where
        R: TableRow<Column = C>,
        T: ListedDocument + From<R>,
    {
        let own = || self.columns.in_scope(scope);
        self.list_visible::<R, T>(db, scope, search, page, (own(), vec![own()])).await
    }

    /// Like [`list`](Self::list), with another condition for the rows that the scope can see. It is given as one condition, and
    /// as disjoint parts, the first of which are the rows of the project.
    pub(in crate::query) async fn list_visible<R, T>(
        &self,
        db: &mut Db,
        scope: &Scope,
        search: &Search,
        page: &Page,
        (visible, parts): (Condition, Vec<Condition>),
    ) -> Result<Listed<T>, StoreError>
    where
        R: TableRow<Column = C>,
        T: ListedDocument + From<R>,
    {
        let (what, texts) = self.texts;
        // A search must match whole documents. `searched.rs` compares the sizes of those that it finds.
        let is_sized = search.is_empty() && !texts.is_empty() && db.read_limit() < u64::MAX;
        let narrowed = parts.into_iter().map(|part| {
            let mut select = match is_sized {
                true => self.columns.live_within::<R>(part, texts, db.read_limit()),
                false => self.columns.live::<R>(part),
            };
            narrow::narrow::<_, Q>(db.dialect(), &mut select, search, &self.shape, None);
            select
        });
        let [created_at, id] = self.order;
        let listing = DocumentQuery {
            narrowed: narrowed.collect(),
            select: self.columns.live::<R>(visible.clone()),
            along: scope.of_project(self.index).filter(|_| !search.names(self.found_by)),
            marked: self.columns.marked(visible, page),
            created_at,
            id,
            search,
            shape: &self.shape,
            page,
            among: None,
            counted: None,
            what,
            sized: is_sized.then_some(size_position::<R>()),
        };
        let read = |row: &mut Row| read_listed::<R>(row).map(|(stored, place)| (T::from(stored), place));
        list(db, listing, None, DocumentReader { read, complete: nothing_missing }).await
    }
}
