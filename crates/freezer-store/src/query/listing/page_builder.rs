//! [`PageBuilder`]: collects the documents of a page.

use super::{CompletionLimits, Last, Listed, ListedDocument, NAMED, Page, READ_AT_ONCE};
use crate::error::StoreError;
use crate::search::Matcher;

/// Collects the documents of a page, in order.
pub(in crate::query) struct PageBuilder<T> {
    /// Number of accepted documents that must still be skipped.
    pub(super) skip: u64,
    /// The next row to read is after this row.
    pub(super) after: Option<Last>,
    pub(super) max_bytes: u64,
    limit: u64,
    documents: Vec<T>,
    bytes: u64,
    /// Whether a document did not fit.
    is_cut: bool,
    readable: u64,
    /// The errors of documents that the page leaves out.
    left_out: Vec<StoreError>,
    /// Whether the list has no more documents.
    is_at_end: bool,
}

impl<T: ListedDocument> PageBuilder<T> {
    /// Returns an empty page that begins after a row.
    pub(in crate::query) fn new(page: &Page, after: Option<Last>) -> PageBuilder<T> {
        let limit = page.limit.saturating_add(u64::from(page.look_ahead));
        let (skip, max_bytes) = (page.offset, page.max_bytes);
        PageBuilder {
            skip,
            after,
            max_bytes,
            limit,
            documents: Vec::new(),
            bytes: 0,
            is_cut: false,
            readable: page.readable,
            left_out: Vec::new(),
            is_at_end: false,
        }
    }

    /// Returns a page that skips every document, to count them.
    pub(super) fn counting(readable: u64) -> PageBuilder<T> {
        PageBuilder::new(&Page { readable, ..Page::at(0, u64::MAX) }, None)
    }

    /// Returns the number of documents that a [`PageBuilder::counting`] has skipped.
    pub(super) fn counted(&self) -> u64 {
        u64::MAX - self.skip
    }

    /// Returns the number of accepted documents that are still needed, including those to skip.
    pub(in crate::query) fn needed(&self) -> u64 {
        match self.is_cut || self.is_at_end {
            true => 0,
            false => self.skip.saturating_add(self.limit - self.documents.len() as u64),
        }
    }

    /// Returns the limits within which documents may be completed at once.
    pub(super) fn room(&self) -> CompletionLimits {
        let bytes = self.max_bytes.saturating_sub(self.bytes).min(READ_AT_ONCE);
        CompletionLimits { bytes, readable: self.readable }
    }

    /// Adds the next document of the list if it is needed and the matcher accepts it. The document must be complete.
    pub(in crate::query) fn add_next(&mut self, document: T, place: Last, matcher: Option<&mut Matcher<'_>>) {
        self.after = Some(place);
        let show = |matcher: &mut Matcher<'_>| {
            document.show_row(matcher);
            document.show_rest(matcher);
        };
        if matcher.is_none_or(|matcher| matcher.accepts(show)) {
            self.add(document);
        }
    }

    /// Marks the end of the list: the page needs no more documents.
    pub(in crate::query) fn end(&mut self) {
        self.is_at_end = true;
    }

    /// Returns whether the page contains the next accepted document, instead of skipping it.
    pub(super) fn takes_next(&self) -> bool {
        self.skip == 0
    }

    /// Leaves out a document that is too large for any request. Returns the error of a document that another request can read.
    pub(super) fn leave_out(&mut self, error: StoreError) -> Option<StoreError> {
        if !matches!(error, StoreError::TooLarge { bytes, .. } if bytes > self.readable) {
            return Some(error);
        }
        if self.left_out.len() < NAMED {
            self.left_out.push(error);
        }
        None
    }

    /// Ends the page before a document that is larger than the query may read.
    ///
    /// # Errors
    /// The error of this document if the page has no documents.
    pub(super) fn cut_before(&mut self, error: StoreError) -> Result<(), StoreError> {
        if self.documents.is_empty() {
            return Err(error);
        }
        self.is_cut = true;
        Ok(())
    }

    /// Adds an accepted document if it is needed.
    pub(super) fn add(&mut self, document: T) {
        if self.needed() == 0 || !self.takes() {
            return;
        }
        let bytes = self.bytes.saturating_add(document.size() as u64);
        if bytes > self.max_bytes && !self.documents.is_empty() {
            self.is_cut = true;
            return;
        }
        self.bytes = bytes;
        self.documents.push(document);
    }

    /// Skips an accepted document if some must be skipped. Returns true if the page needs it.
    pub(super) fn takes(&mut self) -> bool {
        let is_skipped = self.skip > 0;
        self.skip -= u64::from(is_skipped);
        !is_skipped
    }

    /// Returns the page.
    pub(in crate::query) fn build(self, page: &Page, count: Option<u64>) -> Listed<T> {
        let PageBuilder { mut documents, is_cut: cut, left_out, .. } = self;
        let more = cut || documents.len() as u64 > page.limit;
        documents.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Listed { documents, more, cut, left_out, count }
    }
}
