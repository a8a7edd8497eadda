//! `freezer-manage config`.

use serde_json::Value;

use crate::process::{self, Done, MANAGE, Scratch, run};

const GOOD: &str = "[DEFAULT]\nauth_strategy = noauth\nbind_host = 127.0.0.1\n[database]\nconnection = sqlite:////tmp/f.db\n";

fn check(scratch: &Scratch, text: &str, arguments: &[&str]) -> Done {
    let config = scratch.write("f.conf", text);
    process::run(MANAGE, &config, &[&["config", "check"], arguments].concat())
}

#[test]
fn a_good_file_has_no_findings() {
    let scratch = Scratch::new();
    let done = check(&scratch, GOOD, &[]);
    assert_eq!(done.succeeded(), "nothing is wrong with the configuration\n");
}

#[test]
fn each_kind_of_finding_has_a_place_and_an_exit_code() {
    let scratch = Scratch::new();
    let file = scratch.path().join("f.conf").display().to_string();
    for (line, code, expected) in [
        ("[DEFAULT]\nbind_port = many", 2, "failure  {}:7: [DEFAULT] bind_port = many: "),
        ("[storage]\nbackend = elasticsearch", 2, "failure  {}:7: [storage] backend = elasticsearch: "),
        (
            "[DEFAULT]\nbind_prot = 1",
            1,
            "warning  {}:7: [DEFAULT] bind_prot: unknown option; did you mean bind_port?",
        ),
        (
            "[DEFAULT]\nallowed_origin = x",
            1,
            "warning  {}:7: [DEFAULT] allowed_origin: unknown option; it belongs in [cors]",
        ),
        (
            "[DEFAULT]\nbind-port = 1",
            1,
            "warning  {}:7: [DEFAULT] bind-port: unknown option; did you mean bind_port?",
        ),
        (
            "[DEFAULT]\nuse-syslog = true",
            1,
            "warning  {}:7: [DEFAULT] use-syslog: unknown option; did you mean use_syslog?",
        ),
        ("[DEFAULT]\nDEBUG = true", 1, "warning  {}:7: [DEFAULT] DEBUG: unknown option; did you mean debug?"),
        (
            "[default]\nbind_port = 1",
            1,
            "warning  {}:7: [default] bind_port: unknown group; did you mean [DEFAULT]?",
        ),
        (
            "[DEFAULT]\nlog_format = %(message)s",
            1,
            "warning  {}:7: [DEFAULT] log_format: an option of former releases: write logging_context_format_string and",
        ),
        (
            "[DEFAULT]\nwatch_log_file = true",
            0,
            "note     {}:7: [DEFAULT] watch_log_file: accepted, without effect: ",
        ),
        (
            "[keystone_authtoken]\ndelay_auth_decision = False",
            0,
            "note     {}:7: [keystone_authtoken] delay_auth_decision: accepted, without effect: ",
        ),
        (
            "[keystone_authtoken]\nenforce_token_bind = permissive",
            0,
            "note     {}:7: [keystone_authtoken] enforce_token_bind: accepted, without effect: ",
        ),
        (
            "[keystone_authtoken]\nenforce_token_bind = strict",
            1,
            "warning  {}:7: [keystone_authtoken] enforce_token_bind: accepted, without effect: ",
        ),
        (
            "[DEFAULT]\nsyslog_log_facility = LOG_NOPE",
            1,
            "warning  {}:7: [DEFAULT] syslog_log_facility = LOG_NOPE: ",
        ),
        (
            "[DEFAULT]\nlogging_default_format_string = %(oops",
            1,
            "warning  {}:7: [DEFAULT] logging_default_format_string = %(oops: cannot be parsed",
        ),
        (
            "[oslo_policy]\npolicy_file = /nope/policy.yaml",
            1,
            "warning  {}:7: [oslo_policy] policy_file: /nope/policy.yaml does not exist, so the default rules apply",
        ),
        (
            "[oslo_policy]\npolicy_dirs = /nope/policy.d",
            1,
            "warning  {}:7: [oslo_policy] policy_dirs: /nope/policy.d does not exist, so no rules are read from it",
        ),
        (
            "[DEFAULT]\nlog_dir = /nonexistent",
            2,
            "failure  {}:7: [DEFAULT] log_dir: /nonexistent/freezer-api.log: the directory /nonexistent does not exist",
        ),
        (
            "[DEFAULT]\nlog_dir = /tmp\nlog_file = /nonexistent/f.log",
            2,
            "failure  {}:8: [DEFAULT] log_file: /nonexistent/f.log: the directory /nonexistent does not exist",
        ),
        (
            "[DEFAULT]\nlog_dir = /nonexistent\nlog_file = f.log",
            2,
            "failure  {}:7: [DEFAULT] log_dir: /nonexistent/f.log: the directory /nonexistent does not exist",
        ),
        (
            "[DEFAULT]\nlog_config_append = /nonexistent/logging.conf",
            2,
            "failure  {}:7: [DEFAULT] log_config_append = /nonexistent/logging.conf: ",
        ),
        ("[DEFAULT]\nlog_rotation_type = daily", 2, "failure  {}:7: [DEFAULT] log_rotation_type = daily: "),
        (
            "[DEFAULT]\nbind_host = 192.0.2.1\nauth_strategy = keystone",
            2,
            "failure  [keystone_authtoken] auth_url is not set",
        ),
        (
            "[database]\nconnection = sqlite:////nonexistent/f.db",
            2,
            "failure  {}:7: [database] connection: /nonexistent/f.db: the directory /nonexistent does not exist; create it",
        ),
        (
            "[database]\nconnection = sqlite:////tmp",
            2,
            "failure  {}:7: [database] connection: /tmp: it is a directory",
        ),
        (
            "[healthcheck]\nallowed_source_ranges = x",
            2,
            "failure  {}:7: [healthcheck] allowed_source_ranges = x: ",
        ),
        ("[api]\nmax_limit = 5", 1, "warning  {}:7: [api] max_limit = 5: "),
        ("[api]\nmax_page_bytes = 10000000", 1, "warning  {}:7: [api] max_page_bytes = 10000000: "),
        ("[api]\nmax_job_actions = 1000", 1, "warning  {}:7: [api] max_job_actions = 1000: "),
        ("[oslo_policy]\npolicy_file = policy.yaml\npolicy_dirs = policy.d", 0, "nothing is wrong"),
        ("[DEFAULT]\nbind_port =", 0, "nothing is wrong"),
        ("[databse]\nx = 1", 1, "warning  {}:7: [databse] x: unknown group; did you mean [database]?"),
        (
            "[keystone_authtoken]\nauth_uri = http://k",
            1,
            "warning  {}:7: [keystone_authtoken] auth_uri: deprecated name; write [keystone_authtoken] www_authenticate_uri",
        ),
        (
            "[keystone_authtoken]\ndelay_auth_decision = true",
            1,
            "warning  {}:7: [keystone_authtoken] delay_auth_decision: accepted, without effect: ",
        ),
        (
            "[paste_deploy]\nconfig_file = p.ini",
            0,
            "note     {}:7: [paste_deploy] config_file: accepted, without effect: ",
        ),
        (
            "[cors]\nallowed_origin = http://x",
            1,
            "warning  {}:7: [cors] allowed_origin: with auth_strategy = noauth, requests of web pages",
        ),
        (
            "[cors.horizon]\nallowed_origin = http://x",
            1,
            "warning  {}:7: [cors.horizon] allowed_origin: neither oslo.middleware nor this service reads",
        ),
        (
            "[ssl]\nca_file = /nonexistent",
            1,
            "warning  {}:7: [ssl] ca_file: without cert_file and key_file, the service does not use TLS",
        ),
        (
            "[ssl]\nversion = TLSv1\ncert_file = /nonexistent\nkey_file = /nonexistent",
            2,
            "failure  {}:7: [ssl] version = TLSv1: only TLS 1.2 and 1.3 are supported",
        ),
        (
            "[DEFAULT]\nbind_unix_socket = /nonexistent/f.sock",
            2,
            "failure  {}:7: [DEFAULT] bind_unix_socket = /nonexistent/f.sock: the directory /nonexistent",
        ),
        (
            "[DEFAULT]\nssl_cert_file = /c",
            1,
            "warning  {}:7: [DEFAULT] ssl_cert_file: an option of former releases: write [ssl] cert_file",
        ),
        (
            "[DEFAULT]\nlog_rotation_type = interval",
            1,
            "warning  {}:7: [DEFAULT] log_rotation_type = interval: rotation by time is not supported",
        ),
        ("[oslo_messaging_rabbit]\nhost = x", 0, "nothing is wrong"),
        (
            "[storage]\nbackend = sqlachemy\ndriver = sqlalchemy",
            1,
            "warning  {}:7: [storage] backend = sqlachemy: this is only the name of a section",
        ),
        (
            "[storage]\nbackend = sqlalchemy\ndriver = elasticsearch",
            2,
            "failure  {}:8: [storage] driver = elasticsearch: ",
        ),
        (
            "[DEFAULT]\nenable_v1_api = false",
            1,
            "warning  {}:7: [DEFAULT] enable_v1_api: an option of former releases: API v1 was removed in 19.0.0 and is not",
        ),
        (
            "[keystone_authtoken]\nidentity_uri = http://k:35357",
            1,
            "warning  {}:7: [keystone_authtoken] identity_uri: an option of former releases: write auth_url",
        ),
        (
            "[keystone_authtoken]\nadmin_user = freezer",
            1,
            "warning  {}:7: [keystone_authtoken] admin_user: an option of former releases: write username, and",
        ),
        (
            "[keystone_authtoken]\nsigning_dir = /tmp",
            0,
            "note     {}:7: [keystone_authtoken] signing_dir: an option of former releases: it configured PKI tokens",
        ),
        (
            "[DATABASE]\nidle_timeout = 60",
            1,
            "warning  {}:7: [database] idle_timeout: an option of former releases: write connection_recycle_time",
        ),
        (
            "[sql]\nconnection = mysql://x",
            1,
            "warning  {}:7: [sql] connection: an option of former releases: write [database] connection",
        ),
        (
            "[elasticsearch]\nhosts = http://e:9200",
            0,
            "note     {}:7: [elasticsearch] hosts: an option of former releases: an option of the Elasticsearch storage",
        ),
        (
            "[DEFAULT]\nrpc_backend = rabbit",
            0,
            "note     {}:7: [DEFAULT] rpc_backend: an option of former releases: this service sends no messages",
        ),
        ("[keystone_authtoken]\ncafile =\ncertfile =\nkeyfile =", 0, "nothing is wrong"),
        (
            "[DEFAULT]\nlog_file =\nlog_dir =\n[oslo_policy]\npolicy_file =\npolicy_dirs =\n[healthcheck]\ndisable_by_file_path =",
            0,
            "nothing is wrong",
        ),
    ] {
        let done = check(&scratch, &format!("{GOOD}{line}\n"), &[]);
        assert_eq!(done.code, Some(code), "{line}: {done:#?}");
        let expected = expected.replace("{}", &file);
        assert!(done.stdout.starts_with(&expected), "{line}: no {expected:?} in {done:#?}");
        assert_eq!(done.stdout.lines().count(), 1, "{line}: {done:#?}");
    }
}

