//! `[healthcheck]`: how an operator can remove a node from the balancer. The options are those of oslo.middleware.

use std::path::PathBuf;

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;
use crate::health::{HealthCheck, HealthSettings, Network};

const GROUP: &str = "healthcheck";
const DISABLE_BY_FILE: &str = "disable_by_file";
const DISABLE_BY_FILES_PORTS: &str = "disable_by_files_ports";
const ENABLE_BY_FILES: &str = "enable_by_files";

const DETAILED: OptDecl = OptDecl::boolean(GROUP, "detailed")
    .unset_if_empty()
    .default("false")
    .help("Add details to the answers in JSON and HTML: host name, platform, and the path of each file.");
const BACKENDS: OptDecl = OptDecl::list(GROUP, "backends").default(DISABLE_BY_FILE).help(
    "Checks to run: disable_by_file, disable_by_files_ports, enable_by_files. Other names are ignored with a warning.",
);
const FILE: OptDecl = OptDecl::path(GROUP, "disable_by_file_path")
    .default("/etc/freezer/healthcheck_disable")
    .help("disable_by_file: while this file exists, the health check answers 503.");
const PORT_FILES: OptDecl = OptDecl::list(GROUP, "disable_by_file_paths").default("").help(
    "disable_by_files_ports: list of port:path. While the file of the service's own port exists, the health check \
     answers 503.",
);
const NEEDED_FILES: OptDecl = OptDecl::list(GROUP, "enable_by_file_paths")
    .default("")
    .help("enable_by_files: the health check answers 503 unless all these files exist.");
const ALLOWED: OptDecl = OptDecl::list(GROUP, "allowed_source_ranges")
    .default("")
    .help("Networks whose requests are answered; all others get a 404. Empty: all requests are answered.");
const IGNORE_PROXIED: OptDecl = OptDecl::boolean(GROUP, "ignore_proxied_requests")
    .unset_if_empty()
    .default("false")
    .help("Answer 404 to requests that carry X-Forwarded, X-Forwarded-For, -Host, -Proto or -Prefix.");

pub(super) const OPTIONS: &[&OptDecl] =
    &[&DETAILED, &BACKENDS, &FILE, &PORT_FILES, &NEEDED_FILES, &ALLOWED, &IGNORE_PROXIED];

/// Reads the section. `port` is the port of this service.
pub(super) fn read(config: &Config, port: u16) -> Result<HealthSettings, ConfigError> {
    let backends = list(config, &BACKENDS)?;
    let has = |name: &str| backends.iter().any(|backend| backend == name);
    if has(DISABLE_BY_FILE) && has(ENABLE_BY_FILES) {
        return Err(ConfigError::Unusable {
            option: "[healthcheck] backends",
            value: backends.join(","),
            reason: format!("{DISABLE_BY_FILE} and {ENABLE_BY_FILES} exclude each other; keep one of them"),
        });
    }
    let mut checks = Vec::new();
    for backend in &backends {
        match backend.as_str() {
            DISABLE_BY_FILE => checks.push(HealthCheck::DisableByFile(file(config)?)),
            DISABLE_BY_FILES_PORTS => checks.push(HealthCheck::DisableByFilesPorts(port_file(config, port)?)),
            ENABLE_BY_FILES => {
                let files = list(config, &NEEDED_FILES)?.into_iter().map(PathBuf::from).collect();
                checks.push(HealthCheck::EnableByFiles(files));
            }
            _ => {}
        }
    }
    Ok(HealthSettings {
        detailed: config.bool(&DETAILED)?.unwrap_or(false),
        checks,
        allowed: networks(config)?,
        ignore_proxied: config.bool(&IGNORE_PROXIED)?.unwrap_or(false),
    })
}

/// Returns a warning if a configured check cannot work.
pub(super) fn remark(config: &Config, health: &HealthSettings) -> Option<&'static str> {
    let backends = list(config, &BACKENDS).unwrap_or_default();
    if backends.len() > health.checks.len() {
        return Some(
            "[healthcheck] backends: only disable_by_file, disable_by_files_ports and enable_by_files are supported; \
             other names are ignored",
        );
    }
    let incomplete = |check: &HealthCheck| {
        matches!(check, HealthCheck::DisableByFile(None) | HealthCheck::DisableByFilesPorts(None))
            || *check == HealthCheck::EnableByFiles(Vec::new())
    };
    health.checks.iter().any(incomplete).then_some(
        "[healthcheck]: a check of backends has no file, so it always succeeds; set disable_by_file_path, \
         disable_by_file_paths for the service's port, or enable_by_file_paths",
    )
}

/// Returns a warning for each file of a check that can never exist.
pub(super) fn impossible_files(health: &HealthSettings) -> Vec<String> {
    let files = health.checks.iter().flat_map(|check| match check {
        HealthCheck::DisableByFile(path) => named(&FILE, path.as_slice()),
        HealthCheck::DisableByFilesPorts(path) => named(&PORT_FILES, path.as_slice()),
        HealthCheck::EnableByFiles(paths) => named(&NEEDED_FILES, paths),
    });
    let impossible = files.filter_map(|(option, path)| {
        let error = bounded_files::impossible(path)?;
        Some(format!("[{GROUP}] {}: {}: no file can ever be there: {error}", option.name, path.display()))
    });
    impossible.collect()
}

