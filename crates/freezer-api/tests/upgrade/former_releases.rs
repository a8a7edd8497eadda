//! Two successive releases of this service can use one database at the same time: `db sync` of the later one only adds
//! to the tables, and the later one serves the rows that the earlier one writes.
//!
//! `crates/freezer-store/tests/releases/` has the tables and rows of each release. A new release adds its own:
//! `FREEZER_RELEASE=1.2.3 cargo test --test upgrade -- --ignored write_a_release`.

use std::path::{Path, PathBuf};

use freezer_store::migrations::Synced;
use serde_json::json;

use crate::dump::Dump;
use crate::support::documents::{backup, job};
use crate::support::{self, Engine, TestApp, TestDatabase};
use crate::tables::Tables;
use crate::{loadable, python, store};

/// Separates the tables of a file from its rows.
const ROWS: &str = "-- rows\n";

fn releases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/releases")
}

fn ending(engine: Engine) -> &'static str {
    if engine == Engine::Sqlite { ".sqlite.sql" } else { ".mysql.sql" }
}

/// Lists the differences of the later tables that the earlier release cannot work with.
fn obstacles(earlier: &Tables, later: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for (table, lines) in &earlier.0 {
        let Some(present) = later.0.get(table) else {
            found.push(format!("{table} is gone"));
            continue;
        };
        let gone = lines.iter().filter(|line| !present.contains(line));
        found.extend(gone.map(|line| format!("{table}: gone or changed: {line}")));
        let new = present.iter().filter(|line| !lines.contains(line));
        let strict = new.filter(|line| {
            let needs_a_value = line.contains("NOT NULL") && !line.contains("DEFAULT");
            let is_generated = line.contains("GENERATED") || line.contains(" AS (");
            let restricts = ["UNIQUE", "CONSTRAINT", "FOREIGN KEY", "CREATE TRIGGER"];
            (needs_a_value && !is_generated) || restricts.iter().any(|word| line.starts_with(word))
        });
        found.extend(
            strict.map(|line| format!("{table}: the rows of the earlier release do not meet: {line}")),
        );
    }
    found
}

/// Tests the tables and rows of every earlier release on an engine.
fn every_release(engine: Engine) {
    let files = std::fs::read_dir(releases()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(ending(engine))).collect();
    assert!(!files.is_empty());
    for file in files {
        let sql = std::fs::read_to_string(&file).unwrap();
        support::with_database(engine, "former_release", |runtime, database| {
            runtime.block_on(support::bounded(serves_beside(database, &loadable(engine, &sql))));
        });
    }
}

async fn serves_beside(database: &TestDatabase, sql: &str) {
    let (_, rows) = sql.split_once(ROWS).expect("the rows");
    let store = store(database);
    store.schema_state().await.unwrap();
    database.run(sql).await;
    let (tables, written) = (Tables::read(database).await, Dump::read(database).await);
    store.sync().await.unwrap();
    assert_eq!(obstacles(&tables, &Tables::read(database).await), [] as [String; 0]);
    let app = TestApp::on(database, store.clone());
    let upgraded = python::ours(&app, &Dump::read(database).await).await;

    // The earlier release writes its rows to the tables of the later one.
    database.run(&format!("{}{rows}", emptying(database, &written))).await;
    let again = Dump::read(database).await;
    assert_eq!(python::ours(&app, &again).await, upgraded, "rows of the earlier release are served");
    assert_kept(&written, &again);

    // The later release fills its own columns, and the earlier one finds its values.
    assert!(matches!(store.sync().await.unwrap(), Synced::AlreadyCurrent | Synced::Upgraded { .. }));
    let filled = Dump::read(database).await;
    assert_kept(&written, &filled);
    assert_eq!(python::ours(&app, &filled).await, upgraded, "nothing changes for callers");
}

/// Returns the statements that remove the rows of all tables.
fn emptying(database: &TestDatabase, written: &Dump) -> String {
    let unchecked = match database.engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF;\n",
        _ => "SET foreign_key_checks = 0;\n",
    };
    let tables = written.0.keys().map(|table| format!("DELETE FROM {table};\n"));
    unchecked.to_owned() + &tables.collect::<String>()
}

/// Checks that every value of the earlier rows is still the same.
#[track_caller]
fn assert_kept(earlier: &Dump, later: &Dump) {
    for (table, rows) in &earlier.0 {
        for (id, values) in rows {
            for (column, value) in values {
                let present = later.0[table].get(id).and_then(|row| row.get(column));
                assert_eq!(present, Some(value), "{table} {id} {column}");
            }
        }
    }
}

mod every_release {
    use crate::support::Engine;

    #[test]
    fn mariadb() {
        super::every_release(Engine::MariaDb);
    }

    #[test]
    fn mysql() {
        super::every_release(Engine::MySql);
    }

    #[test]
    fn sqlite() {
        super::every_release(Engine::Sqlite);
    }
}