#[test]
fn parameters_of_the_database_are_checked() {
    let scratch = Scratch::new();
    let missing = scratch.path().join("none.pem").display().to_string();
    let broken = scratch.write("broken.pem", "no PEM").display().to_string();
    let url = |parameters: &str| format!("mysql+pymysql://f:s3cr3t@h/f?charset=utf8mb4&{parameters}");
    let at = format!("{}:5: [database] connection:", scratch.path().join("f.conf").display());
    for (parameters, code, expected) in [
        ("connect_timeout=5&unix_socket=&ssl_ca=".to_owned(), 0, "nothing is wrong".to_owned()),
        (
            "chraset=utf8".to_owned(),
            1,
            format!("warning  {at} unknown parameter chraset; did you mean charset?"),
        ),
        ("zzz=1".to_owned(), 1, format!("warning  {at} unknown parameter zzz\n")),
        ("read_timeout=5".to_owned(), 1, format!("warning  {at} the parameter read_timeout has no effect\n")),
        (
            "ssl_check_hostname=true".to_owned(),
            1,
            format!(
                "warning  {at} the parameter ssl_check_hostname has no effect without ssl_ca or ssl_capath"
            ),
        ),
        (
            "ssl_verfy_cert=true".to_owned(),
            2,
            format!(
                "failure  {at} unknown parameter ssl_verfy_cert for PyMySQL; the parameters for TLS are ssl_ca, "
            ),
        ),
        ("SSL_CA=x".to_owned(), 2, format!("failure  {at} unknown parameter SSL_CA for PyMySQL")),
        ("sslmode=x".to_owned(), 2, format!("failure  {at} unknown parameter sslmode for PyMySQL")),
        (
            "compress=1".to_owned(),
            0,
            format!(
                "note     {at} the parameter compress is accepted, but it is not needed and has no effect"
            ),
        ),
        ("use_unicode=1".to_owned(), 0, format!("note     {at} the parameter use_unicode is accepted")),
        ("local_infile=1".to_owned(), 0, format!("note     {at} the parameter local_infile is accepted")),
        (
            "ssl_x=1&ssl_y=2&ssl_verify_cert=perhaps&ssl_disabled=maybe".to_owned(),
            2,
            format!("failure  {at} unknown parameter ssl_x, ssl_y for PyMySQL; the parameters for TLS are "),
        ),
        (format!("ssl_ca={missing}"), 2, format!("failure  {at} ssl_ca={missing}: No such file")),
        (format!("ssl_ca={broken}"), 2, format!("failure  {at} ssl_ca={broken}: contains no certificate")),
        (format!("ssl_cert={missing}"), 2, format!("failure  {at} ssl_cert={missing}: No such file")),
        (format!("ssl_capath={missing}"), 2, format!("failure  {at} ssl_capath={missing}: No such file")),
    ] {
        let done = check(&scratch, &GOOD.replace("sqlite:////tmp/f.db", &url(&parameters)), &[]);
        assert_eq!(done.code, Some(code), "{parameters}: {done:#?}");
        assert!(done.stdout.starts_with(&expected), "{parameters}: no {expected:?} in {done:#?}");
        done.without("s3cr3t");
    }
    let several = "ssl_x=1&ssl_verify_cert=perhaps&ssl_check_hostname=maybe&ssl_ca=/a&ssl_ca=/b";
    let done = check(&scratch, &GOOD.replace("sqlite:////tmp/f.db", &url(several)), &[]);
    for named in
        ["ssl_x", "ssl_verify_cert=perhaps", "ssl_check_hostname=maybe", "ssl_ca is given more than once"]
    {
        assert!(done.stdout.contains(named), "no {named} in {done:#?}");
    }
    // This separate option has the same effect.
    let text = GOOD.replace("sqlite:////tmp/f.db", &format!("{}\nconnection_parameters = ssl_x=1", url("")));
    let done = check(&scratch, &text, &[]);
    let at = format!("{}:6: [database] connection_parameters:", scratch.path().join("f.conf").display());
    assert!(done.stdout.starts_with(&format!("failure  {at} unknown parameter ssl_x")), "{done:#?}");
    for (parameters, expected) in [
        (format!("ssl_ca={missing}"), format!("failure  {at} ssl_ca={missing}: No such file")),
        (
            "ssl_key=/k".to_owned(),
            format!("warning  {at} the parameter ssl_key has no effect without ssl_cert"),
        ),
        ("chraset=x".to_owned(), format!("warning  {at} unknown parameter chraset")),
    ] {
        let url = format!("{}\nconnection_parameters = {parameters}", url(""));
        let done = check(&scratch, &GOOD.replace("sqlite:////tmp/f.db", &url), &[]);
        assert!(done.stdout.starts_with(&expected), "no {expected:?} in {done:#?}");
    }
}

