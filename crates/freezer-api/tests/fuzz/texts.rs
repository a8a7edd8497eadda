//! Texts that operators write: database URLs, configuration files and policy files.

use freezer_api::config;
use freezer_api::policy;
use freezer_store::DatabaseUrl;
use oslo_config::Config;
use oslo_policy::lint::check_text;
use oslo_policy::{Credentials, Options, Target};

use super::target;

target!(
    url,
    &[
        "mysql+pymysql://",
        "sqlite:///",
        "://",
        "@",
        "/",
        "?",
        "&",
        "=",
        "%2F",
        "%zz",
        "[::1]",
        ":3306",
        ":0",
        ":99999",
        "ssl_ca=",
        "ssl_verify_cert=true",
        "ssl_disabled=",
        "ssl_mode=REQUIRED",
        "charset=utf8mb4",
        "unix_socket=/x",
        "connect_timeout=",
        "read_default_file=/nowhere",
    ],
    super::database_url
);

/// The password in the corpus. If it is the password of a URL, neither the error nor `Debug` may contain it.
const PASSWORD: &str = "hunter22secret";

/// The input is a URL. The second line is the option `connection_parameters`.
fn database_url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (url, more) = text.split_once('\n').unwrap_or((&text, ""));
    let parsed = DatabaseUrl::parse_with(url, more);
    let shown = match &parsed {
        Ok(url) => {
            assert!(["mysql", "mariadb", "sqlite"].contains(&url.engine()), "{}", url.engine());
            // These files do not exist, but the function must not panic.
            let _ = url.check_files();
            format!("{url:?}")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(parsed.is_ok(), DatabaseUrl::parse_with(url, more).is_ok());
    if has_password(url) && text.matches(PASSWORD).count() == 1 {
        assert!(!shown.contains(PASSWORD), "the password is shown: {shown}");
    }
}

/// Returns whether the text is `scheme://user:PASSWORD@…`.
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let user_end = rest.find([':', '/', '@', '?', '#']).unwrap_or(rest.len());
    rest[user_end..]
        .strip_prefix(':')
        .and_then(|rest| rest.strip_prefix(PASSWORD))
        .is_some_and(|rest| rest.starts_with('@'))
}

target!(
    ini,
    &[
        "[DEFAULT]\n",
        "[database]\n",
        "[keystone_authtoken]\n",
        "[",
        "]",
        "=",
        " = ",
        "\n ",
        "\n\t",
        "#",
        ";",
        "$",
        "$$",
        "${",
        "$bind_host",
        "bind_port = ",
        "connection = ",
        "true",
        "max_pool_size = ",
        "log_file = ",
    ],
    super::configuration
);

/// The input is a configuration file of the service. Every option of it can be read.
fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let options = config::declarations();
    match Config::from_text("freezer-api.conf", &text) {
        Ok(read) => {
            let read = read.declare(&options);
            for error in read.check(&options) {
                assert!(!error.to_string().is_empty());
            }
            for unknown in read.unknown(&options) {
                assert!(!unknown.name.is_empty() || !unknown.group.is_empty());
            }
        }
        Err(error) => {
            assert!(error.to_string().contains("freezer-api.conf"), "the file is not named: {error}")
        }
    }
}

target!(
    policy_file,
    &[
        "\"jobs:get\": ",
        "role:admin",
        "rule:",
        " and ",
        " or ",
        "not ",
        "(",
        ")",
        "@",
        "!",
        "%(project_id)s",
        "- ",
        "{}",
        "[]",
        "http://127.0.0.1:1/",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "|\n ",
        "---\n",
    ],
    super::policies
);

/// The input is a policy file. Checking it and evaluating its rules must not panic.
fn policies(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for name in ["policy.yaml", "policy.json"] {
        let problems = check_text(&text, name, &policy::all(), &Options::default());
        assert!(problems.iter().all(|problem| !problem.message.is_empty()));
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let thread = format!("{:?}", std::thread::current().id());
    let file = folder.join(format!("fuzz-{}-{}.yaml", std::process::id(), thread.replace(['(', ')'], "")));
    std::fs::write(&file, input).unwrap();
    let options = Options { policy_file: Some(file.clone()), ..Options::default() };
    if let Ok(enforcer) = oslo_policy::Enforcer::new(policy::all(), options) {
        let target = Target::new().with("project_id", "p");
        let nobody = Credentials::new();
        let member = Credentials::new().with("roles", vec!["member"]).with("project_id", "p");
        for rule in enforcer.rule_names() {
            if !enforcer.needs_remote(&rule) {
                let _ = enforcer.enforce(&rule, &target, &nobody);
                let _ = enforcer.enforce(&rule, &target, &member);
            }
        }
    }
    let _ = std::fs::remove_file(file);
}
