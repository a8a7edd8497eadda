//! Generates load. In a closed loop, each connection sends its next request after the answer to the last one. In an open
//! loop, a request is due every 1/rate seconds, even if the server is slower.
//!
//! At the end, all open requests are completed and counted. Otherwise the statistics would include only fast requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answers::AnswerCache;
use crate::dataset::Dataset;
use crate::http::{Answer, Authority, Connection, HttpError};
use crate::scenario::Scenario;
use crate::stats::Latencies;

/// The requests to send, and the duration of the load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub server: Authority,
    /// The kind of requests.
    pub scenario: Scenario,
    /// The data set of the server.
    pub data: Dataset,
    /// The number of connections.
    pub connections: usize,
    /// Whether each request opens a connection, as schedulers do.
    pub new_connections: bool,
    /// The requests per second of an open loop. None means a closed loop.
    pub rate: Option<f64>,
    /// The time after which no request starts.
    pub duration: Duration,
    /// The maximum number of requests.
    pub requests: Option<u64>,
    /// The time limit of a request.
    pub timeout: Duration,
}

/// The result of a load.
#[derive(Debug, Default)]
pub struct LoadResult {
    /// The latencies of correct answers.
    pub latencies: Latencies,
    /// The time from the start of the first request to the end of the last one.
    pub elapsed: Duration,
    /// The number of requests without a correct answer.
    pub errors: u64,
    /// The first error.
    pub first_error: Option<String>,
    /// The number of connections that were opened.
    pub connects: u64,
}

#[derive(Default)]
struct ConnectionTally {
    latencies: Vec<Duration>,
    errors: u64,
    first_error: Option<String>,
    connects: u64,
}

impl Load {
    /// Sends all requests and waits for their answers.
    pub async fn drive(self) -> LoadResult {
        let load = Arc::new(self);
        let (next, answers) = (Arc::new(AtomicU64::new(0)), Arc::new(AnswerCache::default()));
        let start = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..load.connections.max(1) {
            workers.spawn(worker(load.clone(), next.clone(), answers.clone(), start));
        }
        let mut all = ConnectionTally::default();
        while let Some(ended) = workers.join_next().await {
            match ended {
                Ok(tally) => all.add(tally),
                Err(error) => all.fail(error.to_string()),
            }
        }
        LoadResult {
            latencies: Latencies::new(all.latencies),
            elapsed: start.elapsed(),
            errors: all.errors,
            first_error: all.first_error,
            connects: all.connects,
        }
    }

    /// Returns the time from which the latency of request `number` counts, or none if the load has ended.
    async fn begin(&self, number: u64, start: Instant) -> Option<Instant> {
        if self.requests.is_some_and(|most| number >= most) {
            return None;
        }
        let Some(rate) = self.rate else {
            let now = Instant::now();
            return (now < start + self.duration).then_some(now);
        };
        let due = Duration::from_secs_f64(number as f64 / rate);
        if due >= self.duration {
            return None;
        }
        let due = start + due;
        if Instant::now() >= due {
            // All connections were busy. The latency includes this delay, because the server caused it.
            return Some(due);
        }
        tokio::time::sleep_until(due).await;
        // The latency does not include the delay of the timer, which has a resolution of milliseconds.
        Some(Instant::now())
    }
}

async fn worker(
    load: Arc<Load>,
    next: Arc<AtomicU64>,
    answers: Arc<AnswerCache>,
    start: Instant,
) -> ConnectionTally {
    let mut tally = ConnectionTally::default();
    let mut connection = None;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let request = load.scenario.request(number, &load.data, &load.server);
        let Some(begun) = load.begin(number, start).await else { return tally };
        let exchange = exchange(&load, &mut connection, &request, &mut tally.connects);
        let answer = match tokio::time::timeout(load.timeout, exchange).await {
            Ok(Ok(answer)) => answer,
            failed => {
                connection = None;
                let timeout = |_| format!("no answer within {:?}", load.timeout);
                tally.fail(failed.map_or_else(timeout, |result| match result {
                    Ok(_) => String::new(),
                    Err(error) => error.to_string(),
                }));
                continue;
            }
        };
        let latency = begun.elapsed();
        if load.new_connections || !answer.keep_alive {
            connection = None;
        }
        match answers.check(load.scenario, number, &load.data, &request, answer) {
            Ok(()) => tally.latencies.push(latency),
            Err(reason) => tally.fail(reason),
        }
    }
}

