//! Options that a freezer-api.conf may contain although this service does not use them: those of the libraries that the
//! Python service uses, with the reason why they have no effect. An option that is neither listed here nor declared in
//! the other files of this directory is probably a mistake.
//!
//! The names are those that freezer-api 19.0.0, oslo.log 8, oslo.db 18, oslo.middleware 8, oslo.policy 6,
//! keystonemiddleware 13 and keystoneauth 5 register, with `_` for `-`.

use freezer_store::maintenance::Verdict;

use ::oslo_config::{Config, OptDecl};

use super::declarations;

/// Names of options, by group.
const KNOWN: [(&str, &[&[&str]]); 12] = [
    ("DEFAULT", &[SERVICE, LOG]),
    ("api", &[]),
    ("storage", &[]),
    ("paste_deploy", &[&["config_file"]]),
    ("database", &[DATABASE]),
    ("keystone_authtoken", &[AUTH_TOKEN, AUTH]),
    ("centralized_scheduler", &[SCHEDULER, AUTH]),
    ("oslo_policy", &[POLICY]),
    ("cors", &[]),
    ("ssl", &[]),
    ("healthcheck", &[HEALTHCHECK]),
    (
        "oslo_middleware",
        &[&["enable_proxy_headers_parsing", "http_basic_auth_user_file", "max_request_body_size"]],
    ),
];

const SERVICE: &[&str] = &[
    "bind_host",
    "bind_port",
    "backlog",
    // These belong to oslo.service and oslo.messaging. Deployment tools write them into every file.
    "client_socket_timeout",
    "control_exchange",
    "host",
    "rpc_response_timeout",
    "state_path",
    "tcp_keepidle",
    "transport_url",
    "wsgi_keep_alive",
];

const LOG: &[&str] = &[
    "debug",
    "default_log_levels",
    "fatal_deprecations",
    "instance_format",
    "instance_uuid_format",
    "log_color",
    "log_config",
    "log_config_append",
    "log_date_format",
    "log_dir",
    "log_file",
    "log_rotate_interval",
    "log_rotate_interval_type",
    "log_rotation_type",
    "logdir",
    "logfile",
    "logging_context_format_string",
    "logging_debug_format_suffix",
    "logging_default_format_string",
    "logging_exception_prefix",
    "logging_user_identity_format",
    "max_logfile_count",
    "max_logfile_size_mb",
    "publish_errors",
    "rate_limit_burst",
    "rate_limit_except_level",
    "rate_limit_interval",
    "syslog_log_facility",
    "use_journal",
    "use_json",
    "use_stderr",
    "use_syslog",
    "watch_log_file",
];

const DATABASE: &[&str] = &[
    "asyncio_connection",
    "asyncio_slave_connection",
    "backend",
    "connection",
    "connection_debug",
    "connection_parameters",
    "connection_recycle_time",
    "connection_trace",
    "db_inc_retry_interval",
    "db_max_retries",
    "db_max_retry_interval",
    "db_retry_interval",
    "max_overflow",
    "max_pool_size",
    "max_retries",
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
    "pool_timeout",
    "retry_interval",
    "slave_connection",
    "sqlite_synchronous",
    "synchronous_reader",
    "use_db_reconnect",
];

const AUTH_TOKEN: &[&str] = &[
    "auth_version",
    "cache",
    "delay_auth_decision",
    "enforce_token_bind",
    "http_connect_timeout",
    "http_request_max_retries",
    "include_service_catalog",
    "interface",
    "memcache_password",
    "memcache_pool_conn_get_timeout",
    "memcache_pool_dead_retry",
    "memcache_pool_maxsize",
    "memcache_pool_socket_timeout",
    "memcache_pool_unused_timeout",
    "memcache_sasl_enabled",
    "memcache_secret_key",
    "memcache_security_strategy",
    "memcache_servers",
    "memcache_tls_allowed_ciphers",
    "memcache_tls_cafile",
    "memcache_tls_certfile",
    "memcache_tls_enabled",
    "memcache_tls_keyfile",
    "memcache_use_advanced_pool",
    "memcache_username",
    "memcached_servers",
    "service_token_roles",
    "service_token_roles_required",
    "tls_ciphers",
    "tls_min_version",
    "token_cache_time",
    "www_authenticate_uri",
    "auth_uri",
];

/// The options of keystoneauth for each login.
const AUTH: &[&str] = &[
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
    "auth_plugin",
    "auth_section",
    "auth_type",
    "auth_url",
    "cafile",
    "certfile",
    "collect_timing",
    "connect_retries",
    "connect_retry_delay",
    "default_domain_id",
    "default_domain_name",
    "domain_id",
    "domain_name",
    "endpoint_override",
    "insecure",
    "keyfile",
    "max_version",
    "min_version",
    "password",
    "project_domain_id",
    "project_domain_name",
    "project_id",
    "project_name",
    "region_name",
    "retriable_status_codes",
    "service_name",
    "service_type",
    "split_loggers",
    "status_code_retries",
    "status_code_retry_delay",
    "system_scope",
    "tenant_id",
    "tenant_name",
    "timeout",
    "token",
    "trust_id",
    "user_domain_id",
    "user_domain_name",
    "user_id",
    "user_name",
    "username",
    "valid_interfaces",
    "version",
];

