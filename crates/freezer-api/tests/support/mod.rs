//! Runs the service in the process of the test, on a database for one test: [`TestApp`].
//!
//! Requests pass through all layers that a connection uses (`api::middleware::Front`), but not through sockets. The
//! clock only changes when the test advances it, and ids are counted, so answers are the same in every run and on every
//! engine. `database.rs` creates databases, `mariadbd.rs` starts a server that can be killed, `proxy.rs` simulates a
//! network that loses answers, and `exchange.rs` has requests and answers.

#![allow(dead_code, unused_macros, unused_imports, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

pub mod database;
pub mod documents;
pub mod exchange;
pub mod mariadbd;
pub mod proxy;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freezer_api::api;
use freezer_api::api::idempotency::AbandonedClaims;
use freezer_api::api::middleware::Front;
use freezer_api::app::{App, HttpSettings, SharedApp};
use freezer_api::auth::Authenticator;
use freezer_api::clock::{Clock, Ids};
use freezer_api::health::HealthSettings;
use freezer_api::metrics::Metrics;
use freezer_api::policy;
use freezer_api::probes::Probes;
use freezer_api::readiness::Readiness;
use freezer_api::service::Queues;
use freezer_api::service::trusts::Trusts;
use freezer_api::validate::Validators;
use freezer_store::{ConnectSettings, PoolSettings, Store, Timestamp};
use keystone_auth::KeystoneClient;
use oslo_policy::Enforcer;
use uuid::Uuid;

pub use database::{Engine, TestDatabase};
pub use exchange::{Answer, Caller};

/// The time at the beginning of every test: 2026-11-22T10:00:00Z.
pub const START: i64 = 1_795_341_600;

/// Time limit of each test. It is long enough for slow machines, so only hanging tests fail.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// Settings that a test can change.
#[derive(Default, Clone)]
pub struct Options {
    pub pool: PoolSettings,
    pub connect: ConnectSettings,
    /// The authentication. The default trusts the identity headers.
    pub keystone: Option<KeystoneClient>,
    /// Settings of trusts, if Keystone is used.
    pub central: Central,
    /// Limits and switches of the HTTP server. The file of the health check is always a scratch file.
    pub http: HttpSettings,
    /// The metrics, if the client of Keystone must report to the same ones.
    pub metrics: Metrics,
}

/// `[centralized_scheduler]`, with its defaults.
#[derive(Clone)]
pub struct Central {
    /// Whether jobs of central clients get trusts.
    pub enabled: bool,
    /// Whether jobs of ordinary clients get trusts, too.
    pub enforced: bool,
    /// Roles that are delegated. Empty: all roles.
    pub roles: Vec<String>,
}

impl Default for Central {
    fn default() -> Central {
        Central { enabled: true, enforced: false, roles: vec!["member".to_owned()] }
    }
}

/// The client of Keystone, the settings of trusts, and the metrics to which the client reports.
type Identity = (Option<KeystoneClient>, Central, Metrics);

/// The service under test. Clones are the same service.
#[derive(Clone)]
pub struct TestApp(Arc<Parts>);

struct Parts {
    app: SharedApp,
    front: Front,
    now: Arc<AtomicI64>,
    engine: Engine,
    database: TestDatabase,
    disabled_by: PathBuf,
    transcript: Mutex<String>,
}

impl TestApp {
    /// Creates the tables in an empty database and starts the service on them.
    pub async fn start(database: &TestDatabase, options: Options) -> TestApp {
        let Options { pool, connect, keystone, central, http, metrics } = options;
        let store = Store::new_or_create(database.url(), connect, pool);
        store.sync().await.expect("an empty database takes the tables");
        TestApp::built(database, store, (keystone, central, metrics), http)
    }

    /// Starts the service on a store without changing it.
    pub fn on(database: &TestDatabase, store: Store) -> TestApp {
        TestApp::built(database, store, Default::default(), HttpSettings::default())
    }

