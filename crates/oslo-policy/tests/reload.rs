//! Tests how an [`Enforcer`] loads and reloads policy files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oslo_policy::{
    Credentials, Denial, DeprecatedRule, EnforceError, Enforcer, Error, Options, RuleDefault, RuleOrigin,
    Target,
};
use support::Directory;

const PLAIN: RuleDefault = RuleDefault {
    name: "jobs:get",
    check_str: "role:reader",
    description: "Show a job.",
    operations: &[("GET", "/v2/jobs/{job_id}")],
    scope_types: &[],
    deprecated: None,
};

fn options(directory: &Directory) -> Options {
    Options {
        policy_file: Some(directory.path().join("policy.yaml")),
        policy_dirs: vec![directory.path().join("policy.d")],
        ..Options::default()
    }
}

fn enforcer(directory: &Directory) -> Enforcer {
    Enforcer::new(vec![PLAIN], options(directory)).unwrap()
}

fn allows(enforcer: &Enforcer, rule: &str, role: &str) -> bool {
    let creds = Credentials::new().with("roles", vec![role]);
    match enforcer.enforce(rule, &Target::new(), &creds) {
        Ok(()) => true,
        Err(EnforceError::Denied { rule: denied, .. }) => {
            assert_eq!(denied, rule);
            false
        }
        Err(broken) => panic!("{broken}"),
    }
}

fn check_of(enforcer: &Enforcer, rule: &str) -> (String, RuleOrigin) {
    let rule = enforcer.effective().into_iter().find(|found| found.name == rule).unwrap();
    (rule.check, rule.origin)
}

#[test]
fn without_a_file_the_defaults_apply() {
    let directory = Directory::new();
    let enforcer = enforcer(&directory);
    assert!(allows(&enforcer, "jobs:get", "Reader"));
    assert!(!allows(&enforcer, "jobs:get", "member"));
    assert_eq!(enforcer.rule_names(), ["jobs:get"]);
    assert_eq!(check_of(&enforcer, "jobs:get"), ("role:reader".to_owned(), RuleOrigin::Default));
    assert!(!enforcer.reload_if_changed().unwrap());
    let unknown = enforcer.enforce("jobs:gone", &Target::new(), &Credentials::new());
    let denied = EnforceError::Denied { rule: "jobs:gone".to_owned(), reason: Denial::UnknownRule };
    assert_eq!(unknown, Err(denied));
}

#[test]
fn files_override_in_order() {
    let directory = Directory::new();
    directory.write("policy.yaml", "jobs:get: role:a\nextra: role:a\n");
    directory.write("policy.d/10.yaml", "jobs:get: role:b\n");
    directory.write("policy.d/20.json", "{\"jobs:get\": [[\"role:c\"]]}");
    directory.write("policy.d/.30.yaml", "jobs:get: role:d\n");
    directory.write("policy.d/sub/40.yaml", "jobs:get: role:e\n");
    let enforcer = enforcer(&directory);
    let path = Arc::new(directory.path().join("policy.d/20.json"));
    assert_eq!(check_of(&enforcer, "jobs:get"), ("role:c".to_owned(), RuleOrigin::File { path, line: 1 }));
    assert_eq!(enforcer.rule_names(), ["extra", "jobs:get"]);

    fs::remove_file(directory.path().join("policy.d/20.json")).unwrap();
    assert!(enforcer.reload_if_changed().unwrap());
    assert!(allows(&enforcer, "jobs:get", "b"));
    fs::remove_dir_all(directory.path().join("policy.d")).unwrap();
    assert!(enforcer.reload_if_changed().unwrap());
    assert!(allows(&enforcer, "jobs:get", "a"));
    fs::remove_file(directory.path().join("policy.yaml")).unwrap();
    assert!(enforcer.reload_if_changed().unwrap());
    assert!(allows(&enforcer, "jobs:get", "reader"));
    assert!(!enforcer.reload_if_changed().unwrap());
}

