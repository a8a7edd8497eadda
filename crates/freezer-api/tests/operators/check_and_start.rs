//! `config check` must predict the result of a start. These tests run both programs with each configuration.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::process::{
    API, Database, Done, Engine, MANAGE, Scratch, Service, command, finish, free_port, run,
};

/// A configuration. `{dir}` and `{port}` are replaced.
struct Case<'t> {
    text: &'t str,
    environment: &'static [(&'static str, &'static str)],
}

const fn case(text: &str) -> Case<'_> {
    Case { text, environment: &[] }
}

/// An environment without any certificate authority.
const NO_ROOTS: &[(&str, &str)] =
    &[("SSL_CERT_FILE", "/nonexistent/ca.pem"), ("SSL_CERT_DIR", "/nonexistent")];

const fn without_roots(text: &str) -> Case<'_> {
    Case { text, environment: NO_ROOTS }
}

const HTTP: &str = "[keystone_authtoken]\nauth_url = http://127.0.0.1:1\nusername = f\npassword = p\n";
const HTTPS: &str = "[keystone_authtoken]\nauth_url = https://127.0.0.1:1\nusername = f\npassword = p\n";

const REFUSED: &[Case<'static>] = &[
    case("noauth\n[DEFAULT]\nbind_host = 0.0.0.0\n"),
    case("noauth\n[DEFAULT]\nbind_host = ::\n"),
    case("noauth\n[DEFAULT]\nbind_host = 192.0.2.1\n"),
    case("http\n[DEFAULT]\nbind_host = 192.0.2.1\n"),
    case("http\n[DEFAULT]\nbind_host = two words\n"),
    case("noauth\n[DEFAULT]\nbind_port = many\n"),
    case("noauth\n[DEFAULT]\nbacklog = 0\n"),
    case("noauth\n[DEFAULT]\nlog_dir = {dir}/missing\n"),
    case("noauth\n[DEFAULT]\nlog_file = {dir}/missing/f.log\n"),
    case("noauth\n[DEFAULT]\nlog_file = {dir}\n"),
    case("noauth\n[DEFAULT]\nlog_dir = {dir}/not-a-directory\n"),
    case("noauth\n[DEFAULT]\nlog_dir = {dir}/not-a-directory/below\n"),
    case("noauth\n[api]\nnoauth_hosts = freezer.dev.example, http://freezer\n"),
    case("noauth\n[api]\nnoauth_hosts = *\n"),
    case("noauth\n[database]\nconnection =\n"),
    case("noauth\n[database]\nconnection = ''\n"),
    case("noauth\n[DEFAULT]\nlog_file = {dir}/not-a-directory/f.log\n"),
    case("noauth\n[DEFAULT]\nuse_syslog = true\nsyslog_log_facility = LOG_NOBODY\n"),
    case("noauth\n[DEFAULT]\nuse_journal = true\nsyslog_log_facility =\n"),
    case("noauth\n[DEFAULT]\nlog_rotation_type = daily\n"),
    case("noauth\n[DEFAULT]\ndefault_log_levels = freezer_api\n"),
    case("noauth\n[DEFAULT]\nauth_strategy = basic\n"),
    case("noauth\n[DEFAULT]\nlog_file = $nothing/f.log\n"),
    case("noauth\n[storage]\ndriver = elasticsearch\n"),
    case("noauth\n[storage]\ndriver = sqlachemy\n"),
    case("noauth\n[storage]\nbackend = elasticsearch\n"),
    case("noauth\n[database]\nconnection = postgresql://f:p@127.0.0.1/f\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:port/f\n"),
    case("noauth\n[database]\nmax_pool_size = some\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_ca=/nonexistent/ca.pem\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_capth=/x\n"),
    case(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_cert=/nonexistent/c&ssl_key=/nonexistent/k\n",
    ),
    without_roots(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_verify_cert=true\n",
    ),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/missing/f.db\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/not-a-directory/f.db\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/loop\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/loop/f.db\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/dangling\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/a%00b\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/{long}\n"),
    case("noauth\n[database]\nconnection = sqlite:///{dir}/broken.yaml\n"),
    case("noauth\n[database]\nconnection = sqlite:////proc/kmsg\n"),
    case("noauth\n[database]\nconnection = sqlite:////sys/f.db\n"),
    case("noauth\n[database]\nconnection = sqlite:///file:{dir}/f.db?uri=true\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?unix_socket={dir}/loop\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?unix_socket={dir}\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?unix_socket={dir}/ca.pem\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?unix_socket={dir}/{long}\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_cert={dir}/ca.pem\n"),
    case("noauth\n[DEFAULT]\nlog_file = {dir}/loop\n"),
    case("noauth\n[DEFAULT]\nlog_file = {dir}/dangling\n"),
    case("noauth\n[DEFAULT]\nlog_dir = {dir}/{long}\n"),
    case("noauth\n[DEFAULT]\nlog_config_append = {dir}/loop\n"),
    case("noauth\n[oslo_policy]\npolicy_file = {dir}/loop\n"),
    case("noauth\n[oslo_policy]\npolicy_dirs = {dir}/loop\n"),
    case("https\ncafile = {dir}/loop\n"),
    case("https\ncafile = {dir}/ca.pem\ncertfile = {dir}/ca.pem\n"),
    case("http\nauth_url = http:/127.0.0.1:1\n"),
    case("http\nauth_url = http:///127.0.0.1:1\n"),
    case("http\nauth_url = http://one,two\n"),
    case("http\nwww_authenticate_uri = http:/public\n"),
    case("http\nusername =\n"),
    case(
        "http\n[centralized_scheduler]\nauth_section = t\n[t]\nauth_url = http://127.0.0.1:1\nusername =\npassword = p\n",
    ),
    case("noauth\n[DEFAULT]\nlog_config_append = /nonexistent/logging.conf\n"),
    case("noauth\n[DEFAULT]\nlog_config_append = {dir}/empty\n"),
    case("noauth\n[DEFAULT]\nlog_config_append = {dir}/logging.conf\n"),
    case("noauth\n[oslo_middleware]\nmax_request_body_size = large\n"),
    case("noauth\n[oslo_policy]\npolicy_file = {dir}/broken.yaml\n"),
    case("noauth\n[oslo_policy]\npolicy_dirs = {dir}/broken.yaml\n"),
    case(
        "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_verify_server_crt = true\nremote_ssl_ca_crt_file = /nonexistent/ca.pem\n",
    ),
    case(
        "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_client_crt_file = /nonexistent/c.pem\n",
    ),
    without_roots(
        "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_verify_server_crt = true\n",
    ),
    case("[keystone_authtoken]\nusername = f\npassword = p\n"),
    case("[keystone_authtoken]\nauth_url = http://127.0.0.1:1\nusername = f\n"),
    case("[keystone_authtoken]\nauth_url = http://127.0.0.1:1\npassword = p\n"),
    case("http\nauth_url = keystone\n"),
    case("http\nauth_url = ftp://127.0.0.1\n"),
    case("http\nwww_authenticate_uri = public\n"),
    case("http\nauth_type = kerberos\n"),
    case("http\nauth_type = v3applicationcredential\n"),
    case("http\nauth_section = elsewhere\n"),
    case("http\ntoken_cache_time = long\n"),
    case("http\nservice_token_roles_required = perhaps\n"),
    case("https\ncafile = /nonexistent/ca.pem\n"),
    case("https\ncafile = /dev/null\n"),
    case("https\ncafile = {dir}/empty\n"),
    case("https\ncafile = {dir}/ca.pem\ncertfile = /nonexistent/c.pem\n"),
    case("https\ncafile = {dir}/ca.pem\ncertfile = {dir}/ca.pem\nkeyfile = /nonexistent/k.pem\n"),
    without_roots("https\n"),
    Case { text: "https\n", environment: &[("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")] },
    Case { text: "https\n", environment: &[("CURL_CA_BUNDLE", "/nonexistent/ca.pem")] },
    case("http\n[centralized_scheduler]\nauth_section = elsewhere\n"),
    case("http\n[centralized_scheduler]\nenabled = often\n"),
    case(
        "http\n[centralized_scheduler]\nauth_section = t\n[t]\nauth_url = https://127.0.0.1:1\nusername = c\npassword = p\ncafile = /nonexistent/ca.pem\n",
    ),
];

