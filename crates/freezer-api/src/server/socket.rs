//! The socket of a connection: closes it so that the last answer arrives.
//!
//! If a socket is closed with unread data in its receive buffer, the kernel sends a reset, and the peer can
//! lose an answer that it has not read yet. Therefore the sending side is closed first. Further data is
//! discarded until the request has ended, the client has closed, or a limit is reached (RFC 9112, section
//! 9.6).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep};

use super::connection::HttpConnection;
use super::framing::Framing;
use super::refusal::{self, LibraryAnswer};
use super::stream::ByteStream;
use crate::api::rejection::RejectionReason;
use crate::api::request_record::RequestRecord;

/// Time limit for discarding data of a client after its answer.
const LINGER_TOTAL: Duration = Duration::from_secs(30);
/// Longest pause of the client in this time.
const LINGER_IDLE: Duration = Duration::from_secs(5);
/// Time limit of both after the signal to stop, and of the arrival of a request's head.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long a request continues after its client has closed its sending side. Such a client may still read the answer, as
/// `nc -N` does. It cannot be told apart from a client that is gone, and the statements of a client that is gone must end.
const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(3);
/// How long to wait for another request on a connection after the signal to stop.
const STOP_IDLE: Duration = Duration::from_millis(500);
/// Maximum number of bytes to discard.
const DISCARD_MAX: u64 = 64 * 1024 * 1024;
const DISCARD_BUFFER: usize = 16 * 1024;

/// A socket that lingers when it is closed.
pub(super) struct Socket {
    stream: ByteStream,
    framing: Framing,
    connection: Arc<HttpConnection>,
    /// Whether the client has closed its side, or the limit of bytes to discard is reached.
    ended: bool,
    discarded: u64,
    /// Whether the sending side is closed.
    shut: bool,
    linger: Option<Linger>,
    /// Time limit of an expected head after the signal to stop.
    head_timeout: Option<Pin<Box<Sleep>>>,
    /// Time limit of a client that does not read its answer.
    write_timeout: Option<Pin<Box<Sleep>>>,
    /// How a client reads the present answer. `None` until it must be waited for.
    reading: Option<Reading>,
    /// Time limit of a request whose client has closed its sending side.
    half_closed_timeout: Option<Pin<Box<Sleep>>>,
    /// The answer to an unreadable head: the last bytes of the connection.
    refusal: Option<HeadRefusal>,
}

/// The answer to an unreadable head.
struct HeadRefusal {
    unsent: Vec<u8>,
    sent: u64,
    record: RequestRecord,
}

/// The progress of a client that reads an answer slowly.
struct Reading {
    began: Instant,
    /// Number of bytes that it has taken since then.
    bytes: u64,
}

