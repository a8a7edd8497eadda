//! Reads an upgraded database with both services: this one with its API, and freezer-api 19.0.0 with its database
//! layer.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use freezer_store::DatabaseUrl;
use serde_json::{Map, Value};

use crate::dump::{Dump, Values};
use crate::support::{TestApp, TestDatabase};

/// Documents by collection and id.
pub type Documents = BTreeMap<String, BTreeMap<String, Value>>;

const COLLECTIONS: [&str; 5] = ["clients", "jobs", "actions", "sessions", "backups"];

/// Returns the documents of this service for all live rows. Each is requested with its project.
pub async fn ours(app: &TestApp, after: &Dump) -> Documents {
    let mut documents = Documents::new();
    for collection in COLLECTIONS {
        let found = documents.entry(collection.to_owned()).or_default();
        for (id, row) in after.table(collection) {
            let Some(project) = row["project_id"].clone().filter(|_| is_live(&row)) else { continue };
            let member = app.as_user("reader", &project, "member");
            let name = if collection == "clients" { row["client_id"].clone().unwrap() } else { id };
            let answer = member.get(&format!("/v2/{project}/{collection}/{name}")).await.expect(200);
            let key = if collection == "clients" { format!("{project}/{name}") } else { name };
            found.insert(key, answer.json());
            let list = member.get(&format!("/v2/{project}/{collection}?limit=1000")).await.expect(200).json();
            assert!(!list[collection].as_array().unwrap().is_empty(), "{project}: {collection}");
        }
    }
    documents
}

fn is_live(row: &Values) -> bool {
    row["deleted"].as_deref() == Some("0")
}

/// Compares these documents with those of freezer-api 19.0.0, after its own upgrade has found nothing to do.
pub async fn compare(shape: &str, database: &TestDatabase, ours: &Documents, after: &Dump) {
    let Ok(python) = std::env::var("FREEZER_TEST_PYTHON") else {
        crate::support::skipped(shape, "FREEZER_TEST_PYTHON is not set, so freezer-api 19.0.0 was not asked");
        return;
    };
    let theirs = read_by_python(&python, database).await;
    let changed = Dump::read(database).await.difference(after);
    assert_eq!(changed, None, "{shape}: upstream's own upgrade changes nothing");
    for (collection, documents) in ours {
        let theirs = &theirs[collection];
        assert_eq!(
            documents.keys().collect::<Vec<_>>(),
            theirs.keys().collect::<Vec<_>>(),
            "{shape}: {collection}"
        );
        for (id, ours) in documents {
            let Some(theirs) = readable(&theirs[id]) else { continue };
            if let Some(credentials) = ours.get("user_credentials") {
                assert_eq!(Some(credentials), theirs.get("user_credentials"), "{shape}: {collection} {id}");
            }
            let difference = difference("", &normal(ours), &normal(theirs));
            assert_eq!(difference, None, "{shape}: {collection} {id}");
        }
    }
}

/// freezer-api 19.0.0 returns a client as a list. If a name is registered twice, it may return either of them.
fn readable(theirs: &Value) -> Option<&Value> {
    match theirs {
        Value::Array(list) => (list.len() == 1).then(|| &list[0]),
        other if other.get("unreadable").is_some() => None,
        other => Some(other),
    }
}

/// Describes the first difference of two documents.
pub fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| difference(&format!("{path}.{key}"), value, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(a, b)| difference(&format!("{path}[]"), a, b))
        }
        (a, b) => (a != b).then(|| format!("{path}: {a} here, {b} there")),
    }
}

/// Returns a document without the intended differences (docs/compatibility.md): `event` and `mandatory` always exist,
/// and a deleted trust is not shown. The keys are sorted.
pub fn normal(document: &Value) -> Value {
    match document {
        Value::Object(map) => {
            let keep = |key: &str, value: &Value| match key {
                "event" => value.as_str() != Some(""),
                "mandatory" | "user_credentials" => false,
                // 19.0.0 shows null for values that their columns cannot store.
                "path_to_backup" => value.as_str().is_some_and(|path| path.len() <= 255),
                "priority" => value.is_number(),
                // Tables that were created without migrations contain NULL.
                "is_central" => value.as_bool() == Some(true),
                _ => !value.is_null(),
            };
            let mut kept: Map<String, Value> = map
                .iter()
                .filter(|(key, value)| keep(key, value))
                .map(|(key, value)| (key.clone(), normal(value)))
                .collect();
            kept.sort_keys();
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        other => other.clone(),
    }
}

/// Writes a configuration of the Python service for a database. Returns the path of the file.
pub fn configuration(database: &TestDatabase) -> PathBuf {
    let connection = match database.url() {
        DatabaseUrl::MySql(url) => format!(
            "mysql+pymysql://{}:{}@{}:{}/{}?charset=utf8mb4",
            url.user,
            url.password.unwrap_or_default(),
            url.host,
            url.port,
            url.database
        ),
        DatabaseUrl::Sqlite { path } => format!("sqlite:///{}", path.display()),
    };
    let config = database.scratch().with_extension("conf");
    let text = format!(
        "[storage]\nbackend = sqlalchemy\ndriver = sqlalchemy\n[database]\nconnection = {connection}\n"
    );
    std::fs::write(&config, text).unwrap();
    config
}

async fn read_by_python(python: &str, database: &TestDatabase) -> Documents {
    let config = configuration(database);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/read_database.py");
    let output = Command::new(python).args([script, config.to_str().unwrap(), "sync"]).output().unwrap();
    std::fs::remove_file(&config).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "freezer-api 19.0.0 could not read the database:\n{errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}\n{errors}"))
}