const STARTED: &[Case<'static>] = &[
    case("noauth\n"),
    case("http\n"),
    case("http\ncafile =\ncertfile =\nkeyfile =\n"),
    case("http\ncafile = /nonexistent/ca.pem\n"),
    case("http\ncertfile = /nonexistent/c.pem\nkeyfile = /nonexistent/k.pem\n"),
    without_roots("http\n"),
    Case { text: "http\n", environment: &[("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")] },
    case("https\ncafile = {dir}/ca.pem\n"),
    case("https\ncafile = {dir}\n"),
    without_roots("https\ninsecure = true\n"),
    Case { text: "https\ninsecure = true\n", environment: &[("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")] },
    Case {
        text: "https\ncafile = {dir}/ca.pem\n",
        environment: &[("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")],
    },
    case(
        "http\nidentity_uri = http://k\nadmin_user = f\n[storage]\nbackend = sqlachemy\ndriver = sqlalchemy\n",
    ),
    case("noauth\n[oslo_policy]\npolicy_file = {dir}/missing.yaml\npolicy_dirs = {dir}/missing.d\n"),
    case("noauth\n[oslo_policy]\npolicy_file =\npolicy_dirs =\nremote_ssl_ca_crt_file =\n"),
    case(
        "noauth\n[oslo_policy]\nremote_ssl_verify_server_crt = true\nremote_ssl_ca_crt_file = /nonexistent/ca.pem\n",
    ),
    without_roots("noauth\n[oslo_policy]\nremote_ssl_verify_server_crt = true\n"),
    without_roots("noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\n"),
    case("http\ninterface = foo\n"),
    case("http\ninterface =\n"),
    case("http\ninterface = adminURL\n"),
    case("http\npassword =\n"),
    case("http\nkeyfile = {dir}/ca.pem\n"),
    case("noauth\n[oslo_policy]\nremote_ssl_client_key_file = {dir}/ca.pem\n"),
    case("noauth\n[healthcheck]\ndisable_by_file_path = {dir}/loop\n"),
    case("noauth\n[api]\nbody_idle_timeout = 90\nmax_searches_per_project = 20\n"),
    case("noauth\n[database]\nconnection = sqlite:///file:x?mode=ro\n"),
    case("noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_key={dir}/ca.pem\n"),
    case("noauth\n[DEFAULT]\nbacklog =\ndebug =\nmax_logfile_count =\nlog_rotation_type =\n"),
    case(
        "noauth\n[database]\nmax_pool_size =\nmax_overflow =\nmax_retries =\npool_timeout =\nretry_interval =\n",
    ),
    case("noauth\n[database]\nconnection_recycle_time =\nmysql_wsrep_sync_wait = ''\nmax_overflow = -5\n"),
    case("noauth\n[oslo_middleware]\nmax_request_body_size =\nenable_proxy_headers_parsing =\n"),
    case("noauth\n[oslo_middleware]\nmax_request_body_size = 0\n"),
    case("noauth\n[oslo_policy]\nenforce_scope =\nenforce_new_defaults =\nremote_timeout =\n"),
    case("noauth\n[DEFAULT]\nsyslog_log_facility = LOG_NOPE\n"),
    case("noauth\n[DEFAULT]\nsyslog_log_facility =\n"),
    case(
        "noauth\n[DEFAULT]\nlogging_context_format_string = %(message)s %(oops\nlogging_default_format_string = 50 %\n",
    ),
    case("noauth\n[DEFAULT]\nuse_stderr = true\nlog_dir = {dir}\n"),
    case("noauth\n[DEFAULT]\nuse_stderr = true\nlog_file =\nlog_dir = {dir}\n"),
    case("noauth\n[DEFAULT]\nlog_file =\nlog_dir =\nlog_config_append =\n"),
    case("noauth\n[DEFAULT]\nuse_syslog = true\nuse_journal = true\n"),
    case("noauth\n[database]\nmax_overflow = 25000\n"),
    case("noauth\n[database]\nmax_pool_size = 65535\n"),
    case("noauth\n[api]\nnoauth_hosts = Freezer.dev.example., 192.0.2.1 ,::1,\n"),
    case("noauth\n[api]\nnoauth_hosts =\n"),
    Case { text: "http\n", environment: &[("SSL_CERT_FILE", "/nonexistent/ca.pem")] },
    Case { text: "noauth\n", environment: &[("SSL_CERT_DIR", "/nonexistent:/proc/self")] },
];

