//! The metrics in `docs/metrics.md`, and those that the dashboard and the alert rules use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Scrape;

/// The type of a metric and the names of its labels.
pub type Described = (String, BTreeSet<String>);

/// Returns the root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the directory with the dashboard and the rules.
pub fn monitoring() -> PathBuf {
    root().join("packaging/monitoring")
}

/// Returns the metrics of `docs/metrics.md` by the names that queries use.
pub fn documented() -> BTreeMap<String, Described> {
    let text = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells.as_slice() else { continue };
        if !["counter", "gauge", "histogram", "info"].contains(kind) {
            continue;
        }
        let name = name.trim_matches('`').to_owned();
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!meaning.is_empty(), "{name} has no meaning");
        let before = found.insert(name.clone(), ((*kind).to_owned(), labels));
        assert!(before.is_none(), "{name} is described twice");
    }
    assert!(found.len() > 50, "docs/metrics.md was not read: {}", found.len());
    found
}

/// Returns the exported metrics by the names that queries use.
pub fn exported(scrape: &Scrape) -> BTreeMap<String, Described> {
    let labels = scrape.labels();
    let described = scrape.types.iter().map(|(name, kind)| {
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = labels.get(name.as_str()).into_iter().flatten().map(|label| (*label).to_owned());
        (format!("{name}{suffix}"), (kind.clone(), labels.collect()))
    });
    described.collect()
}

/// Returns the queries of the dashboard and the expressions of the rules.
pub fn queries() -> Vec<String> {
    let dashboard = fs::read_to_string(monitoring().join("freezer-api.dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut found: Vec<String> =
        targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    let variables = dashboard["templating"]["list"].as_array().expect("variables").iter();
    found.extend(variables.filter_map(|variable| variable["definition"].as_str()).map(str::to_owned));
    assert!(found.len() > 60, "the dashboard was not read: {}", found.len());
    let rules = fs::read_to_string(monitoring().join("freezer-api.rules.yml")).unwrap();
    let expressions: Vec<&str> = rules.split("        expr: ").skip(1).collect();
    assert_eq!(expressions.len(), rules.matches("- alert: ").count());
    for expression in expressions {
        let end = ["\n        for:", "\n        labels:"].iter().filter_map(|key| expression.find(key)).min();
        let expression = &expression[..end.expect("the end of an expression")];
        found.push(expression.trim_start_matches(">-").trim().to_owned());
    }
    found
}

/// The labels that a selector names, or `None` if it has no braces.
fn selected(rest: &str) -> BTreeSet<String> {
    let Some(inner) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()) else {
        return BTreeSet::new();
    };
    let pairs = inner.split("\",").map(|pair| pair.split(['=', '!', '~']).next().unwrap().trim().to_owned());
    pairs.filter(|label| !label.is_empty()).collect()
}

/// Fails if a query uses a metric that is not exported, or a label that it does not have.
pub fn check_queries(metrics: &BTreeMap<String, Described>) {
    let mut used = BTreeSet::new();
    for query in queries() {
        let mut labels_of_query = BTreeSet::new();
        for (at, _) in query.match_indices(['f', 'p']) {
            let is_start = !query[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let rest = &query[at..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let name = &rest[..end];
            if !is_start || !(name.starts_with("freezer_") || name.starts_with("process_")) {
                continue;
            }
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
                let base = name.strip_suffix(suffix)?;
                metrics.get(base).filter(|(kind, _)| kind == "histogram").map(|_| base)
            });
            let found = metrics.get(base.unwrap_or(name));
            let (kind, labels) = found.unwrap_or_else(|| panic!("{name} is not exported: {query}"));
            assert_eq!(kind == "histogram", base.is_some(), "{name}: {query}");
            let own = ["job", "instance", "le"].map(str::to_owned);
            let known: BTreeSet<String> = labels.iter().cloned().chain(own).collect();
            let unknown: Vec<String> = selected(&rest[end..]).difference(&known).cloned().collect();
            assert!(unknown.is_empty(), "{name} has no labels {unknown:?}: {query}");
            labels_of_query.extend(known);
            used.insert(base.unwrap_or(name).to_owned());
        }
        for grouped in query.split(" by (").skip(1) {
            for label in grouped.split(')').next().unwrap().split(',').map(str::trim) {
                let is_known = label.is_empty() || labels_of_query.contains(label);
                assert!(is_known, "no metric has the label {label}: {query}");
            }
        }
    }
    let unused: Vec<&String> = metrics.keys().filter(|name| !used.contains(*name)).collect();
    // those that only make sense in detail
    let expected = [
        "freezer_config_last_reload_success_timestamp_seconds",
        "freezer_config_reloads_total",
        "freezer_policy_last_reload_success_timestamp_seconds",
        "freezer_policy_reloads_total",
        "process_threads",
        "process_virtual_memory_bytes",
    ];
    assert_eq!(unused, expected, "metrics that neither the dashboard nor a rule uses");
}
