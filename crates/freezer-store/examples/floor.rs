//! Measures the minimum cost of reading one job: the CPU time of its statement with the driver alone, and
//! with this crate, without HTTP.
//!
//! ```text
//! cargo run --release -p freezer-store --example floor -- mysql://USER:PASSWORD@HOST:PORT/DATABASE PROJECT JOB
//! ```

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;

use freezer_store::query::jobs;
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Scope, Store, StoreError, read};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};

/// Number of repetitions.
const TIMES: u32 = 20_000;

/// The statement of `jobs::get` with literal constants.
const SHOW: &str = "SELECT CAST(jobs.created_at AS CHAR), jobs.id, jobs.project_id, jobs.user_id, jobs.schedule, \
    jobs.client_id, jobs.session_id, jobs.session_tag, jobs.description, c.id, c.trust_id, c.trustor_user_id, l.id, \
    l.position, actions.id, actions.project_id, actions.user_id, actions.max_retries, actions.max_retries_interval, \
    actions.mandatory, actions.backup_metadata, actions.backup_name, actions.action, actions.actionmode, \
    actions.container, actions.timeout, actions.priority, actions.path_to_backup, actions.log_file \
    FROM jobs LEFT JOIN user_credentials c ON c.job_id = jobs.id AND c.deleted = 0 \
    LEFT JOIN job_actions l ON l.job_id = jobs.id AND l.deleted = 0 \
    LEFT JOIN actions ON actions.id = l.action_id AND actions.deleted = 0 AND actions.project_id = jobs.project_id \
    WHERE jobs.deleted = 0 AND jobs.project_id = ? AND jobs.id = ?";

/// User and system time of this process, in ticks of 10 ms: fields 14 and 15 of proc_pid_stat(5).
fn ticks() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field =
        |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok(field(14) + field(15))
}

async fn measure(
    name: &str,
    once: impl AsyncFn() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    once().await?;
    let before = ticks()?;
    for _ in 0..TIMES {
        once().await?;
    }
    let microseconds = (ticks()? - before) * 10_000.0 / f64::from(TIMES);
    println!("{name}: {microseconds:.1} µs of CPU");
    Ok(())
}

async fn execute() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, project, job] = arguments.as_slice() else { return Err("arguments: URL PROJECT JOB".into()) };
    let url = DatabaseUrl::parse(url)?;
    let DatabaseUrl::MySql(address) = &url else { return Err("a URL of MySQL".into()) };
    let options = OptsBuilder::default()
        .ip_or_hostname(address.host.clone())
        .tcp_port(address.port)
        .user(Some(address.user.clone()))
        .pass(address.password.clone())
        .db_name(Some(address.database.clone()))
        .prefer_socket(false);
    let mut connection = Conn::new(options).await?;
    let key = connection.prep("SELECT id FROM jobs WHERE id = ?").await?;
    let show = connection.prep(SHOW).await?;
    let connection = tokio::sync::Mutex::new(connection);
    measure("driver, SELECT of one column by primary key", async || {
        let _: Vec<Row> = connection.lock().await.exec(&key, (job,)).await?;
        Ok(())
    })
    .await?;
    measure("driver, the statement of one job", async || {
        let _: Vec<Row> = connection.lock().await.exec(&show, (project, job)).await?;
        Ok(())
    })
    .await?;
    let store = Store::new(url.clone(), ConnectSettings::default(), PoolSettings::default());
    let scope = Scope::project(project.as_str());
    measure("store, one job", async || {
        let found: Result<_, StoreError> = read!(store, "jobs.show", |db| jobs::get(db, &scope, job).await);
        found?.ok_or("no such job")?;
        Ok(())
    })
    .await?;
    measure("store, one job, written as JSON", async || {
        let found: Result<_, StoreError> = read!(store, "jobs.show", |db| jobs::get(db, &scope, job).await);
        serde_json::to_vec(&found?.ok_or("no such job")?)?;
        Ok(())
    })
    .await
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(execute())
}