/// A self-signed certificate whose key was deleted.
pub const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBkTCCATegAwIBAgIUFFEWzUxXBtNnm1ZxmW0GvTiLUzkwCgYIKoZIzj0EAwIw\n\
HjEcMBoGA1UEAwwTYXV0aG9yaXR5LWZvci10ZXN0czAeFw0yNjExMjkxNzEzMDda\n\
Fw00NjExMjQxNzEzMDdaMB4xHDAaBgNVBAMME2F1dGhvcml0eS1mb3ItdGVzdHMw\n\
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR8NIDkWk9jxPraVTJGtRs7NhJ4K2yl\n\
TxjOrkWYuoobe6H3m9Pl44BDifOl8m4WYVetROxNGNGDVXm5mKbWb/3wo1MwUTAd\n\
BgNVHQ4EFgQUo5qRlTEKHGkV/CcRPBMRJrENed0wHwYDVR0jBBgwFoAUo5qRlTEK\n\
HGkV/CcRPBMRJrENed0wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF\n\
AiA1XRB6bR2EctIokqn0BxAo7krQOVpEDi4LFRX+eXxJZwIhAIxfi2sAEhlmcczV\n\
WxTLnDkWMw7IBPGZIfLDOQUw0Zq/\n\
-----END CERTIFICATE-----\n";