/// Sends the request on the open connection or on a new one. A server may close a kept connection between two requests at any
/// time. If it does, the request is sent again on a new connection.
async fn exchange(
    load: &Load,
    connection: &mut Option<Connection>,
    request: &[u8],
    connects: &mut u64,
) -> Result<Answer, HttpError> {
    if let Some(kept) = connection.as_mut() {
        match kept.exchange(request).await {
            Err(HttpError::Closed(_, 0) | HttpError::Connection { .. }) => {}
            other => return other,
        }
    }
    *connects += 1;
    connection.insert(Connection::open(&load.server).await?).exchange(request).await
}

impl ConnectionTally {
    fn fail(&mut self, reason: String) {
        self.errors += 1;
        self.first_error.get_or_insert(reason);
    }

    fn add(&mut self, other: ConnectionTally) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.connects += other.connects;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::tests::small;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Starts a server that answers every request with the start of a session, after `pause`.
    async fn server(pause: Duration, head: &'static str) -> Authority {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                        tokio::time::sleep(pause).await;
                        let body = r#"{"result": "success", "session_tag": 1}"#;
                        let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                        stream.write_all(text.as_bytes()).await.unwrap();
                        if head.contains("close") {
                            return;
                        }
                    }
                });
            }
        });
        Authority::from_url(&url).unwrap()
    }

    fn load(server: Authority) -> Load {
        Load {
            server,
            scenario: Scenario::SessionStart,
            data: small(),
            connections: 2,
            new_connections: false,
            rate: None,
            duration: Duration::from_secs(60),
            requests: Some(20),
            timeout: Duration::from_secs(60),
        }
    }

    const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\n";

    #[tokio::test]
    async fn connections_are_kept_or_opened_anew_as_asked_or_as_the_server_wants() {
        let kept = load(server(Duration::ZERO, ACCEPTED).await).drive().await;
        assert_eq!(
            (kept.latencies.count(), kept.errors, kept.connects),
            (20, 0, 2),
            "{:?}",
            kept.first_error
        );
        let new = load(server(Duration::ZERO, ACCEPTED).await);
        let new = Load { new_connections: true, ..new }.drive().await;
        assert_eq!((new.latencies.count(), new.errors, new.connects), (20, 0, 20));
        let head = "HTTP/1.1 202 Accepted\r\nConnection: close\r\n";
        let closed = load(server(Duration::ZERO, head).await).drive().await;
        assert_eq!((closed.latencies.count(), closed.errors, closed.connects), (20, 0, 20));
    }

    #[tokio::test]
    async fn wrong_answers_count_as_errors() {
        let outcome = load(server(Duration::ZERO, "HTTP/1.1 200 OK\r\n").await).drive().await;
        assert_eq!((outcome.latencies.count(), outcome.errors), (0, 20));
        assert!(outcome.first_error.unwrap().contains("status 200 instead of 202"));
    }

    #[tokio::test]
    async fn without_a_server_each_request_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = Authority::from_url(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let outcome = load(gone).drive().await;
        assert_eq!((outcome.latencies.count(), outcome.errors), (0, 20));
    }

    #[tokio::test]
    async fn requests_under_way_at_the_end_are_waited_for() {
        let slow = load(server(Duration::from_millis(50), ACCEPTED).await);
        let outcome = Load { duration: Duration::from_millis(1), requests: None, ..slow }.drive().await;
        assert_eq!((outcome.latencies.count(), outcome.errors), (2, 0));
        assert!(outcome.elapsed >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn an_open_loop_counts_the_wait_for_a_free_connection() {
        // The requests are due at 0, 10, 20 and 30 ms. There is one connection, and each answer takes at least 100 ms.
        let slow = load(server(Duration::from_millis(100), ACCEPTED).await);
        let open = Load { connections: 1, rate: Some(100.0), requests: Some(4), ..slow };
        let outcome = open.drive().await;
        assert_eq!((outcome.latencies.count(), outcome.errors), (4, 0));
        // The last request is due at 30 ms, starts at 300 ms and ends at 400 ms.
        assert!(outcome.latencies.max().unwrap() >= 370.0, "{:?}", outcome.latencies);
    }

    #[tokio::test]
    async fn an_open_loop_sends_what_is_due_within_its_duration() {
        let quick = load(server(Duration::ZERO, ACCEPTED).await);
        let open = Load { rate: Some(200.0), duration: Duration::from_millis(50), requests: None, ..quick };
        // The requests are due at 0, 5, … 45 ms.
        assert_eq!(open.drive().await.latencies.count(), 10);
    }
}
