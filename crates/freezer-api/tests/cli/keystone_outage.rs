//! The log lines about an outage of Keystone: one line when it begins, and one when it ends, with its duration and the
//! number of affected requests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::keystone::{Answer, FakeKeystone, PASSWORD, START, TestClock, token};
use crate::process::{self, Database, Engine, MANAGE, Scratch, Service, wait_for};

/// Fifty years, because the service uses the clock of the system.
pub const LIFE: i64 = 50 * 365 * 86_400;
const CALLERS: usize = 6;
/// Maximum number of requests of each caller.
const REQUESTS: usize = 500;

/// The failure of Keystone.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Refused,
    Hanging,
    Closing,
    Status(u16),
}

fn break_down(fault: Fault, keystone: &mut FakeKeystone, runtime: &tokio::runtime::Runtime) {
    let answer = match fault {
        Fault::Refused => return runtime.block_on(keystone.stop()),
        Fault::Hanging => Answer::Never,
        Fault::Closing => Answer::Close,
        Fault::Status(status) => Answer::Status(status, r#"{"error": {"message": "the test says so"}}"#),
    };
    keystone.state().on_validate = answer;
}

fn mend(fault: Fault, keystone: &mut FakeKeystone, runtime: &tokio::runtime::Runtime) {
    match fault {
        Fault::Refused => runtime.block_on(keystone.start_again()),
        _ => keystone.state().on_validate = Answer::Normal,
    }
}

pub fn start(scratch: &Scratch, keystone: &FakeKeystone) -> Service {
    let database = Database::create(Engine::Sqlite, scratch).unwrap();
    let file = scratch.write("sync.conf", &process::config(1, database.url()));
    process::run(MANAGE, &file, &["db", "sync"]).succeeded();
    let login = format!(
        "[keystone_authtoken]\nauth_url = {}\nauth_type = password\nusername = freezer\npassword = {PASSWORD}\n\
         user_domain_name = Default\nproject_name = service\nproject_domain_name = Default\n\
         http_connect_timeout = 1\nhttp_request_max_retries = 0\n",
        keystone.url
    );
    let config = |port| {
        process::config(port, database.url()).replace("auth_strategy = noauth", "auth_strategy = keystone")
            + &login
    };
    Service::start_with(scratch, config, |_| ())
}

/// Lets each caller send requests with new tokens, until one is served after `over` is set. Counts the requests that
/// are not served.
fn ask(service: &Service, name: &str, over: &AtomicBool, refused: &AtomicUsize) {
    for number in 0..REQUESTS {
        let last = over.load(Ordering::SeqCst);
        let header = format!("X-Auth-Token: {name}-{number}\r\n");
        match service.request_with(&header, "GET", "/v2/p1/jobs", "").0 {
            200 if last => return,
            200 => {}
            503 => drop(refused.fetch_add(1, Ordering::SeqCst)),
            other => panic!("{other}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{name} is not served again");
}

#[test]
fn an_outage_of_keystone_is_logged_in_two_lines() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut keystone = runtime.block_on(FakeKeystone::start(TestClock::new()));
    keystone.state().own_life = LIFE;
    let scratch = Scratch::new();
    let service = start(&scratch, &keystone);
    let faults = [
        Fault::Refused,
        Fault::Status(500),
        Fault::Status(503),
        Fault::Hanging,
        Fault::Closing,
        Fault::Refused,
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let name = |caller: usize| format!("{at}-{caller}");
        for caller in 0..CALLERS {
            for number in 0..REQUESTS {
                keystone.add(&format!("{}-{number}", name(caller)), token("ann", &["member"], START + LIFE));
            }
        }
        let before = service.log().len();
        let (over, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (began, mut mended) = (Instant::now(), Duration::ZERO);
        break_down(fault, &mut keystone, &runtime);
        std::thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (service, over, refused) = (&service, &over, &refused);
                scope.spawn(move || ask(service, &name(caller), over, refused));
            }
            let enough = || (refused.load(Ordering::SeqCst) >= 3 * CALLERS).then_some(());
            wait_for("each caller is refused several times", enough);
            mended = began.elapsed();
            mend(fault, &mut keystone, &runtime);
            over.store(true, Ordering::SeqCst);
        });
        let (all, refused) = (began.elapsed(), refused.into_inner());
        let log = service.log().split_off(before);
        let found = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
        let begin = found("Keystone is not available (the end of this outage will be logged)");
        let end = found("Keystone is available again after ");
        assert_eq!((begin.len(), end.len()), (1, 1), "{fault:?}: {log}");
        let of_calls = |level: &str| found(&format!(" {level} keystone_auth.transport ")).len();
        assert_eq!((found(" ERROR ").len(), of_calls("WARNING")), (1, 1), "{fault:?}: {log}");
        assert!(begin[0].contains(" ERROR ") && end[0].contains(" WARNING "), "{fault:?}: {log}");
        let (_, said) = end[0].split_once("available again after ").unwrap();
        let (seconds, requests) = said.split_once(" s; affected requests: ").unwrap();
        let (seconds, requests): (f64, usize) = (seconds.parse().unwrap(), requests.parse().unwrap());
        // Calls that hang at the end of the outage fail after it.
        assert!((refused - CALLERS..=refused).contains(&requests), "{fault:?}: {requests} of {refused}");
        // A call that hangs fails after one second.
        let least = mended.as_secs_f64() - 2.0;
        assert!(seconds >= least && seconds <= all.as_secs_f64() + 0.1, "{fault:?}: {seconds} of {all:?}");
    }
}