/// A configuration of Python's logging, with a file in a directory that does not exist.
const LOGGING: &str = "[loggers]\nkeys = root\n[handlers]\nkeys = file\n[formatters]\nkeys = context\n\
[logger_root]\nlevel = INFO\nhandlers = file\n\
[handler_file]\nclass = handlers.WatchedFileHandler\nargs = ('/nonexistent/freezer-api.log',)\nformatter = context\n\
[formatter_context]\nclass = oslo_log.formatters.ContextFormatter\n";

fn prepare(scratch: &Scratch, tables: &Path) {
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", tables.display());
        if Path::new(&from).exists() {
            fs::copy(from, scratch.path().join(format!("f.db{suffix}"))).unwrap();
        }
    }
    fs::create_dir(scratch.path().join("empty")).unwrap();
    symlink("loop", scratch.path().join("loop")).unwrap();
    symlink("missing/file", scratch.path().join("dangling")).unwrap();
    scratch.write("ca.pem", CERTIFICATE);
    scratch.write("not-a-directory", "");
    scratch.write("logging.conf", LOGGING);
    scratch.write("broken.yaml", "\"jobs:get\": [\n");
    scratch.write("https.yaml", "\"jobs:get\": \"https://127.0.0.1:1/decide\"\n");
}

fn configuration(case: &Case<'_>, scratch: &Scratch, port: u16) -> String {
    let dir = scratch.path().display();
    let start = format!(
        "[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {port}\n[database]\nconnection = sqlite:///{dir}/f.db\n"
    );
    let text = match case.text.split_once('\n') {
        Some(("noauth", rest)) => format!("[DEFAULT]\nauth_strategy = noauth\n{rest}"),
        Some(("http", rest)) => format!("{HTTP}{rest}"),
        Some(("https", rest)) => format!("{HTTPS}{rest}"),
        _ => case.text.to_owned(),
    };
    start + &text.replace("{dir}", &dir.to_string()).replace("{long}", &"x".repeat(300))
}

fn surround(command: &mut Command, case: &Case<'_>) {
    for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        command.env_remove(variable);
    }
    command.envs(case.environment.iter().copied());
}

/// Runs both programs. Returns the result of the check, and either the running service or the error of its start.
fn both(case: &Case<'_>, tables: &Path) -> (Done, Result<Service, String>, Scratch) {
    let scratch = Scratch::new();
    prepare(&scratch, tables);
    let port = free_port();
    let file = scratch.write("f.conf", &configuration(case, &scratch, port));
    let mut check = command(MANAGE);
    surround(check.arg("--config-file").arg(&file).args(["config", "check"]), case);
    let checked = finish(check);
    let leftover = scratch.path().join("freezer-api.log");
    assert!(!leftover.exists(), "{}: a check creates no file", case.text);
    let mut start = command(API);
    surround(start.arg("--config-file").arg(&file), case);
    (checked, Service::spawn(start, port, &scratch), scratch)
}

