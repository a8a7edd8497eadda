//! The body of a request, with time limits for its arrival.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Duration, Instant, Sleep};

use super::connection::HttpConnection;
use crate::app::BodyLimits;
use crate::error::BodyTimeout;

/// Longest pause in a body after the signal to stop.
const STOP_IDLE: Duration = Duration::from_secs(2);
/// Time limit of a body after the signal to stop.
const STOP_TOTAL: Duration = Duration::from_secs(5);

/// A body that fails with [`BodyTimeout`] if it pauses for too long or takes too long in total. Unread bytes
/// go back to the connection.
pub(super) struct RequestBody {
    /// `None` after the end of the body.
    incoming: Option<Incoming>,
    connection: Arc<HttpConnection>,
    /// `None` until the reader must wait. A body that arrives with its head needs no timer.
    wait: Option<BodyWait>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, connection: Arc<HttpConnection>) -> RequestBody {
        RequestBody { incoming: Some(incoming), connection, wait: None }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(wait) = &mut this.wait {
                    wait.progress = Instant::now();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.incoming = None;
                this.connection.close_after_answer();
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.incoming = None;
                this.connection.starts_working();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let wait = this.wait.get_or_insert_with(|| {
                    this.connection.waits_for_client();
                    BodyWait::new()
                });
                let expired = wait.poll(cx, this.connection.limits(), this.connection.is_stopping());
                expired.map(|()| Some(Err(BodyTimeout.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.connection.starts_working();
        if let Some(rest) = self.incoming.take().filter(|rest| !rest.is_end_stream()) {
            self.connection.return_body(rest);
        }
    }
}

/// A wait for the next bytes.
struct BodyWait {
    began: Instant,
    progress: Instant,
    /// When the wait was first polled after the signal to stop.
    stopping_since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl BodyWait {
    fn new() -> BodyWait {
        let now = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(now));
        BodyWait { began: now, progress: now, stopping_since: None, sleep }
    }

    /// Ready if the body is overdue. The signal to stop wakes the task of the connection, so `stopping` takes
    /// effect at once.
    fn poll(&mut self, cx: &mut Context<'_>, limits: BodyLimits, stopping: bool) -> Poll<()> {
        let mut deadline = (self.progress + limits.idle).min(self.began + limits.total);
        if stopping {
            let since = *self.stopping_since.get_or_insert_with(Instant::now);
            deadline = deadline.min(self.progress.max(since) + STOP_IDLE).min(since + STOP_TOTAL);
        }
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}
