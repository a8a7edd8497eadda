//! Adds `clients.supported_*`, the capabilities of a client's agent. Clients that registered earlier are assumed
//! to support all values that existed then, as in upstream's step.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

const FILLED: [(&str, &str); 4] = [
    ("supported_actions", r#"["backup", "restore", "info", "admin", "exec"]"#),
    (
        "supported_modes",
        r#"["fs", "mongo", "mysql", "sqlserver", "cinder", "glance", "cindernative", "nova"]"#,
    ),
    ("supported_storages", r#"["local", "swift", "ssh", "s3", "ftp", "ftps"]"#),
    ("supported_engines", r#"["tar", "rsync", "rsyncv2", "nova", "osbrick", "glance"]"#),
];

pub(super) fn plan(planner: &mut Planner) {
    let clients = table("clients");
    for (name, all) in FILLED {
        planner.ensure_filled_column("clients", clients.column(name), &format!("'{all}'"));
    }
}