fn tables(scratch: &Scratch) -> std::path::PathBuf {
    let database = Database::create(Engine::Sqlite, scratch).unwrap();
    let config = scratch.write("sync.conf", &format!("[database]\nconnection = {}\n", database.url()));
    run(MANAGE, &config, &["db", "sync"]).succeeded();
    scratch.path().join("freezer.db")
}

#[test]
fn the_check_fails_if_the_service_does_not_start() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    for case in REFUSED {
        let (checked, started, _files) = both(case, &tables);
        let what = format!("{} {:?}\n{checked:#?}", case.text, case.environment);
        let Err(said) = started else { panic!("it started: {what}") };
        assert_eq!(checked.code, Some(2), "{said}\n{what}");
        // The check must contain the error of the start word by word.
        let last =
            said.lines().rfind(|line| line.contains("freezer-api: ")).unwrap_or_else(|| panic!("{said}"));
        let reason = last.split_once("freezer-api: ").unwrap().1;
        assert!(checked.stdout.contains(reason), "no {reason:?} in {what}");
    }
}

#[test]
fn the_check_does_not_fail_if_the_service_starts() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    for case in STARTED {
        let (checked, started, _files) = both(case, &tables);
        let what = format!("{} {:?}\n{checked:#?}", case.text, case.environment);
        assert!(matches!(checked.code, Some(0 | 1)), "{what}");
        let service = started.unwrap_or_else(|said| panic!("{said}\n{what}"));
        // Each warning of the check must also be in the log.
        for line in checked.stdout.lines().filter_map(|line| line.strip_prefix("warning  ")) {
            let log = service.log();
            assert!(
                log.lines().any(|logged| logged.contains(" WARNING ") && logged.ends_with(line)),
                "{line}\n{log}"
            );
        }
    }
}

/// Asserts that the check fails with these words for a configuration with which the service does not start.
#[track_caller]
fn says(text: &str, words: &[&str]) {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    let (checked, started, files) = both(&Case { text, environment: &[] }, &tables);
    assert!(started.is_err(), "{text}");
    let file = format!("failure  {}:", files.path().join("f.conf").display());
    let line = checked.stdout.lines().find(|line| line.starts_with(&file) && line.contains(words[0]));
    let line = line.unwrap_or_else(|| panic!("{text}\n{checked:#?}"));
    for word in words {
        assert!(line.contains(word), "{word:?} in {line}");
    }
    assert!(!line.contains("No such file"), "{line}");
}

#[test]
fn an_unusable_destination_of_logs_is_explained() {
    says(
        "noauth\n[DEFAULT]\nlog_dir = {dir}/not-a-directory\n",
        &["[DEFAULT] log_dir", "/not-a-directory is a file, not a directory"],
    );
    says(
        "noauth\n[DEFAULT]\nlog_dir = {dir}/not-a-directory/below\n",
        &["[DEFAULT] log_dir", "/not-a-directory is a file, not a directory"],
    );
    says(
        "noauth\n[DEFAULT]\nlog_dir = {dir}/missing\n",
        &["[DEFAULT] log_dir", "/missing does not exist; create it"],
    );
}

#[test]
fn an_empty_connection_is_explained() {
    for text in ["noauth\n[database]\nconnection =\n", "noauth\n[database]\nconnection = \"\"\n"] {
        says(text, &["[database] connection", "it is empty; write", "mysql+pymysql://"]);
    }
}