#[test]
fn errors_in_files_of_the_url_have_a_place_in_every_command() {
    let scratch = Scratch::new();
    for url in [
        "mysql+pymysql://f:s3cr3t@h/f?ssl_ca=/nonexistent/ca.pem",
        "mysql+pymysql://f:s3cr3t@h/f?unix_socket=/proc/kmsg",
        "sqlite:////nonexistent/f.db",
        "sqlite:////proc/kmsg",
    ] {
        let file = scratch.write("f.conf", &GOOD.replace("sqlite:////tmp/f.db", url));
        let at = format!("{}:5: [database] connection: ", file.display());
        for arguments in [
            &["db", "sync"][..],
            &["db", "sync", "--dry-run"],
            &["db", "check"],
            &["db", "check", "--json"],
            &["db", "version"],
            &["db", "history"],
            &["db", "purge", "--older-than", "30d"],
            &["config", "check"],
        ] {
            let done = run(MANAGE, &file, arguments);
            let said = format!("{}{}", done.stdout, done.stderr);
            assert!(said.contains(&at), "{arguments:?}: no {at} in {said}");
            done.without("s3cr3t");
        }
    }
}

#[test]
fn errors_of_urls_explain_percent_encoding() {
    let scratch = Scratch::new();
    for url in [
        "mysql+pymysql://f:s3cr3t/@h",
        "mysql://f:s3cr3t@h:port/f",
        "mysql://f:a@b/s3cr3t@h/f",
        "f:s3cr3t@h/f",
    ] {
        let done = check(&scratch, &GOOD.replace("sqlite:////tmp/f.db", url), &[]);
        assert_eq!(done.code, Some(2), "{url}: {done:#?}");
        let file = scratch.path().join("f.conf").display().to_string();
        let expected = format!("failure  {file}:5: [database] connection: ");
        assert!(done.stdout.starts_with(&expected), "{url}: {done:#?}");
        assert!(done.stdout.contains("write @ as %40"), "{url}: {done:#?}");
        done.without("s3cr3t");
    }
}