fn named<'p>(option: &'static OptDecl, paths: &'p [PathBuf]) -> Vec<(&'static OptDecl, &'p PathBuf)> {
    paths.iter().map(|path| (option, path)).collect()
}

fn list(config: &Config, option: &OptDecl) -> Result<Vec<String>, ConfigError> {
    let items = config.list(option)?.unwrap_or_default();
    Ok(items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

fn file(config: &Config) -> Result<Option<PathBuf>, ConfigError> {
    Ok(config.string(&FILE)?.map(PathBuf::from))
}

/// Returns the file for a port. If several items name the port, the last one is used, as in oslo.middleware.
fn port_file(config: &Config, port: u16) -> Result<Option<PathBuf>, ConfigError> {
    let mut found = None;
    for item in list(config, &PORT_FILES)? {
        let pair = item.split_once(':').and_then(|(of, path)| Some((of.trim().parse::<u16>().ok()?, path)));
        let Some((of, path)) = pair.filter(|(_, path)| !path.is_empty()) else {
            return Err(ConfigError::Unusable {
                option: "[healthcheck] disable_by_file_paths",
                value: item,
                reason: "must be a list of port:path, such as 9090:/etc/freezer/healthcheck_disable"
                    .to_owned(),
            });
        };
        if of == port {
            found = Some(PathBuf::from(path));
        }
    }
    Ok(found)
}

fn networks(config: &Config) -> Result<Vec<Network>, ConfigError> {
    let read = |item: &String| {
        Network::parse(item).map_err(|reason| ConfigError::Unusable {
            option: "[healthcheck] allowed_source_ranges",
            value: item.clone(),
            reason,
        })
    };
    list(config, &ALLOWED)?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn section(text: &str) -> Result<(Vec<HealthCheck>, Option<&'static str>), String> {
        let config = Config::from_text("test", &format!("[healthcheck]\n{text}")).unwrap().declare(OPTIONS);
        let health = read(&config, 9090).map_err(|error| error.to_string())?;
        let remark = remark(&config, &health);
        Ok((health.checks, remark))
    }

    #[test]
    fn backends_select_the_checks() {
        let default = HealthCheck::DisableByFile(Some("/etc/freezer/healthcheck_disable".into()));
        assert_eq!(section("").unwrap().0, [default]);
        assert_eq!(section("backends =").unwrap().0, []);
        let ports = "backends = disable_by_files_ports\ndisable_by_file_paths = 9090:/a, 80:/b , 9090:/c:d";
        assert_eq!(section(ports).unwrap().0, [HealthCheck::DisableByFilesPorts(Some("/c:d".into()))]);
        let files = "backends = enable_by_files\nenable_by_file_paths = /a,/b";
        assert_eq!(section(files).unwrap().0, [HealthCheck::EnableByFiles(vec!["/a".into(), "/b".into()])]);
        let both = "backends = disable_by_files_ports,disable_by_file\ndisable_by_file_path = /x";
        let expected =
            [HealthCheck::DisableByFilesPorts(None), HealthCheck::DisableByFile(Some("/x".into()))];
        assert_eq!(section(both).unwrap().0, expected);
    }

    #[test]
    fn files_that_can_never_exist_cause_a_warning() {
        let remarks = |text: &str| {
            let config =
                Config::from_text("test", &format!("[healthcheck]\n{text}")).unwrap().declare(OPTIONS);
            impossible_files(&read(&config, 9090).unwrap())
        };
        let long = format!("/{}", "x".repeat(300));
        for (text, option) in [
            (format!("disable_by_file_path = {long}"), "disable_by_file_path"),
            (
                format!("backends = disable_by_files_ports\ndisable_by_file_paths = 9090:{long}"),
                "disable_by_file_paths",
            ),
            (
                format!("backends = enable_by_files\nenable_by_file_paths = /a,/dev/null/b,{long}"),
                "enable_by_file_paths",
            ),
        ] {
            let remarks = remarks(&text);
            assert_eq!(remarks.len(), 1 + text.matches("/dev/null").count(), "{remarks:?}");
            assert!(remarks[0].starts_with(&format!("[healthcheck] {option}: /")), "{remarks:?}");
        }
        assert_eq!(remarks("disable_by_file_path = /nonexistent/file"), Vec::<String>::new());
    }

    #[test]
    fn unusual_sections_cause_a_warning_or_an_error() {
        assert_eq!(section("").unwrap().1, None);
        assert!(section("backends = disable_by_file, database").unwrap().1.unwrap().contains("other names"));
        assert!(section("backends = enable_by_files").unwrap().1.unwrap().contains("has no file"));
        assert_eq!(section("disable_by_file_path =").unwrap(), section("").unwrap(), "unset");
        for (text, named) in [
            ("backends = disable_by_file,enable_by_files", "exclude each other"),
            ("backends = disable_by_files_ports\ndisable_by_file_paths = /a", "disable_by_file_paths = /a"),
            ("backends = disable_by_files_ports\ndisable_by_file_paths = x:/a", "port:path"),
            ("allowed_source_ranges = 10.0.0.1/8", "allowed_source_ranges = 10.0.0.1/8"),
        ] {
            let error = section(text).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