#[test]
fn an_unusable_path_of_the_database_is_explained() {
    const OPTION: &str = "[database] connection";
    for (path, words) in [
        ("{dir}/loop", "its symbolic links lead to each other"),
        ("{dir}/dangling", "/missing does not exist; create it"),
        ("{dir}/a%00b", "it contains a NUL character"),
        ("{dir}/{long}", "longer than the system allows"),
        ("{dir}/broken.yaml", "it is not a SQLite database"),
        ("/proc/kmsg", "it is below /proc"),
        ("file:{dir}/f.db?uri=true", "URIs of SQLite are not supported"),
    ] {
        says(&format!("noauth\n[database]\nconnection = sqlite:///{path}\n"), &[OPTION, words]);
    }
    let mysql = "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?";
    for (parameter, words) in [
        ("unix_socket={dir}/loop", "its symbolic links lead to each other"),
        ("unix_socket={dir}/empty", "it is not a socket"),
        ("ssl_cert={dir}/ca.pem", "the parameter ssl_key is not given"),
    ] {
        says(&format!("{mysql}{parameter}\n"), &[OPTION, words]);
    }
}

#[test]
fn an_unreadable_policy_is_explained() {
    for option in ["policy_file", "policy_dirs"] {
        let text = format!("noauth\n[oslo_policy]\n{option} = {{dir}}/loop\n");
        says(&text, &[&format!("[oslo_policy] {option}: cannot read"), "/loop"]);
    }
}

#[test]
fn an_unusable_login_is_explained() {
    for (text, option, words) in [
        ("http\nusername =\n", "[keystone_authtoken] username", "set username"),
        ("http\nauth_url = http:/k\n", "[keystone_authtoken] auth_url", "it has no \"//\""),
        (
            "http\nauth_section = own\n[own]\nauth_url = http:/k\nusername = f\npassword = p\n",
            "[own] auth_url",
            "it has no \"//\"",
        ),
        (
            "http\n[centralized_scheduler]\nauth_section = t\n[t]\nauth_url = http:/k\nusername = f\npassword = p\n",
            "[t] auth_url",
            "it has no \"//\"",
        ),
        (
            "https\ncafile = {dir}/ca.pem\ncertfile = {dir}/ca.pem\n",
            "[keystone_authtoken] certfile",
            "keyfile is not set",
        ),
    ] {
        says(text, &[option, words]);
    }
}

#[test]
fn probable_mistakes_cause_a_warning_with_a_place() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    for (text, words) in [
        ("http\ninterface = foo\n", "[keystone_authtoken] interface = foo: no endpoint has this interface"),
        ("http\npassword =\n", "[keystone_authtoken] password: it is empty"),
        (
            "http\n[centralized_scheduler]\nauth_section = t\n[t]\nauth_url = http://k\nusername = f\npassword =\n",
            "[t] password: it is empty",
        ),
        ("http\nkeyfile = /k\n", "[keystone_authtoken] keyfile = /k: it has no effect without certfile"),
        (
            "noauth\n[oslo_policy]\nremote_ssl_client_key_file = /k\n",
            "[oslo_policy] remote_ssl_client_key_file = /k: it has no effect without remote_ssl_client_crt_file",
        ),
        (
            "noauth\n[api]\nbody_idle_timeout = 90\n",
            "[api] body_idle_timeout = 90: larger than [api] body_timeout",
        ),
        ("noauth\n[api]\nbody_timeout = 9\n", "[api] body_timeout = 9: smaller than [api] body_idle_timeout"),
        (
            "noauth\n[database]\nconnection = sqlite:///file:x\n",
            "[database] connection: this means the file \"/",
        ),
        (
            "noauth\n[database]\nconnection = mysql+pymysql://f:p@h/f?ssl_key=/k\n",
            "[database] connection: the parameter ssl_key has no effect without ssl_cert",
        ),
    ] {
        let scratch = Scratch::new();
        prepare(&scratch, &tables);
        let file = scratch.write("f.conf", &configuration(&case(text), &scratch, free_port()));
        let checked = run(MANAGE, &file, &["config", "check"]);
        let begin = format!("warning  {}:", file.display());
        let found = |line: &str| line.starts_with(&begin) && line.contains(words);
        assert_eq!(checked.code, Some(1), "{text}\n{checked:#?}");
        assert!(checked.stdout.lines().any(found), "no {words:?} in {checked:#?}");
    }
}