const SCHEDULER: &[&str] =
    &["enabled", "enforce_trusts", "service_user", "service_user_domain", "trusts_delegated_roles"];

const POLICY: &[&str] = &[
    "enforce_new_defaults",
    "enforce_scope",
    "policy_default_rule",
    "policy_dirs",
    "policy_file",
    "remote_content_type",
    "remote_ssl_ca_crt_file",
    "remote_ssl_client_crt_file",
    "remote_ssl_client_key_file",
    "remote_ssl_verify_server_crt",
    "remote_timeout",
];

const HEALTHCHECK: &[&str] = &[
    "allowed_source_ranges",
    "backends",
    "detailed",
    "disable_by_file_path",
    "disable_by_file_paths",
    "enable_by_file_paths",
    "ignore_proxied_requests",
    "path",
];

/// Returns whether all options of a group are known. This is not the case for groups of unrelated libraries.
pub fn is_checked_group(group: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == group)
}

/// Returns the groups whose options are all known.
pub fn checked_groups() -> Vec<&'static str> {
    KNOWN.iter().map(|(group, _)| *group).collect()
}

/// Returns the names of all options of a group, whether this service or only the Python service has them.
pub fn option_names(group: &str) -> Vec<&'static str> {
    let theirs = KNOWN.iter().filter(|(known, _)| *known == group).flat_map(|(_, lists)| lists.iter());
    let ours = declarations().into_iter().filter(|option| option.group == group).map(|option| option.name);
    theirs.flat_map(|list| list.iter()).copied().chain(ours).collect()
}

/// Options without effect that need a better explanation: group, names, severity, and the reason or an alternative.
type Explanation = (&'static str, &'static [&'static str], Verdict, &'static str);

const EXPLAINED: &[Explanation] = &[
    (
        "DEFAULT",
        &["logging_debug_format_suffix", "logging_exception_prefix"],
        Verdict::Success,
        "log lines contain neither a suffix at DEBUG nor tracebacks",
    ),
    (
        "DEFAULT",
        &["watch_log_file"],
        Verdict::Success,
        "a log file that was moved away is always opened again",
    ),
    ("paste_deploy", &["config_file"], Verdict::Success, "the middleware pipeline is not configurable"),
    ("database", &["slave_connection"], Verdict::Success, "all reads use [database] connection"),
    (
        "database",
        &[
            "db_max_retries",
            "db_retry_interval",
            "db_inc_retry_interval",
            "db_max_retry_interval",
            "use_db_reconnect",
        ],
        Verdict::Success,
        "a transaction that conflicts with others runs at most five times, with pauses that grow from 10 ms",
    ),
    (
        "centralized_scheduler",
        &["service_user", "service_user_domain"],
        Verdict::Success,
        "trusts are for the user whose login [centralized_scheduler] auth_section names",
    ),
    (
        "centralized_scheduler",
        AUTH,
        Verdict::Success,
        "the login is read from the group that [centralized_scheduler] auth_section names",
    ),
    (
        "keystone_authtoken",
        &["delay_auth_decision", "enforce_token_bind"],
        Verdict::Warning,
        "a request without a valid token is always refused",
    ),
    (
        "keystone_authtoken",
        &["memcached_servers", "memcache_servers"],
        Verdict::Success,
        "each process caches validated tokens in memory",
    ),
];

/// Options of [`EXPLAINED`] whose default value can be ignored silently.
const HARMLESS: [OptDecl; 2] = [
    OptDecl::boolean("keystone_authtoken", "delay_auth_decision").default("false"),
    OptDecl::string("keystone_authtoken", "enforce_token_bind").default("permissive"),
];

/// Returns whether an option has its default value, so that its missing effect does no harm.
pub fn is_harmless(config: &Config, group: &str, name: &str) -> bool {
    let name = name.replace('-', "_");
    HARMLESS.iter().filter(|option| option.group == group && option.name == name).any(|option| {
        match config.bool(option) {
            Ok(value) => value == Some(false),
            Err(_) => config.string(option).ok().flatten().as_deref() == option.default,
        }
    })
}

/// Returns the severity of an option that has no effect, and the reason or an alternative.
pub fn without_effect(group: &str, name: &str) -> (Verdict, &'static str) {
    let name = name.replace('-', "_");
    let missed = EXPLAINED.iter().find(|(of, names, ..)| *of == group && names.contains(&name.as_str()));
    missed.map_or(
        (Verdict::Success, "an option of the Python service or its libraries"),
        |(.., verdict, why)| (*verdict, *why),
    )
}

/// Returns whether the Python service or one of its libraries has an option.
pub fn has_option(group: &str, name: &str) -> bool {
    let name = name.replace('-', "_");
    let of_group = KNOWN.iter().filter(|(known, _)| *known == group).flat_map(|(_, lists)| lists.iter());
    of_group.flat_map(|list| list.iter()).any(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::{has_option, is_checked_group};

    #[test]
    fn options_are_known_only_in_their_group() {
        assert!(has_option("database", "slave_connection") && has_option("DEFAULT", "bind-port"));
        assert!(!has_option("storage", "slave_connection") && !has_option("DEFAULT", "bind_prot"));
        assert!(is_checked_group("storage") && !is_checked_group("oslo_messaging_rabbit"));
    }
}