#[test]
fn a_file_that_is_not_ini_is_a_failure() {
    let scratch = Scratch::new();
    let done = check(&scratch, "[DEFAULT]\nno assignment\n", &[]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stdout.contains("f.conf:2: expected `name = value`"), "{done:#?}");
}

#[test]
fn the_json_output_contains_no_password() {
    let scratch = Scratch::new();
    let text = "[database]\nconnection = mysql+pymysql://f:s3cr3t@h:x/f\n[DEFAULT]\nbind_prot = 1\n";
    let done = check(&scratch, text, &["--json"]);
    assert_eq!(done.without("s3cr3t").code, Some(2), "{done:#?}");
    let json: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["verdict"], "failure");
    let findings = json["findings"].as_array().unwrap();
    let unknown = findings.iter().find(|finding| finding["kind"] == "unknown_option").unwrap();
    assert_eq!((&unknown["option"], &unknown["line"]), (&"bind_prot".into(), &4.into()));
    let file = scratch.path().join("f.conf").display().to_string();
    let text = format!("{GOOD}[storage]\ndriver = elasticsearch\n");
    for (text, group, option, line, begins) in [
        (text.as_str(), "storage", "driver", 7, "elasticsearch: this service stores"),
        (
            &GOOD.replace("sqlite:////tmp/f.db", "mysql://f:p@h:x/f"),
            "database",
            "connection",
            5,
            "the port is not",
        ),
        (&format!("{GOOD}[DEFAULT]\nbind_port = many\n"), "DEFAULT", "bind_port", 7, "many: "),
        (
            &format!("{GOOD}[DEFAULT]\nlog_dir = /nonexistent\n"),
            "DEFAULT",
            "log_dir",
            7,
            "/nonexistent/freezer-api.log: ",
        ),
        (
            "[database]\nconnection = sqlite:////tmp/f.db\n[keystone_authtoken]\nauth_url = https://k\nusername = f\n\
             password = p\ncafile = /nonexistent\n",
            "keystone_authtoken",
            "cafile",
            7,
            "\"/nonexistent\" is not usable",
        ),
    ] {
        let done = check(&scratch, text, &["--json"]);
        let json: Value = serde_json::from_str(&done.stdout).unwrap();
        let found =
            json["findings"].as_array().unwrap().iter().find(|found| found["severity"] == "failure").unwrap();
        assert_eq!((&found["group"], &found["option"]), (&group.into(), &option.into()), "{found}");
        assert_eq!((&found["file"], &found["line"]), (&file.as_str().into(), &line.into()), "{found}");
        assert!(found["message"].as_str().unwrap().starts_with(begins), "{found}");
    }
}

#[test]
fn the_sample_has_no_effect() {
    let scratch = Scratch::new();
    let empty = scratch.write("empty.conf", "");
    let sample = process::run(MANAGE, &empty, &["config", "sample"]);
    let lines = sample.succeeded().lines();
    assert!(lines.clone().all(|line| line.is_empty() || line.starts_with(['#', '['])), "{sample:#?}");
    assert!(lines.clone().any(|line| line == "#bind_port = 9090"), "{sample:#?}");
    // With its comment signs removed, the sample is a file in which the service knows every option.
    let open: String = lines
        .filter(|line| line.starts_with('[') || (line.starts_with('#') && line.contains(" = ")))
        .filter(|line| !line.ends_with("= <None>") && !line.starts_with("# "))
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    let done = check(&scratch, &format!("{open}{GOOD}"), &[]);
    assert_eq!(done.succeeded(), "nothing is wrong with the configuration\n", "{open}");
}
