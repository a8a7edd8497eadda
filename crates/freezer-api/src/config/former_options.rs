//! Options of former releases of freezer-api and of its libraries, with their replacements. Neither freezer-api 19.0.0
//! nor this service reads them. `known_options.rs` has the options that only 19.0.0 reads.
//!
//! The names are those that freezer-api 7.0.0 to 18.0.0 and the releases of oslo.db, oslo.log, oslo.policy,
//! oslo.middleware, oslo.messaging and keystonemiddleware of those years register, with `_` for `-`.

use freezer_store::maintenance::Verdict;

/// Group, names, severity, and the replacement.
type FormerOption = (&'static str, &'static [&'static str], Verdict, &'static str);

const ELASTICSEARCH: &str = "an option of the Elasticsearch storage, which this service does not have; the database is \
                             [database] connection";
const MESSAGES: &str = "this service sends no messages";
const PKI: &str = "it configured PKI tokens, which Keystone no longer has; remove it";

const FORMER: &[FormerOption] = &[
    (
        "DEFAULT",
        &["enable_v1_api"],
        Verdict::Warning,
        "API v1 was removed in 19.0.0 and is not served; agents and clients must use API v2",
    ),
    ("DEFAULT", &["sql_connection"], Verdict::Warning, "write [database] connection"),
    ("DEFAULT", &["sql_idle_timeout"], Verdict::Warning, "write [database] connection_recycle_time"),
    ("DEFAULT", &["sql_max_pool_size"], Verdict::Warning, "write [database] max_pool_size"),
    ("DEFAULT", &["sql_max_retries"], Verdict::Warning, "write [database] max_retries"),
    ("DEFAULT", &["sql_retry_interval"], Verdict::Warning, "write [database] retry_interval"),
    (
        "DEFAULT",
        &["sql_max_overflow", "sqlalchemy_max_overflow"],
        Verdict::Warning,
        "write [database] max_overflow",
    ),
    ("DEFAULT", &["sqlalchemy_pool_timeout"], Verdict::Warning, "write [database] pool_timeout"),
    (
        "DEFAULT",
        &["db_backend", "sql_connection_debug", "sql_connection_trace", "sql_min_pool_size", "sqlite_db"],
        Verdict::Success,
        "the database is configured in [database]; remove it",
    ),
    ("DEFAULT", &["policy_file"], Verdict::Warning, "write [oslo_policy] policy_file"),
    ("DEFAULT", &["policy_dirs"], Verdict::Warning, "write [oslo_policy] policy_dirs"),
    ("DEFAULT", &["policy_default_rule"], Verdict::Warning, "write [oslo_policy] policy_default_rule"),
    (
        "DEFAULT",
        &["max_request_body_size", "osapi_max_request_body_size"],
        Verdict::Warning,
        "write [oslo_middleware] max_request_body_size",
    ),
    (
        "DEFAULT",
        &["secure_proxy_ssl_header"],
        Verdict::Warning,
        "write [oslo_middleware] enable_proxy_headers_parsing",
    ),
    ("oslo_middleware", &["secure_proxy_ssl_header"], Verdict::Warning, "write enable_proxy_headers_parsing"),
    (
        "DEFAULT",
        &["verbose"],
        Verdict::Success,
        "removed from oslo.log; the level is INFO unless debug is set",
    ),
    (
        "DEFAULT",
        &["log_format"],
        Verdict::Warning,
        "write logging_context_format_string and logging_default_format_string",
    ),
    (
        "DEFAULT",
        &["use_syslog_rfc_format"],
        Verdict::Success,
        "removed from oslo.log; lines in syslog have a program name",
    ),
    (
        "DEFAULT",
        &[
            "amqp_auto_delete",
            "amqp_durable_queues",
            "notification_driver",
            "notification_topics",
            "notification_transport_url",
            "rabbit_host",
            "rabbit_hosts",
            "rabbit_password",
            "rabbit_port",
            "rabbit_use_ssl",
            "rabbit_userid",
            "rabbit_virtual_host",
            "rpc_backend",
            "rpc_thread_pool_size",
        ],
        Verdict::Success,
        MESSAGES,
    ),
    ("DEFAULT", &["ssl_ca_file"], Verdict::Warning, "write [ssl] ca_file"),
    ("DEFAULT", &["ssl_cert_file"], Verdict::Warning, "write [ssl] cert_file"),
    ("DEFAULT", &["ssl_key_file"], Verdict::Warning, "write [ssl] key_file"),
    (
        "DEFAULT",
        &["use_ssl", "use_tls"],
        Verdict::Warning,
        "TLS is used if [ssl] cert_file and key_file are set; remove it",
    ),
    ("ssl", &["enable"], Verdict::Warning, "TLS is used if cert_file and key_file are set; remove it"),
    (
        "DEFAULT",
        &["api_paste_config", "paste_config"],
        Verdict::Success,
        "the middleware pipeline is not configurable",
    ),
    (
        "DEFAULT",
        &["api_workers", "workers"],
        Verdict::Success,
        "one process uses all CPU cores; start further processes as further nodes of a balancer",
    ),
    ("keystone_authtoken", &["identity_uri"], Verdict::Warning, "write auth_url"),
    (
        "keystone_authtoken",
        &["auth_admin_prefix", "auth_host", "auth_port", "auth_protocol"],
        Verdict::Warning,
        "write auth_url = PROTOCOL://HOST:PORT",
    ),
    (
        "keystone_authtoken",
        &["admin_user"],
        Verdict::Warning,
        "write username, and user_domain_name for its domain",
    ),
    ("keystone_authtoken", &["admin_password"], Verdict::Warning, "write password"),
    (
        "keystone_authtoken",
        &["admin_tenant_name"],
        Verdict::Warning,
        "write project_name, and project_domain_name for its domain",
    ),
    (
        "keystone_authtoken",
        &["admin_token"],
        Verdict::Warning,
        "the service logs in with auth_type = password or v3applicationcredential",
    ),
    (
        "keystone_authtoken",
        &[
            "check_revocations_for_cached",
            "hash_algorithms",
            "revocation_cache_time",
            "signing_dir",
            "signing_dirname",
        ],
        Verdict::Success,
        PKI,
    ),
    ("keystone_authtoken", &["http_handler"], Verdict::Success, "removed from keystonemiddleware; remove it"),
    ("database", &["sql_connection"], Verdict::Warning, "write connection"),
    ("database", &["idle_timeout", "sql_idle_timeout"], Verdict::Warning, "write connection_recycle_time"),
    ("database", &["sql_max_pool_size"], Verdict::Warning, "write max_pool_size"),
    ("database", &["sql_max_retries"], Verdict::Warning, "write max_retries"),
    ("database", &["reconnect_interval", "sql_retry_interval"], Verdict::Warning, "write retry_interval"),
    ("database", &["sqlalchemy_max_overflow", "sql_max_overflow"], Verdict::Warning, "write max_overflow"),
    ("database", &["sqlalchemy_pool_timeout"], Verdict::Warning, "write pool_timeout"),
    ("database", &["sqlite_db"], Verdict::Warning, "write connection = sqlite:////path"),
    (
        "database",
        &[
            "db_backend",
            "min_pool_size",
            "mysql_enable_ndb",
            "sql_connection_debug",
            "sql_connection_trace",
            "sql_min_pool_size",
            "use_tpool",
        ],
        Verdict::Success,
        "removed from oslo.db; remove it",
    ),
    ("sql", &["connection"], Verdict::Warning, "write [database] connection"),
    ("sql", &["idle_timeout"], Verdict::Warning, "write [database] connection_recycle_time"),
    ("storage", ELASTICSEARCH_OPTIONS, Verdict::Warning, ELASTICSEARCH),
    ("elasticsearch", ELASTICSEARCH_OPTIONS, Verdict::Success, ELASTICSEARCH),
    (
        "sqlalchemy",
        &["host", "password", "username"],
        Verdict::Success,
        "the SQL storage never read it; the database is [database] connection",
    ),
];

const ELASTICSEARCH_OPTIONS: &[&str] = &[
    "ca_certs",
    "db",
    "endpoint",
    "erase",
    "host",
    "hosts",
    "http_auth",
    "index",
    "mapping",
    "number_of_replicas",
    "password",
    "retries",
    "test_only",
    "timeout",
    "use_ssl",
    "username",
    "verify_certs",
];

/// Returns the severity and the replacement of an option of a former release. Returns `None` for any other option.
pub fn replacement(group: &str, name: &str) -> Option<(Verdict, &'static str)> {
    let name = name.replace('-', "_");
    let former = FORMER.iter().find(|(of, names, ..)| *of == group && names.contains(&name.as_str()));
    former.map(|(.., verdict, text)| (*verdict, *text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{declarations, known_options};

    #[test]
    fn former_options_are_neither_read_nor_known() {
        for (group, names, ..) in FORMER {
            for name in *names {
                let read =
                    declarations().into_iter().any(|option| option.group == *group && option.key() == **name);
                assert!(!read, "[{group}] {name} is read");
                assert!(!known_options::has_option(group, name), "[{group}] {name} is an option of 19.0.0");
            }
        }
    }

    #[test]
    fn replacements_name_options_that_are_read() {
        for (group, names, _, text) in FORMER {
            let Some(rest) = text.strip_prefix("write ") else { continue };
            let (group, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
                Some((other, rest)) => (other, rest),
                None => (*group, rest),
            };
            let option = rest.split([' ', ',']).next().unwrap_or_default();
            let read = declarations().into_iter().any(|known| known.group == group && known.key() == option);
            assert!(read, "{names:?}: {text}");
        }
    }

    #[test]
    fn names_are_found_with_hyphens_too() {
        assert!(replacement("keystone_authtoken", "admin-user").is_some());
        assert_eq!(replacement("database", "admin_user"), None);
    }
}
