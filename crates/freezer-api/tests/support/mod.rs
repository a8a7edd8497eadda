//! The service in the test's own process, on a database of the test's own: [`TestApp`].
//!
//! Requests go through everything that a connection would hand them to (`api::middleware::Front`), without sockets. Time
//! stands still until a test moves it, and ids count up, so whole answers are the same in every run and on every
//! engine. Databases are `database.rs`, a server to be killed is `mariadbd.rs`, a network that loses answers is `proxy.rs`; requests and answers are `exchange.rs`.

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
use freezer_api::api::middleware::Front;
use freezer_api::app::{App, HttpSettings, SharedApp};
use freezer_api::auth::Authentication;
use freezer_api::clock::{Clock, Ids};
use freezer_api::health::HealthSettings;
use freezer_api::policy;
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

/// When every test begins: 2026-11-22T10:00:00Z.
pub const START: i64 = 1_795_341_600;

/// No test takes longer than this, however slow the machine: what hangs fails.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a test may set otherwise.
#[derive(Default, Clone)]
pub struct Options {
    /// Pool of the database.
    pub pool: PoolSettings,
    /// Settings of each connection.
    pub connect: ConnectSettings,
    /// How callers are known; default: by headers that are believed.
    pub keystone: Option<KeystoneClient>,
    /// Which jobs get trusts, where Keystone is known.
    pub central: Central,
    /// Limits and switches of the HTTP side; the file of the health check is always a scratch file.
    pub http: HttpSettings,
}

/// `[centralized_scheduler]`, with its defaults.
#[derive(Clone)]
pub struct Central {
    /// Whether jobs get trusts at all.
    pub enabled: bool,
    /// Whether those of ordinary clients do, too.
    pub enforced: bool,
    /// Roles that are delegated; none: all.
    pub roles: Vec<String>,
}

impl Default for Central {
    fn default() -> Central {
        Central { enabled: true, enforced: false, roles: vec!["member".to_owned()] }
    }
}

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
    /// The service on the tables of an empty database.
    pub async fn start(database: &TestDatabase, options: Options) -> TestApp {
        let Options { pool, connect, keystone, central, http } = options;
        let store = Store::new_or_create(database.url(), connect, pool);
        store.sync().await.expect("an empty database takes the tables");
        TestApp::built(database, store, keystone, central, http)
    }

    /// The service on a store as it is.
    pub fn on(database: &TestDatabase, store: Store) -> TestApp {
        TestApp::built(database, store, None, Central::default(), HttpSettings::default())
    }

    fn built(
        database: &TestDatabase,
        store: Store,
        keystone: Option<KeystoneClient>,
        central: Central,
        http: HttpSettings,
    ) -> TestApp {
        let health = HealthSettings::disabled_by(disabled_by(database));
        // tests store the same backup many times
        let http = HttpSettings { health, repeat_window: None, ..http };
        TestApp::of(database, store, (keystone, central), Arc::new(AtomicI64::new(START)), http, 0)
    }

    fn of(
        database: &TestDatabase,
        store: Store,
        (keystone, central): (Option<KeystoneClient>, Central),
        now: Arc<AtomicI64>,
        http: HttpSettings,
        first_id: u128,
    ) -> TestApp {
        let clock = {
            let now = now.clone();
            Clock::new(move || Timestamp(now.load(Ordering::SeqCst)))
        };
        let app = Arc::new(App {
            queues: Queues::new(&store, &http),
            store,
            readiness: Readiness::default(),
            enforcer: Enforcer::new(policy::all(), oslo_policy::Options::default()).expect("default rules"),
            validators: Validators::new().expect("the schemas compile"),
            authentication: match &keystone {
                Some(client) => Authentication::Keystone(Box::new(client.clone())),
                None => Authentication::NoAuth(Vec::new()),
            },
            trusts: keystone.map(|keystone| Trusts {
                keystone,
                enabled: central.enabled,
                enforced: central.enforced,
                roles: central.roles,
            }),
            clock,
            ids: counting(first_id),
            http,
        });
        // a sequence of its own, so that ids of documents do not depend on how many requests came before
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

    /// The same service with other settings of the HTTP side, on the same rows; its transcript is its own.
    pub fn with_http(&self, change: impl FnOnce(&mut HttpSettings)) -> TestApp {
        let parts = &self.0;
        let mut http = parts.app.http.clone();
        change(&mut http);
        TestApp::of(
            &parts.database,
            parts.app.store.clone(),
            (None, Central::default()),
            parts.now.clone(),
            http,
            1 << 96,
        )
    }

    /// The same service on another store of the same database, with the same time and other ids.
    pub fn on_store(&self, store: Store) -> TestApp {
        let Parts { database, now, app, .. } = &*self.0;
        TestApp::of(database, store, (None, Central::default()), now.clone(), app.http.clone(), 1 << 100)
    }

    /// A member of project p1, the caller of most tests.
    pub fn member(&self) -> Caller {
        self.as_user("u1", "p1", "member")
    }

    /// An admin, of project p1.
    pub fn admin(&self) -> Caller {
        self.as_user("admin", "p1", "admin")
    }

    /// Any caller; `roles` are separated by commas.
    pub fn as_user(&self, user: &str, project: &str, roles: &str) -> Caller {
        Caller::new(self.clone(), user, project, roles)
    }

    /// Whoever has this token, where the service asks Keystone.
    pub fn with_token(&self, token: &str) -> Caller {
        Caller::of_token(self.clone(), token)
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        self.0.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The time that the service sees.
    pub fn now(&self) -> i64 {
        self.0.now.load(Ordering::SeqCst)
    }

    /// The engine under the service.
    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// The database under the service.
    pub fn database(&self) -> &TestDatabase {
        &self.0.database
    }

    /// The store under the service.
    pub fn store(&self) -> &Store {
        &self.0.app.store
    }

    /// The app itself.
    pub fn app(&self) -> &SharedApp {
        &self.0.app
    }

    /// While this file is there, the health check says 503.
    pub fn disabled_by(&self) -> &PathBuf {
        &self.0.disabled_by
    }

    /// Writes a request and its answer into the transcript that the test is compared with at its end.
    pub fn show(&self, answer: Answer) -> Answer {
        self.write(&answer.to_string(), "\n");
        answer
    }

    /// A remark on what is shown next.
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

/// While this file exists, the health check answers 503.
fn disabled_by(database: &TestDatabase) -> PathBuf {
    database.scratch().with_extension("disabled")
}

/// Ids that count up from `first`.
fn counting(first: u128) -> Ids {
    let next = AtomicU64::new(1);
    Ids::new(move || Uuid::from_u128(first + u128::from(next.fetch_add(1, Ordering::SeqCst))))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Runs one test on one engine, on a fresh database that is removed afterwards. What it showed is compared with the
/// snapshot of its name, which is the same for both engines.
///
/// `path` is the module path of the test: its last two parts are its name.
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

/// Runs a body with an empty database, which is removed afterwards, also when the body fails. Says so and
/// does nothing where the engine is not at hand.
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

/// Says that a test did not run, and why; it passes, so that `cargo test` needs no server.
pub fn skipped(name: &str, why: &str) {
    #[expect(clippy::print_stderr, reason = "for the reader of the test's output")]
    {
        eprintln!("{name}: skipped: {why}");
    }
}

/// Ends what takes longer than a test may.
pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("the test hangs")
}

fn assert_transcript(name: &str, transcript: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("../contract/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, transcript));
}

/// Makes of each `async fn name(app: TestApp)` two tests, `name::sqlite` and `name::mariadb`.
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
