//! Adds `clients.supported_*`, the capabilities of a client's agent. Clients that registered earlier are assumed
//! to support all values that existed then, as in upstream's step.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

/// The values at the time of this revision. They stay as they are if agents learn more.
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

#[cfg(test)]
mod tests {
    use super::FILLED;
    use crate::model::Capabilities;

    /// Older clients must keep the capabilities that they were assumed to have.
    #[test]
    fn old_clients_get_capabilities_that_still_exist() {
        let known: [&[&str]; 4] =
            [&Capabilities::ACTIONS, &Capabilities::MODES, &Capabilities::STORAGES, &Capabilities::ENGINES];
        for ((column, filled), known) in FILLED.iter().zip(known) {
            let names: Vec<&str> = serde_json::from_str(filled).unwrap_or_default();
            assert_eq!(known[..names.len()], names, "{column}");
            assert!(!names.is_empty(), "{column}");
        }
    }
}