#[test]
fn a_changed_file_is_read_again() {
    let directory = Directory::new();
    let enforcer = enforcer(&directory);
    let clone = enforcer.clone();
    directory.write("policy.yaml", "jobs:get: role:a\n");
    assert!(enforcer.reload_if_changed().unwrap());
    assert!(allows(&clone, "jobs:get", "a") && !allows(&clone, "jobs:get", "reader"));
    for _ in 0..3 {
        assert!(!enforcer.reload_if_changed().unwrap());
    }
    // The length and the modification time are the same as before.
    let path = directory.path().join("policy.yaml");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    directory.write("policy.yaml", "jobs:get: role:b\n");
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert!(enforcer.reload_if_changed().unwrap());
    assert!(allows(&clone, "jobs:get", "b"));
    // The file is written again with the same content.
    directory.write("policy.yaml", "jobs:get: role:b\n");
    assert!(!enforcer.reload_if_changed().unwrap());
}

#[test]
fn a_broken_file_keeps_the_last_good_rules() {
    let directory = Directory::new();
    directory.write("policy.yaml", "jobs:get: role:a\n");
    let enforcer = enforcer(&directory);
    for (broken, line) in [
        ("jobs:get: role:b\nx: [\n", 2),
        ("\njobs:get: !\n", 2),
        ("jobs:get: role:b\n\nx: 5\n", 3),
        ("jobs:get: role:b\nx: class:y\n", 2),
        ("jobs:get: role:b\nx: 'role:y or a:%(z'\n", 2),
        ("- a\n", 1),
    ] {
        directory.write("policy.yaml", broken);
        let error = enforcer.reload_if_changed().unwrap_err();
        match &error {
            Error::Syntax { path, line: found, .. } | Error::Value { path, line: found, .. } => {
                assert_eq!((path.as_path(), *found), (directory.path().join("policy.yaml").as_path(), line));
            }
            other => panic!("{other}"),
        }
        assert!(error.to_string().contains(&format!("policy.yaml: line {line}:")), "{error}");
        assert!(allows(&enforcer, "jobs:get", "a") && !allows(&enforcer, "jobs:get", "b"));
        // The error is returned once and remembered.
        for _ in 0..3 {
            assert!(!enforcer.reload_if_changed().unwrap());
            assert_eq!(enforcer.reload_error(), Some(error.to_string()));
        }
    }
    directory.write("policy.yaml", [b"a: b\nc: '".as_slice(), &[0xff, 0xfe], b"'\n"].concat());
    let error = enforcer.reload_if_changed().unwrap_err();
    assert!(matches!(error, Error::Syntax { line: 2, .. }), "{error}");

    directory.write("policy.yaml", "jobs:get: role:b\n");
    assert!(enforcer.reload_if_changed().unwrap());
    assert_eq!(enforcer.reload_error(), None);
    assert!(allows(&enforcer, "jobs:get", "b"));
}

#[test]
fn going_back_from_a_broken_file_counts_as_a_change() {
    let directory = Directory::new();
    directory.write("policy.yaml", "jobs:get: role:a\n");
    let enforcer = enforcer(&directory);
    directory.write("policy.d", "not a directory");
    let error = enforcer.reload_if_changed().unwrap_err();
    assert!(matches!(error, Error::NotADirectory { .. }), "{error}");
    assert_eq!(enforcer.reload_error(), Some(error.to_string()));
    fs::remove_file(directory.path().join("policy.d")).unwrap();
    // The files that were loaded have not changed.
    assert!(!enforcer.reload_if_changed().unwrap());
    assert_eq!(enforcer.reload_error(), None);
    directory.write("policy.yaml", "[");
    assert!(enforcer.reload_if_changed().is_err());
    directory.write("policy.yaml", "jobs:get: role:a\n");
    assert!(enforcer.reload_if_changed().unwrap());
    assert_eq!(enforcer.reload_error(), None);
}