    fn built(database: &TestDatabase, store: Store, identity: Identity, http: HttpSettings) -> TestApp {
        let health = HealthSettings::disabled_by(disabled_by(database));
        // Tests store the same backup many times.
        let http = HttpSettings { health, repeat_window: None, ..http };
        TestApp::build(database, store, identity, Arc::new(AtomicI64::new(START)), http, 0)
    }

    fn build(
        database: &TestDatabase,
        store: Store,
        (keystone, central, metrics): Identity,
        now: Arc<AtomicI64>,
        http: HttpSettings,
        first_id: u128,
    ) -> TestApp {
        let clock = {
            let now = now.clone();
            Clock::new(move || Timestamp(now.load(Ordering::SeqCst)))
        };
        let store = store.observed_by(metrics.of_store());
        let app = Arc::new(App {
            queues: Queues::new(&store, http.queue_limits(), &metrics),
            store,
            readiness: Readiness::default(),
            enforcer: Enforcer::new(policy::all(), oslo_policy::Options::default()).expect("default rules"),
            validators: Validators::new().expect("the schemas compile"),
            authenticator: match &keystone {
                Some(client) => Authenticator::Keystone(Box::new(client.clone())),
                None => Authenticator::NoAuth(Vec::new()),
            },
            trusts: keystone.map(|keystone| Trusts {
                keystone,
                enabled: central.enabled,
                enforced: central.enforced,
                roles: central.roles,
            }),
            abandoned: AbandonedClaims::default(),
            probes: Probes::default(),
            clock,
            ids: counting(first_id),
            http,
            metrics,
        });
        // Request ids have their own sequence, so that ids of documents do not depend on the number of earlier
        // requests.
        let front = Front::new(api::router(app.clone()), app.clone(), counting(0x0e9 << 116));
        TestApp(Arc::new(Parts {
            app,
            front,
            now,
            engine: database.engine(),
            database: database.clone(),
            disabled_by: disabled_by(database),
            transcript: Mutex::new(String::new()),
        }))
    }

    /// Returns the same service with other HTTP settings and the same rows. It has its own transcript.
    pub fn with_http(&self, change: impl FnOnce(&mut HttpSettings)) -> TestApp {
        let parts = &self.0;
        let mut http = parts.app.http.clone();
        change(&mut http);
        TestApp::build(
            &parts.database,
            parts.app.store.clone(),
            Default::default(),
            parts.now.clone(),
            http,
            1 << 96,
        )
    }

    /// Returns the same service on another store of the same database, with the same time and other ids.
    pub fn on_store(&self, store: Store) -> TestApp {
        let Parts { database, now, app, .. } = &*self.0;
        TestApp::build(database, store, Default::default(), now.clone(), app.http.clone(), 1 << 100)
    }

    /// Returns a member of project p1, the caller of most tests.
    pub fn member(&self) -> Caller {
        self.as_user("u1", "p1", "member")
    }

    /// Returns an admin of project p1.
    pub fn admin(&self) -> Caller {
        self.as_user("admin", "p1", "admin")
    }

    /// Returns any caller. `roles` are separated by commas.
    pub fn as_user(&self, user: &str, project: &str, roles: &str) -> Caller {
        Caller::new(self.clone(), user, project, roles)
    }

    /// Returns the caller with this token, if the service uses Keystone.
    pub fn with_token(&self, token: &str) -> Caller {
        Caller::of_token(self.clone(), token)
    }

