//! Compares the session protocol with a simple model. For any sequence of starts, ends, joining and leaving jobs,
//! changes of the hold-off and passing seconds, the answers and the session must be those of the model.
//!
//! The model implements the protocol on which schedulers of 19.0.0 rely (see the table at the top of
//! `service/session_actions.rs`). It uses plain values and no code of the service. It sends one request at a time.
//! `tests/contract/concurrency.rs` and `tests/faults/` test concurrent requests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::support::documents::job;
use super::support::{Engine, Options, START, TestApp, TestDatabase, bounded};

const JOBS: [&str; 3] = ["a", "b", "c"];

/// A step of a test.
#[derive(Debug, Clone)]
pub enum Step {
    /// A node tries to start its job. The number is the difference between its tag and the tag of the session.
    Start(&'static str, i64),
    /// A node reports the result of its job.
    End(&'static str, &'static str),
    Join(&'static str),
    Leave(&'static str),
    HoldOff(i64),
    Pass(i64),
}

/// The session in the model, and the expected answer to the last step.
#[derive(Debug, Clone)]
pub struct Model {
    now: i64,
    tag: i64,
    hold_off: i64,
    /// The beginning of the last run.
    began: i64,
    status: String,
    result: Option<String>,
    /// Status and result of each job in the session.
    jobs: BTreeMap<&'static str, (String, String)>,
    answer: (u16, Option<Value>),
}

impl Model {
    fn start(&mut self, job: &'static str, tag: i64) -> (u16, Option<Value>) {
        let refused = (400, None);
        let is_held_off = (self.now - self.began).abs() <= self.hold_off;
        let answer = |result: &str, tag: i64| (202, Some(json!({"result": result, "session_tag": tag})));
        if tag > self.tag {
            return refused;
        }
        match (is_held_off, tag == self.tag) {
            (true, true) => {
                self.began = self.began.min(self.now);
                return answer("hold-off", self.tag);
            }
            (false, false) => return answer("out-of-sync", self.tag),
            (true, false) | (false, true) => {}
        }
        let Some(entry) = self.jobs.get_mut(job) else { return refused };
        *entry = ("running".to_owned(), String::new());
        if is_held_off {
            self.began = self.began.min(self.now);
        } else {
            self.tag += 1;
            self.began = self.now;
            self.status = "running".to_owned();
            self.result = Some(String::new());
        }
        answer("success", self.tag)
    }

    fn end(&mut self, job: &'static str, result: &str) -> (u16, Option<Value>) {
        let Some(entry) = self.jobs.get_mut(job) else { return (400, None) };
        *entry = ("completed".to_owned(), result.to_owned());
        if self.jobs.values().all(|(status, _)| status == "completed") && self.status != "completed" {
            let is_success = self.jobs.values().all(|(_, result)| result == "success");
            self.status = "completed".to_owned();
            self.result = Some(if is_success { "success" } else { "fail" }.to_owned());
        }
        (202, Some(json!({"result": "success", "session_tag": self.tag})))
    }
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        (0_i64..120)
            .prop_map(|hold_off| Model {
                now: START,
                tag: 0,
                hold_off,
                began: -1,
                status: "active".to_owned(),
                result: None,
                jobs: BTreeMap::new(),
                answer: (0, None),
            })
            .boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Step> {
        let job = || prop::sample::select(&JOBS[..]);
        let hold_off = model.hold_off;
        prop_oneof![
            6 => (job(), prop_oneof![4 => Just(0_i64), 4 => Just(-1), 1 => Just(1), 1 => -5..5_i64])
                .prop_map(|(job, from)| Step::Start(job, from)),
            5 => (job(), prop_oneof![3 => Just("success"), 1 => Just("fail")])
                .prop_map(|(job, result)| Step::End(job, result)),
            3 => job().prop_map(Step::Join),
            1 => job().prop_map(Step::Leave),
            1 => (0_i64..120).prop_map(Step::HoldOff),
            // These values are on both sides of the end of the hold-off.
            3 => prop_oneof![Just(hold_off), Just(hold_off + 1), 0..200_i64].prop_map(Step::Pass),
            // These values simulate a clock that was fast.
            1 => prop_oneof![Just(-hold_off), Just(-hold_off - 1), -200..0_i64].prop_map(Step::Pass),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        model.answer = match step {
            Step::Start(job, from) => {
                let tag = model.tag + from;
                model.start(job, tag)
            }
            Step::End(job, result) => model.end(job, result),
            Step::Join(job) => {
                model.jobs.insert(job, (String::new(), String::new()));
                (204, None)
            }
            Step::Leave(job) => {
                model.jobs.remove(job);
                (204, None)
            }
            Step::HoldOff(seconds) => {
                model.hold_off = *seconds;
                (200, None)
            }
            Step::Pass(seconds) => {
                model.now += seconds;
                (0, None)
            }
        };
        model
    }
}

/// The service with the session.
pub struct Service {
    runtime: Runtime,
    database: TestDatabase,
    app: TestApp,
    /// The tag of the session before the step. Starts are relative to it.
    tag: i64,
}

const SESSION: &str = "/v2/p1/sessions/s";

impl Service {
    fn ask<T>(&self, request: impl Future<Output = T>) -> T {
        self.runtime.block_on(bounded(request))
    }

    fn shown(&self) -> Value {
        self.ask(async { self.app.member().get(SESSION).await.expect(200).json() })
    }
}

impl StateMachineTest for Service {
    type SystemUnderTest = Service;
    type Reference = Model;

    fn init_test(model: &Model) -> Service {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (database, app) = runtime.block_on(bounded(async {
            let database = TestDatabase::create(Engine::Sqlite, "sessions").await.unwrap();
            let app = TestApp::start(&database, Options::default()).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            for id in JOBS {
                member.post(&format!("/v2/p1/jobs/{id}"), job("node-1")).await.expect(201);
            }
            let session =
                json!({"schedule": {}, "hold_off": model.hold_off, "status": "active", "session_tag": 0});
            member.post(SESSION, session).await.expect(201);
            (database, app)
        }));
        Service { runtime, database, app, tag: 0 }
    }

    fn apply(mut service: Service, model: &Model, step: Step) -> Service {
        let member = service.app.member();
        let action = format!("{SESSION}/action");
        let answer = match &step {
            Step::Start(job, from) => {
                let body = json!({"start": {"job_id": job, "current_tag": service.tag + from}});
                Some(service.ask(member.post(&action, body)))
            }
            Step::End(job, result) => {
                let body = json!({"end": {"job_id": job, "result": result}});
                Some(service.ask(member.post(&action, body)))
            }
            Step::Join(job) => Some(service.ask(member.put(&format!("{SESSION}/jobs/{job}")))),
            Step::Leave(job) => Some(service.ask(member.delete(&format!("{SESSION}/jobs/{job}")))),
            Step::HoldOff(seconds) => Some(service.ask(member.patch(SESSION, json!({"hold_off": seconds})))),
            Step::Pass(seconds) => {
                service.app.advance(*seconds);
                None
            }
        };
        if let Some(answer) = answer {
            let (status, body) = &model.answer;
            assert_eq!(answer.status, *status, "{step:?}: {answer}");
            if let Some(body) = body {
                assert_eq!(answer.json(), *body, "{step:?}");
            }
        }
        service.tag = model.tag;
        service
    }

    fn check_invariants(service: &Service, model: &Model) {
        let shown = service.shown();
        let jobs: BTreeMap<&str, Value> = model
            .jobs
            .iter()
            .map(|(job, (status, result))| (*job, json!({"status": status, "result": result})))
            .collect();
        let found: BTreeMap<String, Value> = shown["jobs"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(job, entry)| (job.clone(), json!({"status": entry["status"], "result": entry["result"]})))
            .collect();
        let expected = json!({
            "tag": model.tag, "hold_off": model.hold_off, "time_start": model.began, "status": model.status,
            "result": model.result, "jobs": jobs,
        });
        let found = json!({
            "tag": shown["session_tag"], "hold_off": shown["hold_off"], "time_start": shown["time_start"],
            "status": shown["status"], "result": shown["result"], "jobs": found,
        });
        assert_eq!(found, expected);
    }

    fn teardown(service: Service, _model: Model) {
        service.ask(service.database.remove());
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_protocol(sequential 1..30 => Service);
}
