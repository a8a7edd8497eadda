//! Adds the JSON body of all other errors to answers of the HTTP library.
//!
//! The library answers an unreadable head with a status and no body, and has no hook to change this. Such an
//! answer is the last one of its connection. It is detected in the written bytes, because every answer of the
//! service contains a request id.

use std::io::IoSlice;

use memchr::memmem;

use crate::api::request_record::RequestRecord;
use crate::api::{middleware::REQUEST_ID, response};

/// An answer of the library in the bytes to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LibraryAnswer {
    /// Index of the slice that ends with it.
    pub(super) slice: usize,
    /// Its start in this slice.
    pub(super) start: usize,
    status: u16,
}

/// Finds an answer of the library.
pub(super) fn find(slices: &[IoSlice<'_>]) -> Option<LibraryAnswer> {
    let in_slice = |(slice, bytes): (usize, &IoSlice<'_>)| {
        let (start, status) = at_end(bytes)?;
        Some(LibraryAnswer { slice, start, status })
    };
    slices.iter().enumerate().find_map(in_slice)
}

/// Returns the start and the status of an answer of the library, if these bytes end with one. Bodies do not
/// end with an empty line.
fn at_end(bytes: &[u8]) -> Option<(usize, u16)> {
    const END: &[u8] = b"\r\n\r\n";
    let before = bytes.strip_suffix(END)?;
    let start = memmem::rfind(before, END).map_or(0, |end| end + END.len());
    let head = before.get(start..)?;
    let is_answer = head.starts_with(b"HTTP/1.");
    let status: u16 = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    let is_ours = memmem::find(head, REQUEST_ID.as_str().as_bytes()).is_some();
    (is_answer && status >= 400 && !is_ours).then_some((start, status))
}

impl LibraryAnswer {
    /// Returns the complete answer that replaces the library's. The library has one status for large headers and for an
    /// oversized body.
    pub(super) fn answer(&self, record: &mut RequestRecord, is_oversized: bool) -> Vec<u8> {
        let status = if is_oversized && self.status == 431 { 413 } else { self.status };
        let (reason, body) = response::unreadable_head(status);
        record.refuse_head(status);
        let request_id = record.request_id();
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\nvary: Accept\r\n{REQUEST_ID}: {request_id}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_of_the_library_are_detected() {
        let library = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let ours =
            "HTTP/1.1 404 Not LibraryAnswer\r\nx-openstack-request-id: req-1\r\ncontent-length: 0\r\n\r\n";
        let found = |texts: &[&str]| {
            let slices: Vec<_> = texts.iter().map(|text| IoSlice::new(text.as_bytes())).collect();
            find(&slices).map(|found| (found.slice, found.start, found.status))
        };
        assert_eq!(found(&[library]), Some((0, 0, 400)));
        assert_eq!(found(&[ours, "{}", library]), Some((2, 0, 400)));
        assert_eq!(found(&[&format!("{ours}{library}"), "{}"]), Some((0, ours.len(), 400)));
        // The end of an earlier answer may precede it.
        assert_eq!(found(&[&format!("0\r\n\r\n{library}")]), Some((0, 5, 400)));
        for other in [ours, "", "{}", "\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "{\"a\": 400}\r\n\r\n"] {
            assert_eq!(found(&[other]), None, "{other}");
        }
    }
}
