//! Rounds of a backup session. All nodes of a session start it at the same moment, and then all end it at the same
//! moment. Each node uses its own connection, as a scheduler does. Afterwards, the session must contain all of them.
//!
//! Each round needs a session that has never run, so the rounds use the sessions of the data set one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::dataset::{Dataset, ObjectKind};
use crate::http::{Answer, Authority, Connection, HttpError};
use crate::record::BenchRecord;
use crate::scenario::headers;
use crate::stats::Latencies;

/// The rounds to run.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// The server.
    pub server: Authority,
    /// The data set with the sessions.
    pub data: Dataset,
    /// The number of the first session that has not run.
    pub first: u64,
    /// The number of rounds.
    pub rounds: u64,
    /// The time limit of a request.
    pub timeout: Duration,
}

#[derive(Default)]
struct RoundTally {
    latencies: Vec<Duration>,
    errors: Vec<String>,
    elapsed: Duration,
}

#[derive(Deserialize)]
struct SessionAnswer {
    session_tag: i64,
    status: String,
    result: String,
    jobs: BTreeMap<String, Member>,
}

#[derive(Deserialize)]
struct Member {
    status: String,
    result: String,
}

impl Rounds {
    /// Runs the rounds and writes the result to `record`.
    pub async fn drive(self, record: &mut BenchRecord) {
        let rounds = Arc::new(self);
        let (mut tally, mut right) = (RoundTally::default(), 0);
        for session in rounds.first..rounds.first + rounds.rounds {
            for action in ["start", "end"] {
                rounds.clone().all_nodes(session, action, &mut tally).await;
            }
            match rounds.judge(session).await {
                Ok(()) => right += 1,
                Err(reason) => tally.errors.push(format!("after round {session}: {reason}")),
            }
        }
        let (latencies, first) = (Latencies::new(tally.latencies), tally.errors.first().cloned());
        record.set_answers(&latencies, tally.errors.len() as u64, first, tally.elapsed);
        record.rounds = Some((rounds.rounds, right));
        record.connects = rounds.rounds * 2 * rounds.data.session_jobs;
    }

    async fn all_nodes(self: Arc<Self>, session: u64, action: &'static str, tally: &mut RoundTally) {
        let begun = Instant::now();
        let mut nodes = JoinSet::new();
        for job in self.data.jobs_of_session(session) {
            let rounds = self.clone();
            nodes.spawn(async move {
                // All requests are due now, so the latency includes the time that one waits for another.
                rounds.node(session, job, action).await.map(|()| begun.elapsed())
            });
        }
        while let Some(ended) = nodes.join_next().await {
            match ended {
                Ok(Ok(latency)) => tally.latencies.push(latency),
                Ok(Err(reason)) => tally.errors.push(format!("{action}: {reason}")),
                Err(error) => tally.errors.push(error.to_string()),
            }
        }
        tally.elapsed += begun.elapsed();
    }

    async fn node(&self, session: u64, job: u64, action: &str) -> Result<(), String> {
        let job = self.data.id(ObjectKind::Job, job);
        let body = match action {
            "start" => format!(r#"{{"start": {{"job_id": "{job}", "current_tag": 0}}}}"#),
            _ => format!(r#"{{"end": {{"job_id": "{job}", "current_tag": 1, "result": "success"}}}}"#),
        };
        let answer = self.ask("POST", &format!("{}/action", self.path(session)), &body).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let spaceless: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        if answer.status == 202 && spaceless.contains(r#""result":"success""#) {
            return Ok(());
        }
        Err(format!("status {}: {}", answer.status, text.chars().take(200).collect::<String>()))
    }

    /// Returns whether the session contains the successful end of all its jobs.
    async fn judge(&self, session: u64) -> Result<(), String> {
        let answer = self.ask("GET", &self.path(session), "").await?;
        let found: SessionAnswer = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("the session cannot be read (status {}): {error}", answer.status))?;
        let ended =
            found.jobs.values().filter(|job| job.status == "completed" && job.result == "success").count()
                as u64;
        let (nodes, jobs) = (self.data.session_jobs, found.jobs.len() as u64);
        if (ended, jobs) != (nodes, nodes) {
            return Err(format!("{ended} of {nodes} nodes' ends are in the session, which has {jobs} jobs"));
        }
        match (found.session_tag, found.status.as_str(), found.result.as_str()) {
            (1, "completed", "success") => Ok(()),
            (tag, status, result) => Err(format!("the session is {status}/{result} with tag {tag}")),
        }
    }

    fn path(&self, session: u64) -> String {
        format!("/v2/{}/sessions/{}", self.data.project, self.data.id(ObjectKind::Session, session))
    }

    async fn ask(&self, method: &str, target: &str, body: &str) -> Result<Answer, String> {
        let request = self.server.request(method, target, &headers(&self.data.project), body);
        let exchange = async { Connection::open(&self.server).await?.exchange(&request).await };
        match timeout(self.timeout, exchange).await {
            Ok(answer) => answer.map_err(|error: HttpError| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::tests::small;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Starts a service that accepts every action and answers with the given session.
    async fn server(session: String) -> Authority {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let session = session.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let count = stream.read(&mut request).await.unwrap();
                    let get = request[..count].starts_with(b"GET");
                    let action = r#"{"result": "success", "session_tag": 1}"#;
                    let (status, body) = if get { (200, session.as_str()) } else { (202, action) };
                    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(text.as_bytes()).await.unwrap();
                });
            }
        });
        Authority::from_url(&url).unwrap()
    }

    async fn round(session: &str) -> BenchRecord {
        let data = Dataset { sessions: 1, session_jobs: 3, ..small() };
        let server = server(session.to_owned()).await;
        let mut record = BenchRecord::default();
        let rounds = Rounds { server, data, first: 0, rounds: 1, timeout: Duration::from_secs(60) };
        rounds.drive(&mut record).await;
        record
    }

    #[tokio::test]
    async fn a_round_is_correct_if_the_session_contains_all_nodes() {
        let job = r#"{"status": "completed", "result": "success"}"#;
        let whole = format!(
            r#"{{"session_tag": 1, "status": "completed", "result": "success", "jobs": {{"a": {job}, "b": {job}, "c": {job}}}}}"#
        );
        let right = round(&whole).await;
        assert_eq!(
            (right.requests, right.errors, right.rounds),
            (6, 0, Some((1, 1))),
            "{:?}",
            right.first_error
        );
        let lost = round(&whole.replacen("completed\", \"result", "running\", \"result", 2)).await;
        assert_eq!((lost.requests, lost.errors, lost.rounds), (6, 1, Some((1, 0))));
        let twice = round(&whole.replace(r#""session_tag": 1"#, r#""session_tag": 2"#)).await;
        assert!(twice.first_error.unwrap().contains("with tag 2"));
    }
}
