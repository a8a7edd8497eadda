//! The body of an answer, which returns the record of its request to the connection when the HTTP library has taken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::connection::HttpConnection;
use crate::api::request_record::RequestRecord;

/// The body of an answer with the record of its request.
pub(super) struct AnswerBody {
    body: Body,
    /// Number of bytes that the HTTP library has taken.
    bytes: u64,
    record: Option<RequestRecord>,
    connection: Arc<HttpConnection>,
}

impl AnswerBody {
    pub(super) fn new(body: Body, record: RequestRecord, connection: Arc<HttpConnection>) -> AnswerBody {
        AnswerBody { body, bytes: 0, record: Some(record), connection }
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.connection.answer_taken(record, self.bytes);
        }
    }
}

/// The answers of a connection that the HTTP library has taken and the kernel has not, with the numbers of bytes of their
/// bodies.
#[derive(Default)]
pub(super) struct UnsentAnswers {
    answers: Vec<(RequestRecord, u64)>,
    /// Number of bytes of the connection that belong to earlier answers.
    counted: u64,
}

impl UnsentAnswers {
    pub(super) fn add(&mut self, record: RequestRecord, bytes: u64) {
        self.answers.push((record, bytes));
    }

    /// Completes the records of all answers. `sent`: number of bytes that the kernel has taken since the beginning of the
    /// connection. If a client sends several requests at once, the last of their answers counts the bytes of all heads.
    pub(super) fn finish(&mut self, sent: u64, is_complete: bool) {
        let last = self.answers.len().saturating_sub(1);
        for (number, (mut record, bytes)) in self.answers.drain(..).enumerate() {
            let rest = sent.saturating_sub(self.counted);
            let bytes = if number == last { rest } else { bytes.min(rest) };
            self.counted += bytes;
            record.wrote(bytes, is_complete);
        }
    }
}