#[test]
fn missing_authorities_are_reported_once_for_all_that_need_them() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    const ALL: &str = "https\n[centralized_scheduler]\nauth_section = t\n[t]\nauth_url = https://127.0.0.1:2\n\
                       username = c\npassword = p\n[oslo_policy]\npolicy_file = {dir}/https.yaml\n\
                       remote_ssl_verify_server_crt = true\n[database]\n\
                       connection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_verify_cert=true\n";
    for environment in [
        NO_ROOTS,
        &[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "/nonexistent")],
        &[("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "")],
    ] {
        let (checked, started, _files) = both(&Case { text: ALL, environment }, &tables);
        let Err(said) = started else { panic!("it started: {checked:#?}") };
        assert_eq!(checked.code, Some(2), "{checked:#?}");
        let failures = checked.stdout.lines().filter(|line| line.starts_with("failure")).count();
        assert_eq!(failures, 1, "{checked:#?}");
        for text in [&checked.stdout, &said] {
            for once in [
                &format!("SSL_CERT_FILE = {:?} is not usable", environment[0].1),
                "[database] connection",
                "https://127.0.0.1:1/",
                "https://127.0.0.1:2/",
                "policy rules with an https: check",
            ] {
                assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
            }
        }
    }
}

#[test]
fn unusable_authorities_of_the_environment_cause_a_warning() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    for (variable, path) in [("SSL_CERT_FILE", "/nonexistent/ca.pem"), ("SSL_CERT_DIR", "/nonexistent")] {
        for text in ["http\n", "https\ncafile = {dir}/ca.pem\n", "noauth\n"] {
            let scratch = Scratch::new();
            prepare(&scratch, &tables);
            let file = scratch.write("f.conf", &configuration(&case(text), &scratch, free_port()));
            let mut check = command(MANAGE);
            check.arg("--config-file").arg(&file).args(["config", "check"]).env(variable, path);
            let checked = finish(check);
            let words = format!("environment variable {variable} = \"{path}\" is not usable: No such file");
            assert_eq!((checked.code, checked.stdout.contains(&words)), (Some(1), true), "{checked:#?}");
        }
    }
}

#[test]
fn missing_files_for_https_cause_a_warning() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    for (case, words) in [
        (case("http\ncafile = /nonexistent/ca.pem\n"), "cafile = \"/nonexistent/ca.pem\" is not usable"),
        (case("http\ncertfile = /nonexistent/c.pem\n"), "certfile = \"/nonexistent/c.pem\" is not usable"),
        (
            Case { text: "http\n", environment: &[("REQUESTS_CA_BUNDLE", "/nonexistent/b")] },
            "environment variable REQUESTS_CA_BUNDLE = \"/nonexistent/b\" is not usable",
        ),
    ] {
        let (checked, started, _files) = both(&case, &tables);
        assert_eq!(checked.code, Some(1), "{checked:#?}");
        assert!(checked.stdout.contains(words) && checked.stdout.contains("without TLS"), "{checked:#?}");
        started.unwrap();
    }
}

#[test]
fn servers_without_verification_cause_a_warning() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    for (case, words) in [
        (
            case("https\ninsecure = true\n"),
            "[keystone_authtoken] insecure = true: Keystone's certificate is not verified",
        ),
        (
            case(
                "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_verify_server_crt = false\n",
            ),
            "[oslo_policy] remote_ssl_verify_server_crt = false: a policy rule has an https: check",
        ),
    ] {
        let (checked, started, files) = both(&case, &tables);
        assert_eq!(checked.code, Some(1), "{checked:#?}");
        let file = files.path().join("f.conf").display().to_string();
        let line = checked
            .stdout
            .lines()
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("{checked:#?}"));
        assert!(line.starts_with(&format!("warning  {file}:")), "{line}");
        started.unwrap();
    }
}

#[test]
fn a_system_without_authorities_is_explained() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    let (checked, _, _) = both(&without_roots("https\n"), &tables);
    for words in ["https://127.0.0.1:1", "ca-certificates", "cafile", "REQUESTS_CA_BUNDLE"] {
        assert!(checked.stdout.contains(words), "{words}: {checked:#?}");
    }
}

#[test]
fn a_port_in_use_does_not_fail_the_check() {
    let scratch = Scratch::new();
    let tables = tables(&scratch);
    prepare(&scratch, &tables);
    let port = free_port();
    let _other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let file = scratch.write("f.conf", &configuration(&case("noauth\n"), &scratch, port));
    run(MANAGE, &file, &["config", "check"]).succeeded();
}