struct Linger {
    began: Instant,
    progress: Instant,
    stopping_since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Socket {
    pub(super) fn new(stream: ByteStream, connection: Arc<HttpConnection>) -> Socket {
        Socket {
            stream,
            framing: Framing::new(),
            connection,
            ended: false,
            discarded: 0,
            shut: false,
            linger: None,
            head_timeout: None,
            write_timeout: None,
            reading: None,
            half_closed_timeout: None,
            refusal: None,
        }
    }

    /// Returns whether all earlier requests were answered, and the next head must come from the client.
    fn awaits_head(&self) -> bool {
        let answered = self.connection.waited().is_some() && self.write_timeout.is_none();
        answered && (self.framing.is_in_head() || self.framing.is_between_requests())
    }

    fn received(&mut self, bytes: &[u8]) {
        self.framing.receive(bytes);
        if let Some(request) = self.framing.ambiguous() {
            self.connection.set_ambiguous(request);
        }
    }

    /// Reads and discards received data. Ready when there is nothing more to wait for.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [MaybeUninit::uninit(); DISCARD_BUFFER];
        while !self.ended {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.framing.receive(buffer.filled());
                    self.discarded = self.discarded.saturating_add(buffer.filled().len() as u64);
                    self.ended = self.discarded >= DISCARD_MAX;
                    if let Some(linger) = &mut self.linger {
                        linger.progress = Instant::now();
                    }
                }
                _ => self.ended = true,
            }
        }
        Poll::Ready(())
    }

    /// Waits for a client that reads its answer slowly, as long as it makes progress and is not slower than the minimum
    /// rate. The bytes of its request must not fill the connection meanwhile, because then the client would wait for the
    /// service.
    fn wait_for_reader(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.write_timeout = None;
            if let (Some(reading), Ok(bytes)) = (&mut self.reading, &written) {
                reading.bytes = reading.bytes.saturating_add(*bytes as u64);
            }
            return Poll::Ready(written);
        }
        if self.connection.discards() {
            let _ = self.poll_discard(cx);
        }
        let reading = self.reading.get_or_insert_with(|| Reading { began: Instant::now(), bytes: 0 });
        let (bytes, elapsed) = (reading.bytes, reading.began.elapsed());
        let rest = self.connection.time_to_read(bytes).saturating_sub(elapsed);
        let limit = self.connection.answer_timeout().min(rest);
        let timeout = self.write_timeout.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timeout.as_mut().poll(cx));
        tracing::debug!(
            "an answer was abandoned, because the client read {bytes} bytes of it in {elapsed:?}"
        );
        self.stream.discard_unsent();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes the slices up to an answer of the HTTP library, and stores its replacement for the end.
    fn poll_write_around(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        found: &LibraryAnswer,
    ) -> Poll<io::Result<usize>> {
        let Some((last, before)) = slices.get(..=found.slice).and_then(<[_]>::split_last) else {
            return Poll::Ready(Ok(0));
        };
        let mut earlier: Vec<IoSlice<'_>> = before.iter().map(|slice| IoSlice::new(slice)).collect();
        earlier.push(IoSlice::new(last.get(..found.start).unwrap_or_default()));
        if earlier.iter().any(|slice| !slice.is_empty()) {
            return self.poll_send(cx, &earlier);
        }
        let mut record = self.connection.record_without_head();
        let unsent = found.answer(&mut record, self.framing.is_oversized());
        self.refusal = Some(HeadRefusal { unsent, sent: 0, record });
        Poll::Ready(Ok(last.len()))
    }

    /// Writes slices, and counts the bytes that the kernel takes.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(bytes)) = sent {
            self.connection.add_sent(bytes);
        }
        sent
    }

    /// Writes the answer to an unreadable head.
    fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        while !refusal.unsent.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &refusal.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusal.unsent.drain(..written);
            refusal.sent += written as u64;
            refusal.record.wrote(refusal.sent, refusal.unsent.is_empty());
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when a connection whose sending side is being closed has lingered long enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stopping = self.connection.is_stopping();
        self.linger.get_or_insert_with(Linger::new).poll(cx, stopping)
    }

    /// After the signal to stop, waits for a head only for a moment. A request may be on its way, especially
    /// on a new connection.
    fn poll_head_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let begun = self.framing.is_in_head() || !self.connection.has_served();
        let limit = if begun { STOP_LIMIT } else { STOP_IDLE };
        let timeout = self.head_timeout.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timeout.as_mut().poll(cx)
    }

    /// Waits before the end of the stream is reported while a request is served, because the HTTP library then abandons
    /// the request. The time limit of an answer that is being written is that of `wait_for_reader`.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.write_timeout.is_some() {
            return Poll::Pending;
        }
        let is_idle =
            self.connection.waited().is_some() && self.framing.heads() <= self.connection.requests();
        if is_idle {
            return Poll::Ready(());
        }
        let new = || Box::pin(tokio::time::sleep(HALF_CLOSED_LIMIT));
        self.half_closed_timeout.get_or_insert_with(new).as_mut().poll(cx)
    }
}

impl Drop for Socket {
    /// Records a request whose head did not arrive.
    fn drop(&mut self) {
        if !self.framing.is_in_head() || self.refusal.is_some() {
            return;
        }
        let mut record = self.connection.record_without_head();
        if self.connection.closes_now() {
            record.reject(RejectionReason::Connections);
        } else if !self.ended && !self.connection.is_stopping() {
            record.reject(RejectionReason::HeadTime);
        }
    }
}

impl Linger {
    fn new() -> Linger {
        let now = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(now));
        Linger { began: now, progress: now, stopping_since: None, sleep }
    }

    fn poll(&mut self, cx: &mut Context<'_>, stopping: bool) -> Poll<()> {
        let mut deadline = (self.progress + LINGER_IDLE).min(self.began + LINGER_TOTAL);
        if stopping {
            deadline = deadline.min(*self.stopping_since.get_or_insert_with(Instant::now) + STOP_LIMIT);
        }
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match read {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                this.ended |= bytes.is_empty();
                this.received(bytes);
                match bytes.is_empty() {
                    true => this.poll_end(cx).map(Ok),
                    false => Poll::Ready(Ok(())),
                }
            }
            // Reports the end of the stream, so that the HTTP library abandons the request.
            Poll::Pending if this.connection.is_stopping() && this.awaits_head() => {
                this.poll_head_timeout(cx).map(Ok)
            }
            read => read,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match refusal::find(slices) {
            None => self.poll_send(cx, slices),
            Some(found) => self.poll_write_around(cx, slices, &found),
        };
        self.wait_for_reader(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS buffers a part of the answer, so a flush can also wait for a slow client.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0);
        let flushed = self.wait_for_reader(cx, flushed).map_ok(drop);
        if flushed.is_ready() {
            self.reading = None;
        }
        if matches!(flushed, Poll::Ready(Ok(()))) {
            // The kernel has taken the whole answer.
            self.connection.answers_sent();
        }
        flushed
    }

    /// Closes the sending side. Ready when the socket can be closed without a reset.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.shut {
            let closed =
                this.poll_refuse(cx)?.is_ready() && Pin::new(&mut this.stream).poll_shutdown(cx)?.is_ready();
            if !closed {
                // The client does not read. TLS has an end message, which waits for room in the kernel's buffer, too.
                ready!(this.poll_linger(cx));
                this.stream.discard_unsent();
                return Poll::Ready(Ok(()));
            }
            this.shut = true;
        }
        if this.poll_discard(cx).is_ready() || this.framing.is_between_requests() {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(cx).map(Ok)
    }
}
