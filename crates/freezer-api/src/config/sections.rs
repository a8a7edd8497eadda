//! The list of all options, with their sections, and the texts that are printed from it. Each section has a file that declares
//! its options.

use ::oslo_config::OptDecl;
use ::oslo_config::sample::Group;

use super::{
    api, centralized_scheduler, cors, database, default, healthcheck, keystone_authtoken, log_form, logging,
    metrics, oslo_middleware, oslo_policy, ssl, storage,
};

/// The sections and their options, in the order of the sample file.
const SECTIONS: &[(&str, &[&OptDecl])] = &[
    (::oslo_config::DEFAULT, default::OPTIONS),
    (::oslo_config::DEFAULT, logging::OPTIONS),
    (::oslo_config::DEFAULT, log_form::OPTIONS),
    ("ssl", ssl::OPTIONS),
    ("storage", storage::OPTIONS),
    ("database", database::OPTIONS),
    ("keystone_authtoken", keystone_authtoken::OPTIONS),
    ("centralized_scheduler", centralized_scheduler::OPTIONS),
    ("oslo_policy", oslo_policy::OPTIONS),
    ("oslo_middleware", oslo_middleware::OPTIONS),
    ("cors", cors::OPTIONS),
    ("api", api::OPTIONS),
    ("healthcheck", healthcheck::OPTIONS),
    ("metrics", metrics::OPTIONS),
];

/// Returns all options of the service.
pub fn declarations() -> Vec<&'static OptDecl> {
    SECTIONS.iter().flat_map(|(_, options)| options.iter().copied()).collect()
}

/// Returns a configuration file with every option commented out, in the layout of oslo-config-generator.
pub fn sample() -> String {
    ::oslo_config::sample::render(&groups())
}

/// Returns the tables of all options in Markdown.
pub fn reference() -> String {
    ::oslo_config::reference::render(&groups())
}

fn groups() -> Vec<Group<'static>> {
    SECTIONS.iter().map(|(name, options)| Group { name, help: "", source: "freezer-api", options }).collect()
}
