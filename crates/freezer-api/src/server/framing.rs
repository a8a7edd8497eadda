//! Tracks the requests in the bytes of a connection (RFC 9112, section 6).
//!
//! The HTTP library frames and checks the requests. This file adds three properties: whether a request was
//! received completely, whether the head of a request is incomplete, and which request has both
//! `Transfer-Encoding` and `Content-Length`.

use memchr::memchr;

/// Longest body that the HTTP library can read. It uses the two numbers above for other purposes.
const LENGTH_MAX: u64 = u64::MAX - 2;
/// Stored bytes of a line that arrives in parts: enough for the two relevant headers.
const KEPT: usize = 64;

/// The part of a request in which the received bytes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestPart {
    Head,
    /// In a body with this number of missing bytes.
    Body(u64),
    ChunkSize,
    /// In a chunk with this number of missing bytes, including the line end after its data.
    Chunk(u64),
    Trailers,
    /// The request is unreadable. The library rejects it and closes the connection.
    Unknown,
}

/// The length in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(u64),
    Unreadable,
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Framing {
    part: RequestPart,
    line: [u8; KEPT],
    /// Length of the unfinished line, of which at most [`KEPT`] bytes are stored.
    line_length: usize,
    /// Whether the head has a request line.
    head_began: bool,
    length: Option<Length>,
    chunked: bool,
    heads: u32,
    ambiguous: Option<u32>,
    /// The last head declares a body over [`LENGTH_MAX`].
    oversized: bool,
}

impl Framing {
    pub(super) fn new() -> Framing {
        Framing {
            part: RequestPart::Head,
            line: [0; KEPT],
            line_length: 0,
            head_began: false,
            length: None,
            chunked: false,
            heads: 0,
            ambiguous: None,
            oversized: false,
        }
    }

    /// Returns whether all requests were received completely.
    pub(super) fn is_between_requests(&self) -> bool {
        self.part == RequestPart::Head && !self.head_began && self.line_length == 0
    }

    /// Returns the number of complete heads.
    pub(super) fn heads(&self) -> u32 {
        self.heads
    }

    /// Returns whether the head of a request is incomplete.
    pub(super) fn is_in_head(&self) -> bool {
        self.part == RequestPart::Head && (self.head_began || self.line_length > 0)
    }

    /// Returns the number of the first request with both `Transfer-Encoding` and `Content-Length`, counted
    /// from 1.
    pub(super) fn ambiguous(&self) -> Option<u32> {
        self.ambiguous
    }

    /// Returns whether the last head declares a longer body than [`LENGTH_MAX`]. The library rejects it as if its headers
    /// were too large.
    pub(super) fn is_oversized(&self) -> bool {
        self.oversized
    }

    /// Processes the next bytes of the connection.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.part {
                RequestPart::Unknown => return,
                RequestPart::Body(left) => self.skip(bytes, left, RequestPart::Body, RequestPart::Head),
                RequestPart::Chunk(left) => {
                    self.skip(bytes, left, RequestPart::Chunk, RequestPart::ChunkSize)
                }
                RequestPart::Head | RequestPart::ChunkSize | RequestPart::Trailers => {
                    self.receive_line(bytes)
                }
            };
        }
    }

    fn skip<'a>(
        &mut self,
        bytes: &'a [u8],
        left: u64,
        unfinished: fn(u64) -> RequestPart,
        finished: RequestPart,
    ) -> &'a [u8] {
        let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - skipped as u64;
        self.part = if left == 0 { finished } else { unfinished(left) };
        &bytes[skipped..]
    }

    fn receive_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr(b'\n', bytes) else {
            self.keep(bytes);
            return &[];
        };
        if self.line_length == 0 {
            self.finish_line(&bytes[..end], true);
        } else {
            self.keep(&bytes[..end]);
            let (line, length) = (self.line, self.line_length);
            self.finish_line(&line[..length.min(KEPT)], length <= KEPT);
        }
        self.line_length = 0;
        &bytes[end + 1..]
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(room) = self.line.get_mut(self.line_length..) {
            let kept = room.len().min(bytes.len());
            room[..kept].copy_from_slice(&bytes[..kept]);
        }
        self.line_length = self.line_length.saturating_add(bytes.len());
    }

    /// `line` is the line without its end. If it is not `whole`, it is only the beginning of the line.
    fn finish_line(&mut self, line: &[u8], whole: bool) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.part {
            RequestPart::Head if line.is_empty() => self.finish_head(),
            RequestPart::Head if !self.head_began => {
                self.head_began = true;
                self.oversized = false;
            }
            RequestPart::Head => self.header(line, whole),
            RequestPart::ChunkSize => self.part = chunk(line),
            RequestPart::Trailers if line.is_empty() => self.part = RequestPart::Head,
            _ => {}
        }
    }

    fn header(&mut self, line: &[u8], whole: bool) {
        // The first letter excludes most headers.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = if whole { number(value, 10) } else { None };
            self.oversized |= length.is_none_or(|length| length > LENGTH_MAX);
            self.length = Some(length.map_or(Length::Unreadable, Length::Known));
        }
    }

    fn finish_head(&mut self) {
        // Empty lines before a request line are skipped.
        if !self.head_began {
            return;
        }
        self.head_began = false;
        self.heads = self.heads.saturating_add(1);
        let (length, chunked) = (self.length.take(), std::mem::take(&mut self.chunked));
        if chunked && length.is_some() && self.ambiguous.is_none() {
            self.ambiguous = Some(self.heads);
        }
        self.part = match length {
            _ if chunked => RequestPart::ChunkSize,
            None | Some(Length::Known(0)) => RequestPart::Head,
            Some(Length::Known(bytes)) => RequestPart::Body(bytes),
            Some(Length::Unreadable) => RequestPart::Unknown,
        };
    }
}

