//! The service with the Keystone for tests, which counts its calls and can simulate failures.
//!
//! `access_rules` tests restricted application credentials, `trusts` central schedulers, `races` simultaneous changes
//! around one trust, `cors` cross-origin requests of browsers, `load` many callers and outages of Keystone, `metrics` the numbers of
//! calls, and
//! `deadlines` a slow Keystone. `tests/e2e/` tests a real Keystone and real
//! clients.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../scrape/mod.rs"]
mod scrape;
#[path = "../support/mod.rs"]
mod support;

#[path = "../../../keystone-auth/tests/keystone/support/mod.rs"]
mod keystone;

mod access_rules;
mod cors;
mod deadlines;
mod load;
mod metrics;
mod races;
mod trusts;

use std::time::Duration;

use freezer_api::app::HttpSettings;
use freezer_api::metrics::Metrics;
use freezer_store::PoolSettings;
use keystone::{FakeKeystone, START, TestClock, token};
use keystone_auth::{KeystoneClient, Settings};
use serde_json::{Value, json};
use support::documents::{freezer_action, with};
use support::{Caller, Engine, Options, TestApp, TestDatabase, bounded, with_database};

pub use support::Central;

/// A Keystone, a clock and an empty database. The test starts the service.
struct World {
    keystone: FakeKeystone,
    time: TestClock,
    database: TestDatabase,
}

impl World {
    /// Starts the service with usual settings.
    async fn app(&self) -> TestApp {
        self.app_with(Central::default(), |_| {}).await
    }

    async fn app_with(&self, central: Central, change: impl FnOnce(&mut Settings)) -> TestApp {
        let mut settings = keystone::settings(&self.keystone);
        change(&mut settings);
        let metrics = Metrics::default();
        let client = KeystoneClient::observed(&settings, self.time.clock(), metrics.of_keystone()).unwrap();
        // On a slow machine, hundreds of callers wait for a connection.
        let pool = PoolSettings { timeout: Duration::from_secs(150), ..PoolSettings::default() };
        let options = Options { pool, keystone: Some(client), central, metrics, ..Options::default() };
        TestApp::start(&self.database, options).await
    }

    /// Starts the service with this `[api] request_timeout`.
    async fn app_until(&self, request_timeout: Duration) -> TestApp {
        self.app_with_http(|http| http.request_timeout = request_timeout).await
    }

    /// Starts the service with changed HTTP settings.
    async fn app_with_http(&self, change: impl FnOnce(&mut HttpSettings)) -> TestApp {
        let client = KeystoneClient::new(&keystone::settings(&self.keystone), self.time.clock()).unwrap();
        let mut http = HttpSettings::default();
        change(&mut http);
        TestApp::start(&self.database, Options { keystone: Some(client), http, ..Options::default() }).await
    }

    /// Creates a token with this name for project p1, with the roles member and reader.
    fn user(&self, name: &str) {
        self.keystone.add(name, token(name, &["member", "reader"], START + 9000));
    }

    /// Returns the ids of the trusts in Keystone.
    fn trusts(&self) -> Vec<String> {
        let state = self.keystone.state();
        state.trusts.iter().map(|trust| trust["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the number of calls about trusts that Keystone got, with any method.
    fn trust_calls(&self) -> usize {
        let state = self.keystone.state();
        ["GET", "POST", "DELETE"].iter().map(|method| state.trust_calls(method)).sum()
    }
}

/// Registers the central client `central` as the user of the service, and ann's client `node` in p1.
async fn register(world: &World, app: &TestApp) {
    let mut service = token("scheduler", &["admin", "service"], START + 9000);
    service["project"]["id"] = "service".into();
    world.keystone.add("scheduler", service);
    let central = json!({"client_id": "central", "hostname": "central", "is_central": true});
    app.with_token("scheduler").post("/v2/service/clients", central).await.expect(201);
    world.user("ann");
    app.with_token("ann").add_client("p1", "node").await;
}

/// Returns a job with one backup action on a client.
fn job(client_id: &str) -> Value {
    json!({"client_id": client_id, "job_actions": [{"freezer_action": freezer_action()}]})
}

fn job_called(job_id: &str, client_id: &str) -> Value {
    with(job(client_id), json!({"job_id": job_id}))
}

/// Returns the id of the trust in a job.
async fn trust_of(caller: &Caller, job_id: &str) -> Option<String> {
    caller.job(job_id).await["user_credentials"]["trust_id"].as_str().map(str::to_owned)
}

fn run<F: Future<Output = ()>>(engine: Engine, path: &str, body: impl FnOnce(World) -> F) {
    let name = path.split("::").skip(1).collect::<Vec<_>>().join("__");
    with_database(engine, &format!("keystone__{name}"), |runtime, database| {
        runtime.block_on(bounded(async {
            let time = TestClock::new();
            let keystone = FakeKeystone::start(time.clone()).await;
            body(World { keystone, time, database: database.clone() }).await;
        }));
    });
}

/// Defines two tests for each `async fn name(world: World)`: `name::sqlite` and `name::mariadb`.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => { $(
        mod $test {
            #[test]
            fn sqlite() {
                crate::run(crate::support::Engine::Sqlite, module_path!(), super::$test);
            }

            #[test]
            fn mariadb() {
                crate::run(crate::support::Engine::MariaDb, module_path!(), super::$test);
            }
        }
    )* };
}
pub(crate) use on_both_engines;