#[test]
fn every_kind_of_obstacle_is_found() {
    let table = |lines: &[&str]| {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Tables(std::collections::BTreeMap::from([("jobs".to_owned(), lines)]))
    };
    let earlier = table(&["`id` varchar(36) NOT NULL", "KEY `fz_a` (`id`)", "`note` text DEFAULT NULL"]);
    let later = |more: &[&str]| {
        table(
            &[&["`id` varchar(36) NOT NULL", "KEY `fz_a` (`id`)", "`note` text DEFAULT NULL"], more].concat(),
        )
    };
    for addition in [
        "`fz_new` int(11) DEFAULT NULL",
        "`fz_new` int(11) NOT NULL DEFAULT 0",
        "`fz_new` char(3) NOT NULL GENERATED ALWAYS AS (`id`) VIRTUAL",
        "KEY `fz_new` (`note`)",
    ] {
        assert_eq!(obstacles(&earlier, &later(&[addition])), [] as [String; 0], "{addition}");
    }
    for addition in [
        "`fz_new` int(11) NOT NULL",
        "UNIQUE KEY `fz_new` (`note`)",
        "CONSTRAINT `fz_new` CHECK (`note` <> '')",
        "FOREIGN KEY (note) REFERENCES actions (id)",
    ] {
        assert_eq!(obstacles(&earlier, &later(&[addition])).len(), 1, "{addition}");
    }
    for changed in [
        &["`id` varchar(36) NOT NULL", "KEY `fz_a` (`id`)"][..],
        &["`id` varchar(36) NOT NULL", "`note` text DEFAULT NULL"],
        &["`id` varchar(36) NOT NULL", "KEY `fz_a` (`id`)", "`note` varchar(9) DEFAULT NULL"],
    ] {
        assert_eq!(obstacles(&earlier, &table(changed)).len(), 1, "{changed:?}");
    }
    assert_eq!(obstacles(&earlier, &Tables::default()), ["jobs is gone"]);
}

/// Writes the tables and rows of this release: those of an upgraded 19.0.0, and documents that this release creates.
#[test]
#[ignore = "only when a release is made"]
fn write_a_release() {
    let version = std::env::var("FREEZER_RELEASE").expect("FREEZER_RELEASE has the version");
    for engine in [Engine::MariaDb, Engine::Sqlite] {
        let shape = crate::folder().join(format!("g-19.0.0{}", ending(engine)));
        let sql = std::fs::read_to_string(shape).unwrap();
        let path = releases().join(format!("{version}{}", ending(engine)));
        support::with_database(engine, "write_a_release", |runtime, database| {
            runtime.block_on(support::bounded(async {
                store(database).schema_state().await.unwrap();
                database.run(&sql).await;
                store(database).sync().await.unwrap();
                add_documents(&TestApp::on(database, store(database))).await;
                std::fs::write(&path, written(database, &version).await).unwrap();
            }));
        });
        assert!(path.exists(), "no database for {path:?}");
    }
}

async fn add_documents(app: &TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    member.post("/v2/p1/backups", backup("etc; DROP\nx")).await.expect(201);
    let session = json!({"description": "s", "schedule": {}, "hold_off": 30});
    let session = member.post("/v2/p1/sessions", session).await.expect(201).text("session_id");
    member.put(&format!("/v2/p1/sessions/{session}/jobs/{job_id}")).await.expect(204);
}

/// Returns the statements that create the tables with their rows.
async fn written(database: &TestDatabase, version: &str) -> String {
    let is_sqlite = database.engine() == Engine::Sqlite;
    let mut out = format!("-- The tables of release {version}, with rows of 19.0.0 and of this release.\n");
    let (unchecked, tables) = if is_sqlite {
        let tables =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1";
        ("PRAGMA foreign_keys = OFF;\n", tables)
    } else {
        ("SET foreign_key_checks = 0;\n", "SHOW TABLES")
    };
    out += unchecked;
    let tables = database.texts(tables).await;
    if is_sqlite {
        let parts = "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' \
                     ORDER BY type <> 'table', name";
        out += &(database.texts(parts).await.join("\n") + "\n");
    } else {
        for table in &tables {
            out += &(database.create_table(table).await + ";\n");
        }
    }
    out += ROWS;
    for table in &tables {
        for row in rows_of(database, table, is_sqlite).await {
            out += &(row + "\n");
        }
    }
    out
}

/// Returns the INSERT statements of a table. Columns that the database computes are left out.
async fn rows_of(database: &TestDatabase, table: &str, is_sqlite: bool) -> Vec<String> {
    let columns = if is_sqlite {
        format!("SELECT name FROM pragma_table_info('{table}')")
    } else {
        format!(
            "SELECT CONCAT(column_name, '') FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = '{table}' AND extra NOT LIKE '%GENERATED%' ORDER BY ordinal_position"
        )
    };
    let columns = database.texts(&columns).await;
    let binary = if is_sqlite {
        Vec::new()
    } else {
        let sql = format!(
            "SELECT CONCAT(column_name, '') FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = '{table}' AND (data_type LIKE '%blob' OR data_type LIKE '%binary')"
        );
        database.texts(&sql).await
    };
    let literal = |name: &String| match (is_sqlite, binary.contains(name)) {
        (true, _) => format!("quote(\"{name}\")"),
        (false, true) => format!("IF(`{name}` IS NULL, 'NULL', CONCAT('x''', HEX(`{name}`), ''''))"),
        (false, false) => format!("REPLACE(QUOTE(CONVERT(`{name}` USING utf8mb4)), CHAR(10), '\\\\n')"),
    };
    let literals: Vec<String> = columns.iter().map(literal).collect();
    let sql = if is_sqlite {
        let names = columns.join("\", \"");
        let values = literals.join(" || ', ' || ");
        format!(
            "SELECT 'INSERT INTO \"{table}\" (\"{names}\") VALUES (' || {values} || ');' FROM \"{table}\" ORDER BY 1"
        )
    } else {
        let names = columns.join("`, `");
        let values = literals.join(", ', ', ");
        format!(
            "SELECT CONCAT('INSERT INTO `{table}` (`{names}`) VALUES (', {values}, ');') FROM `{table}` ORDER BY 1"
        )
    };
    database.texts(&sql).await
}