/// Returns the state after the line with the size of a chunk.
fn chunk(line: &[u8]) -> RequestPart {
    let end = memchr(b';', line).unwrap_or(line.len());
    match number(&line[..end], 16) {
        None => RequestPart::Unknown,
        Some(0) => RequestPart::Trailers,
        Some(size) => RequestPart::Chunk(size.saturating_add(2)),
    }
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.starts_with('+') { None } else { u64::from_str_radix(text, radix).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the state after the bytes. It must be the same if they arrive at once or one by one.
    fn after(text: &str) -> Framing {
        let mut whole = Framing::new();
        whole.receive(text.as_bytes());
        let mut pieces = Framing::new();
        for byte in text.as_bytes() {
            pieces.receive(&[*byte]);
        }
        assert_eq!(
            (whole.part, whole.heads, whole.ambiguous, whole.is_in_head()),
            (pieces.part, pieces.heads, pieces.ambiguous, pieces.is_in_head()),
            "{text}"
        );
        whole
    }

    #[test]
    fn the_end_of_requests_is_detected() {
        for (text, heads) in [
            ("", 0),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 1),
            ("POST / HTTP/1.1\r\ncontent-length:0\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nbGET / HTTP/1.0\r\n\r\n", 2),
            ("POST / HTTP/1.1\nContent-Length: 1\n\nxGET / HTTP/1.1\n\n", 2),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 1),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA;x=1\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
                1,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                2,
            ),
        ] {
            let state = after(text);
            assert!(state.is_between_requests() && !state.is_in_head(), "{text}: {state:?}");
            assert_eq!((state.heads, state.ambiguous()), (heads, None), "{text}");
        }
    }

    #[test]
    fn unfinished_requests_are_detected() {
        for (text, in_head) in [
            ("G", true),
            ("GET / HTTP/1.1\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\n", true),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nsize\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", false),
        ] {
            let state = after(text);
            assert_eq!((state.is_between_requests(), state.is_in_head()), (false, in_head), "{text}");
        }
    }

    #[test]
    fn a_request_with_both_kinds_of_length_is_detected() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let blanks = " ".repeat(100);
        for lengths in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked".to_owned(),
            "transfer-encoding: chunked\r\ncontent-length: 3".to_owned(),
            "TRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH: 0".to_owned(),
            format!("Content-Length:{blanks}3\r\nTransfer-Encoding: chunked"),
            format!("Transfer-Encoding:{blanks}chunked\r\nX: y\r\nContent-Length: 3"),
        ] {
            let both = format!("POST / HTTP/1.1\r\n{lengths}\r\n\r\n0\r\n\r\n");
            assert_eq!(after(&both).ambiguous(), Some(1), "{lengths}");
            assert_eq!(after(&format!("{get}{both}{get}")).ambiguous(), Some(2), "{lengths}");
        }
        let apart = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nxPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(after(apart).ambiguous(), None);
        let in_a_body =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n\r\nContent-Length: 3\r\n";
        assert_eq!(after(in_a_body).ambiguous(), None);
    }

    #[test]
    fn lengths_that_the_library_does_not_read_are_found() {
        let zeros = "0".repeat(100);
        for (lengths, oversized) in [
            ("Content-Length: 3", false),
            ("Content-Length: 18446744073709551613", false),
            ("Content-Length: 18446744073709551614", true),
            ("Content-Length: 18446744073709551615", true),
            ("content-length: 0018446744073709551615", true),
            ("Content-Length: 18446744073709551615\r\nContent-Length: 3", true),
        ] {
            let text = format!("POST / HTTP/1.1\r\n{lengths}\r\n\r\n");
            assert_eq!(after(&text).is_oversized(), oversized, "{lengths}");
        }
        let long = format!("POST / HTTP/1.1\r\nContent-Length: {zeros}18446744073709551615\r\n\r\n");
        for size in [long.len(), 1] {
            let mut state = Framing::new();
            long.as_bytes().chunks(size).for_each(|bytes| state.receive(bytes));
            assert!(state.is_oversized(), "{size}");
        }
        let next = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\n\r\n";
        assert!(!after(next).is_oversized());
    }
}