#[test]
fn a_broken_file_at_the_start_is_an_error() {
    let directory = Directory::new();
    directory.write("policy.yaml", "a: [\n");
    assert!(Enforcer::new(vec![PLAIN], options(&directory)).is_err());
    directory.write("policy.yaml", "a: role:x\nb: not class:x\n");
    let unsupported = Enforcer::new(vec![PLAIN], options(&directory)).unwrap_err().to_string();
    assert!(unsupported.contains("policy.yaml: line 2: rule b: in the check \"class:x\""), "{unsupported}");
    let default = RuleDefault { check_str: "[1]:x", ..PLAIN };
    let unsupported = Enforcer::new(vec![default], Options::default());
    assert!(matches!(unsupported, Err(Error::Default { rule: "jobs:get", .. })));
    let twice = Enforcer::new(vec![PLAIN, PLAIN], Options::default());
    assert!(matches!(twice, Err(Error::DuplicateDefault { name: "jobs:get" })));
    let scopes = RuleDefault { scope_types: &["project", "project"], ..PLAIN };
    let scopes = Enforcer::new(vec![scopes], Options::default());
    assert!(matches!(scopes, Err(Error::DuplicateScope { scope: "project", .. })));
}

#[test]
fn a_text_that_does_not_form_a_rule_denies() {
    let directory = Directory::new();
    directory.write("policy.yaml", "jobs:get: role:a and\nother: role:a\n");
    let enforcer = enforcer(&directory);
    assert!(!allows(&enforcer, "jobs:get", "a"));
    assert!(allows(&enforcer, "other", "a"));
}

#[test]
fn scopes() {
    let rule = RuleDefault { scope_types: &["project"], check_str: "@", ..PLAIN };
    let system = Credentials::new().with("system_scope", "all");
    let decide = |enforce_scope| {
        let options = Options { enforce_scope, ..Options::default() };
        let enforcer = Enforcer::new(vec![rule.clone()], options).unwrap();
        enforcer.enforce("jobs:get", &Target::new(), &system)
    };
    let reason = Denial::Scope { wanted: &["project"], token: "system" };
    assert_eq!(decide(true), Err(EnforceError::Denied { rule: "jobs:get".to_owned(), reason }));
    assert_eq!(decide(false), Ok(()));
}

#[test]
fn former_names_and_defaults() {
    let deprecated =
        DeprecatedRule { name: "job:show", check_str: "role:old", reason: "Renamed.", since: "A" };
    let rule = RuleDefault { deprecated: Some(deprecated), ..PLAIN };
    let directory = Directory::new();
    let load = |enforce_new_defaults| {
        let options = Options { enforce_new_defaults, ..options(&directory) };
        Enforcer::new(vec![rule.clone()], options).unwrap()
    };
    assert_eq!(check_of(&load(true), "jobs:get").0, "role:reader");
    let both = ("(role:reader or role:old)".to_owned(), RuleOrigin::DefaultOrDeprecated);
    assert_eq!(check_of(&load(false), "jobs:get"), both);

    let file = directory.write("policy.yaml", "job:show: role:own\n");
    let (check, origin) = check_of(&load(true), "jobs:get");
    assert_eq!(check, "role:own");
    let expected = RuleOrigin::DeprecatedName { name: "job:show".to_owned(), path: Arc::new(file), line: 1 };
    assert_eq!(origin, expected);
    directory.write("policy.yaml", "job:show: rule:jobs:get\n");
    assert_eq!(check_of(&load(true), "jobs:get").0, "role:reader");
    directory.write("policy.yaml", "job:show: role:own\njobs:get: role:new\n");
    assert_eq!(check_of(&load(false), "jobs:get").0, "role:new");
}