    /// Advances the clock.
    pub fn advance(&self, seconds: i64) {
        self.0.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Returns the time of the service.
    pub fn now(&self) -> i64 {
        self.0.now.load(Ordering::SeqCst)
    }

    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    pub fn database(&self) -> &TestDatabase {
        &self.0.database
    }

    pub fn store(&self) -> &Store {
        &self.0.app.store
    }

    pub fn app(&self) -> &SharedApp {
        &self.0.app
    }

    /// Returns the path of the file that disables the node in the health check.
    pub fn disabled_by(&self) -> &PathBuf {
        &self.0.disabled_by
    }

    /// Writes a request and its answer to the transcript, which is compared with a snapshot at the end of the test.
    pub fn show(&self, answer: Answer) -> Answer {
        self.write(&answer.to_string(), "\n");
        answer
    }

    /// Writes a remark about the next answer to the transcript.
    pub fn remark(&self, text: &str) {
        self.write(&format!("# {text}\n"), "\n--------\n\n");
    }

    fn write(&self, text: &str, before: &str) {
        let mut transcript = self.0.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        if !transcript.is_empty() {
            transcript.push_str(before);
        }
        transcript.push_str(text);
    }

    fn transcript(&self) -> String {
        self.0.transcript.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the path of the file that disables the node in the health check.
fn disabled_by(database: &TestDatabase) -> PathBuf {
    database.scratch().with_extension("disabled")
}

/// Returns a source of ids that count up from `first`.
fn counting(first: u128) -> Ids {
    let next = AtomicU64::new(1);
    Ids::new(move || Uuid::from_u128(first + u128::from(next.fetch_add(1, Ordering::SeqCst))))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Runs one test on one engine, on a new database that is removed at the end. The transcript is compared with the
/// snapshot of this name, which is the same for both engines.
///
/// `path` is the module path of the test. Its last two parts are the name of the test.
pub fn run<F>(engine: Engine, path: &str, body: impl FnOnce(TestApp) -> F)
where
    F: Future<Output = ()>,
{
    let name = path.split("::").skip(1).collect::<Vec<_>>().join("__");
    with_database(engine, &name, |runtime, database| {
        let transcript = runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            body(app.clone()).await;
            app.transcript()
        }));
        if !transcript.is_empty() {
            assert_transcript(&name, &transcript);
        }
    });
}

/// Runs a body with an empty database, which is removed at the end, even if the body fails. Prints a note and does
/// nothing if the engine is not available.
pub fn with_database(engine: Engine, name: &str, body: impl FnOnce(&tokio::runtime::Runtime, &TestDatabase)) {
    let outside = runtime();
    let Some(database) = outside.block_on(bounded(TestDatabase::create(engine, name))) else {
        skipped(name, &format!("{} is not set", engine.variable().unwrap_or_default()));
        return;
    };
    let inside = runtime();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| body(&inside, &database)));
    inside.shutdown_timeout(Duration::from_secs(5));
    outside.block_on(bounded(database.remove()));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Prints that a test did not run, and the reason. The test passes, so that `cargo test` needs no server.
pub fn skipped(name: &str, why: &str) {
    #[expect(clippy::print_stderr, reason = "for the reader of the test's output")]
    {
        eprintln!("{name}: skipped: {why}");
    }
}

/// Returns the directory for the files of tests. `FREEZER_TEST_SCRATCH` names one in memory, where databases are created
/// and dropped faster than on a disk.
pub fn scratch_directory() -> PathBuf {
    let named = std::env::var_os("FREEZER_TEST_SCRATCH").filter(|path| !path.is_empty());
    PathBuf::from(named.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()))
}

/// Runs a future with the time limit of a test.
pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIME_LIMIT, future).await.expect("the test hangs")
}

fn assert_transcript(name: &str, transcript: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("../contract/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, transcript));
}

/// Defines two tests for each `async fn name(app: TestApp)`: `name::sqlite` and `name::mariadb`.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => { $(
        mod $test {
            #[test]
            fn sqlite() {
                $crate::support::run($crate::support::Engine::Sqlite, module_path!(), super::$test);
            }

            #[test]
            fn mariadb() {
                $crate::support::run($crate::support::Engine::MariaDb, module_path!(), super::$test);
            }
        }
    )* };
}
pub(crate) use on_both_engines;