#[test]
fn a_rule_that_cannot_be_decided_never_allows() {
    let directory = Directory::new();
    directory.write(
        "policy.yaml",
        "cycle: rule:back\nback: not rule:cycle\nself: not rule:self\n\
         remote: \"http://server/check\"\nno_remote: \"not http://server/check\"\n\
         through: rule:remote\nshort: '@ or rule:cycle'\n",
    );
    let enforcer = enforcer(&directory);
    let decide = |rule| enforcer.enforce(rule, &Target::new(), &Credentials::new());
    for rule in ["cycle", "back", "self", "remote", "no_remote", "through"] {
        assert!(matches!(decide(rule), Err(EnforceError::Broken { .. })), "{rule}");
    }
    assert_eq!(decide("short"), Ok(()));
    let remote = ["remote", "no_remote", "through", "cycle", "short"].map(|rule| enforcer.needs_remote(rule));
    assert_eq!(remote, [true, true, true, false, false]);
}

#[test]
fn decisions_continue_during_a_reload() {
    let directory = Directory::new();
    directory.write("policy.yaml", "jobs:get: role:a\nother: role:a\n");
    let enforcer = enforcer(&directory);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Every set of rules allows one of the two roles.
                    assert!(allows(&enforcer, "other", "a") || allows(&enforcer, "other", "b"));
                }
            });
        }
        for round in 0..50 {
            let role = if round % 2 == 0 { "b" } else { "a" };
            directory.write("next", format!("jobs:get: role:{role}\nother: role:a or role:b\n"));
            let next: PathBuf = directory.path().join("next");
            fs::rename(next, directory.path().join("policy.yaml")).unwrap();
            assert!(enforcer.reload_if_changed().unwrap());
            assert!(allows(&enforcer, "jobs:get", role));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Runs a body that must not wait; fails if it does.
fn without_waiting<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(body()));
    receive.recv_timeout(std::time::Duration::from_secs(30)).expect("it waits")
}

#[cfg(unix)]
fn make_special(directory: &std::path::Path) {
    let fifo = directory.join("a-fifo.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::os::unix::fs::symlink(&fifo, directory.join("b-link.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.join("c-zero.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/null", directory.join("d-null.yaml")).unwrap();
    std::os::unix::net::UnixListener::bind(directory.join("e-socket.yaml")).unwrap();
}

#[test]
#[cfg(unix)]
fn special_files_in_a_directory_do_not_stop_reloads() {
    let directory = Directory::new();
    let policies = directory.path().join("policy.d");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("z.yaml"), "jobs:get: role:first\n").unwrap();
    make_special(&policies);
    let given = options(&directory);
    let enforcer = without_waiting(move || Enforcer::new(vec![PLAIN], given).unwrap());
    assert!(allows(&enforcer, "jobs:get", "first"));
    fs::write(policies.join("z.yaml"), "jobs:get: role:second\n").unwrap();
    let other = enforcer.clone();
    assert!(without_waiting(move || other.reload_if_changed()).unwrap());
    assert!(allows(&enforcer, "jobs:get", "second") && !allows(&enforcer, "jobs:get", "first"));
}

#[test]
#[cfg(unix)]
fn a_policy_file_that_is_no_file_is_an_error_and_the_former_rules_stay() {
    let directory = Directory::new();
    let path = directory.path().join("policy.yaml");
    fs::write(&path, "jobs:get: role:first\n").unwrap();
    let enforcer = enforcer(&directory);
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let other = enforcer.clone();
    let error = without_waiting(move || other.reload_if_changed()).unwrap_err().to_string();
    assert!(
        error.contains("policy.yaml: it is")
            && error.contains("[oslo_policy] policy_file: ")
            && error.contains("a named pipe (FIFO)"),
        "{error}"
    );
    assert!(allows(&enforcer, "jobs:get", "first"));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    let other = enforcer.clone();
    assert!(without_waiting(move || other.reload_if_changed()).unwrap(), "an empty policy");
    assert!(allows(&enforcer, "jobs:get", "reader"));
}
