//! Tests of the public API: files, directories and the environment, references, deprecated names, checks and
//! messages. Any input must be handled without a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use oslo_config::{
    CommandLineOption, Config, Error, OptDecl, OptionKind, Origin, Sources, default_sources_under, sample,
};

const STATE_PATH: OptDecl = OptDecl::string("DEFAULT", "state_path").default("/var/lib/svc");
const LOG_FILE: OptDecl = OptDecl::string("log", "file").default("$state_path/${name}.log");
const LOG_NAME: OptDecl = OptDecl::string("log", "name").default("svc");
const PORT: OptDecl =
    OptDecl::port("DEFAULT", "bind-port").default("9090").deprecated(&[("", "port"), ("old", "port")]);
const HOOK: OptDecl = OptDecl::multi("DEFAULT", "hook").deprecated(&[("DEFAULT", "old_hook")]);
const PASSWORD: OptDecl = OptDecl::string("db", "password").secret().required();
const RETRIES: OptDecl = OptDecl::integer("db", "retries").default("10").min(-1);
const DEBUG: OptDecl = OptDecl::boolean("DEFAULT", "debug").default("false");
const ALL: &[&OptDecl] = &[&STATE_PATH, &LOG_FILE, &LOG_NAME, &PORT, &HOOK, &PASSWORD, &RETRIES, &DEBUG];

fn read(text: &str) -> Config {
    Config::from_text("t.conf", text).unwrap().declare(ALL)
}

/// A directory for one test, which is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("oslo-config-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_empty_number_is_not_set_with_unset_if_empty() {
    const RETRIES: OptDecl = OptDecl::integer("database", "retries").default("10").unset_if_empty();
    const PORT: OptDecl = OptDecl::port("database", "port").default("9090").min(1).unset_if_empty();
    const TIMEOUT: OptDecl = OptDecl::float("database", "timeout").default("1.5").unset_if_empty();
    const FLAG: OptDecl = OptDecl::boolean("database", "flag").default("true").unset_if_empty();
    const BARE: OptDecl = OptDecl::integer("database", "bare").unset_if_empty();
    const PLAIN: OptDecl = OptDecl::integer("database", "plain").default("10");
    let decls: &[&OptDecl] = &[&RETRIES, &PORT, &TIMEOUT, &FLAG, &BARE, &PLAIN];
    for empty in ["", "\"\"", "''", "' '"] {
        let names = ["retries", "port", "timeout", "flag", "bare", "plain"];
        let lines = names.map(|name| format!("{name} = {empty}\n")).concat();
        let config = Config::from_text("t.conf", &format!("[database]\n{lines}")).unwrap().declare(decls);
        assert!(config.check(decls).is_empty(), "{empty:?}");
        assert_eq!(config.int(&RETRIES).unwrap(), Some(10), "{empty:?}");
        assert_eq!(config.port(&PORT).unwrap(), Some(9090), "{empty:?}");
        assert_eq!(config.float(&TIMEOUT).unwrap(), Some(1.5), "{empty:?}");
        assert_eq!(config.bool(&FLAG).unwrap(), Some(true), "{empty:?}");
        assert_eq!(config.int(&BARE).unwrap(), None, "{empty:?}");
        assert_eq!(config.int(&PLAIN).unwrap(), None, "as oslo.config: {empty:?}");
    }
}

#[test]
fn an_empty_path_is_not_set() {
    const CA: OptDecl = OptDecl::path("auth", "cafile").deprecated(&[("", "ca")]);
    const POLICY: OptDecl = OptDecl::path("auth", "policy_file").default("policy.yaml");
    const DIRS: OptDecl = OptDecl::multi("auth", "dirs").default("policy.d").names_a_path();
    const EMPTY: OptDecl = OptDecl::string("auth", "nothing").default("");
    let decls: &[&OptDecl] = &[&CA, &POLICY, &DIRS, &EMPTY];
    let set = "[auth]\ncafile = /ca\npolicy_file = p\ndirs = a\ndirs =\ndirs = b\n";
    for empty in ["", "\"\"", "''", "$nothing", "${auth.nothing}"] {
        let text = format!("[auth]\ncafile = {empty}\npolicy_file = {empty}\ndirs = {empty}\n");
        // An empty value also resets the value of an earlier file.
        for texts in [vec![("t.conf", &*text)], vec![("first.conf", set), ("t.conf", &*text)]] {
            let config = Config::from_texts(&texts, &[]).unwrap().declare(decls);
            assert!(config.check(decls).is_empty(), "{text}");
            assert_eq!(config.string(&CA).unwrap(), None, "{text}");
            assert_eq!(config.string(&POLICY).unwrap().as_deref(), Some("policy.yaml"), "{text}");
            let dirs = if texts.len() == 1 { vec!["policy.d"] } else { vec!["a", "b"] };
            assert_eq!(config.multi(&DIRS).unwrap().unwrap(), dirs, "{text}");
        }
        let variable = ("OS_AUTH__CAFILE".to_owned(), String::new());
        let config = Config::from_texts(&[("first.conf", set)], &[variable]).unwrap().declare(decls);
        assert_eq!(config.string(&CA).unwrap(), None);
        assert_eq!(config.origin(&CA), None);
    }
    let config = Config::from_text("t.conf", "[auth]\npolicy_file =\nca =\n").unwrap().declare(decls);
    assert_eq!(config.origin(&POLICY), Some(Origin::Default));
    assert_eq!(config.string(&CA).unwrap(), None);
}

#[test]
fn files_directories_and_the_environment_have_ascending_priority() {
    let dir = Scratch::new();
    let first = dir.write("a.conf", "[DEFAULT]\nbind_port = 1\nhook = a\n[log]\nname = first");
    let second = dir.write("b.conf", "[DEFAULT]\nbind_port = 2\nhook = b\nhook = c");
    dir.write("d/20.conf", "[DEFAULT]\nhook = e\nbind_port = 4");
    dir.write("d/10.conf", "[DEFAULT]\nhook = d\nbind_port = 3");
    dir.write("d/.hidden.conf", "junk");
    dir.write("d/30.conf.rpmsave", "junk");
    let mut sources = Sources { files: vec![first, second], ..Sources::default() };
    assert_eq!(Config::load(&sources).unwrap().port(&PORT).unwrap(), Some(2));

    sources.dirs.push(dir.0.join("d"));
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.port(&PORT).unwrap(), Some(4));
    assert_eq!(config.multi(&HOOK).unwrap().unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(config.string(&LOG_NAME).unwrap().as_deref(), Some("first"));
    assert_eq!(config.groups(), ["DEFAULT", "log"]);
    let file = dir.0.join("d/20.conf").display().to_string();
    assert_eq!(config.origin(&PORT), Some(Origin::File { file, line: 3 }));

    sources.env = vec![
        ("OS_DEFAULT__BIND_PORT".to_owned(), "5".to_owned()),
        ("OS_DEFAULT__HOOK".to_owned(), "f g".to_owned()),
    ];
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.port(&PORT).unwrap(), Some(5));
    assert_eq!(config.multi(&HOOK).unwrap().unwrap(), ["f g"], "one value, not one per character");
    assert_eq!(config.origin(&HOOK).unwrap().to_string(), "environment variable OS_DEFAULT__HOOK");
}

#[test]
fn directories_and_files_are_read_in_the_order_of_the_command_line() {
    let dir = Scratch::new();
    let first = dir.write("a.conf", "[DEFAULT]\nhook = a");
    let second = dir.write("b.conf", "[DEFAULT]\nhook = b");
    dir.write("d/1.conf", "[DEFAULT]\nhook = d1");
    dir.write("d/2.conf", "[DEFAULT]\nhook = d2");
    dir.write("e/1.conf", "[DEFAULT]\nhook = e");
    let files = vec![first, second];
    let dirs = vec![dir.0.join("d"), dir.0.join("e")];
    for (files_before, expected) in [
        (vec![], ["a", "b", "d1", "d2", "e"]),
        (vec![0], ["d1", "d2", "a", "b", "e"]),
        (vec![0, 0], ["d1", "d2", "e", "a", "b"]),
        (vec![1, 1], ["a", "d1", "d2", "e", "b"]),
        (vec![0, 1], ["d1", "d2", "a", "e", "b"]),
        (vec![2, 9], ["a", "b", "d1", "d2", "e"]),
    ] {
        let sources = Sources {
            files: files.clone(),
            dirs: dirs.clone(),
            files_before: files_before.clone(),
            ..Sources::default()
        };
        let config = Config::load(&sources).unwrap();
        assert_eq!(config.multi(&HOOK).unwrap().unwrap(), expected, "{files_before:?}");
    }
}

fn argument(name: &str, value: &str) -> CommandLineOption {
    let written = format!("--{}", name.replace('_', "-"));
    CommandLineOption { group: "DEFAULT".to_owned(), name: name.to_owned(), value: value.to_owned(), written }
}

#[test]
fn the_command_line_has_the_highest_priority() {
    let dir = Scratch::new();
    let file = dir.write("a.conf", "[DEFAULT]\nbind_port = 1\nhook = a\nstate_path = /$bind_port$undeclared");
    let sources = Sources {
        files: vec![file],
        env: vec![("OS_DEFAULT__BIND_PORT".to_owned(), "5".to_owned())],
        arguments: vec![
            argument("bind_port", "6"),
            argument("bind_port", "7"),
            argument("hook", "b"),
            argument("undeclared", "/x"),
        ],
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap().declare(ALL);
    assert_eq!(config.port(&PORT).unwrap(), Some(7));
    assert_eq!(config.origin(&PORT).unwrap().to_string(), "command line option --bind-port");
    assert_eq!(config.multi(&HOOK).unwrap().unwrap(), ["b"]);
    assert_eq!(config.string(&STATE_PATH).unwrap().as_deref(), Some("/7/x"));
    let unknown: Vec<_> = config.unknown_arguments(ALL).iter().map(|found| found.written.clone()).collect();
    assert_eq!(unknown, ["--undeclared"]);
    assert!(config.unknown(ALL).is_empty());

    let bad = Sources { arguments: vec![argument("bind_port", "many")], ..sources };
    let errors = Config::load(&bad).unwrap().check(&[&PORT]);
    let error = errors.first().unwrap().to_string();
    assert!(error.starts_with("command line option --bind-port: [DEFAULT] bind_port = many: "), "{error}");
}

#[test]
fn configured_files_must_be_readable() {
    let dir = Scratch::new();
    let load = |files: &[&str], dirs: &[&str]| {
        let paths = |names: &[&str]| names.iter().map(|name| dir.0.join(name)).collect();
        Config::load(&Sources { files: paths(files), dirs: paths(dirs), ..Sources::default() })
    };
    let missing = load(&["missing.conf"], &[]).unwrap_err();
    assert!(matches!(&missing, Error::ReadFile { path, .. } if path.ends_with("missing.conf")));
    assert!(missing.to_string().contains("missing.conf"), "{missing}");
    assert!(matches!(load(&[], &["missing.d"]).unwrap_err(), Error::ReadDir { .. }));
    dir.write("file.d", "");
    assert!(matches!(load(&[], &["file.d"]).unwrap_err(), Error::ReadDir { .. }));
    fs::create_dir_all(dir.0.join("d/sub.conf")).unwrap();
    assert!(matches!(load(&[], &["d"]).unwrap_err(), Error::ReadFile { .. }));

    fs::write(dir.0.join("latin.conf"), b"[DEFAULT]\n# ok\nname = caf\xe9\n").unwrap();
    let error = load(&["latin.conf"], &[]).unwrap_err();
    assert!(matches!(error, Error::NotUtf8 { line: 3, .. }), "{error}");
}

#[test]
fn a_tilde_is_replaced_by_the_given_home() {
    let dir = Scratch::new();
    dir.write("svc.conf", "[DEFAULT]\nbind_port = 7");
    let home = ("HOME".to_owned(), dir.0.display().to_string());
    let sources = Sources { files: vec!["~/svc.conf".into()], env: vec![home], ..Sources::default() };
    assert_eq!(Config::load(&sources).unwrap().port(&PORT).unwrap(), Some(7));
    let homeless = Sources { env: Vec::new(), ..sources };
    assert!(Config::load(&homeless).is_err());
}

#[test]
fn the_first_default_file_of_each_name_is_used() {
    let root = Scratch::new();
    let home = root.0.join("home/me");
    let find = |prog: &str, home: Option<&Path>| {
        let found = default_sources_under(&root.0, "svc", prog, home);
        let name = |path: &PathBuf| path.strip_prefix(&root.0).unwrap().display().to_string();
        let mut names: Vec<String> = found.files.iter().map(name).collect();
        names.extend(found.dirs.iter().map(name));
        names
    };
    assert!(find("svc-api", Some(&home)).is_empty());
    root.write("etc/svc-api.conf", "");
    root.write("etc/svc/svc.conf", "");
    root.write("etc/svc/svc-api.conf.d/1.conf", "");
    assert_eq!(
        find("svc-api", Some(&home)),
        ["etc/svc/svc.conf", "etc/svc-api.conf", "etc/svc/svc-api.conf.d"]
    );
    root.write("etc/svc/svc-api.conf", "");
    root.write("home/me/svc.conf", "");
    assert_eq!(find("svc-api", None)[..2], ["etc/svc/svc.conf", "etc/svc/svc-api.conf"]);
    assert_eq!(find("svc-api", Some(&home))[..2], ["home/me/svc.conf", "etc/svc/svc-api.conf"]);
    root.write("home/me/.svc/svc.conf", "");
    assert_eq!(find("svc-api", Some(&home))[0], "home/me/.svc/svc.conf");
    assert_eq!(find("svc", Some(&home)), ["home/me/.svc/svc.conf"], "not the same file twice");
}

#[test]
fn references_find_the_own_group_the_default_group_and_defaults() {
    let file = |text: &str| read(text).string(&LOG_FILE).unwrap().unwrap();
    assert_eq!(file(""), "/var/lib/svc/svc.log");
    assert_eq!(file("[DEFAULT]\nstate_path = /srv\nname = no\n[log]\nname = n"), "/srv/n.log");
    assert_eq!(file("[log]\nfile = $bind_port:$port"), "9090:9090", "by the deprecated name too");
    assert_eq!(file("[log]\nfile = ${db.retries}$db.password$debug"), "10False");
    assert_eq!(file("[log]\nfile = a$$b\\$c$5"), "a$b$c$5");
    assert_eq!(file("[log]\nfile = $x\n[DEFAULT]\nx = <$y>\ny = z"), "<z>", "not declared");
    assert_eq!(file("[log]\nfile = ${DEFAULT.debug}${New.x}\n[new]\nx = 1"), "False1");
}

#[test]
fn unknown_references_are_errors_with_their_place() {
    let error = |text: &str| read(text).string(&LOG_FILE).unwrap_err();
    let unknown = error("[log]\n\nfile = $nothing");
    assert_eq!(
        unknown.to_string(),
        "t.conf:3: [log] file refers to the unknown option nothing; write $$ for a dollar sign"
    );
    assert!(matches!(error("[log]\nfile = ${no.x}"), Error::UnknownGroup { .. }));
    assert!(matches!(error("[log]\nfile = $db"), Error::GroupReference { .. }));
    let ring = error("[log]\nfile = $name\nname = ${log.file}");
    assert!(ring.to_string().ends_with("too many options: log.file -> log.name -> log.file"), "{ring}");
    let many: String = (0..200).map(|i| format!("a{i} = $a{}\n", i + 1)).collect();
    let deep = error(&format!("[log]\nfile = $a0\n{many}a200 = x"));
    assert!(matches!(deep, Error::ReferenceLoop { .. }), "{deep}");
    let grow: String = (0..40).map(|i| format!("a{i} = $a{0}$a{0}\n", i + 1)).collect();
    let huge = error(&format!("[log]\nfile = $a0\n{grow}a40 = x"));
    assert!(matches!(huge, Error::TooLong { .. }), "{huge}");
}

#[test]
fn an_invalid_value_is_reported_with_place_option_and_rule_without_secrets() {
    let config =
        read("[DEFAULT]\nbind_port = 99999\ndebug = maybe\n[db]\nretries =\n  ten\npassword = pa$word");
    let errors: Vec<String> = config.check(ALL).iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "t.conf:2: [DEFAULT] bind_port = 99999: must be at most 65535",
            "t.conf:7: [db] password refers to the unknown option ***; \
             write $$ for a dollar sign",
            "t.conf:5: [db] retries = \nten: must be a whole number",
            "t.conf:3: [DEFAULT] debug = maybe: must be true or false (also yes/no, on/off, 1/0)",
        ]
    );
    assert_eq!(
        read("").check(ALL).iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["[db] password is not set: set it in a configuration file"]
    );
    const PIN: OptDecl = OptDecl::integer("db", "pin").secret();
    let error = read("[db]\npin = 12x4").int(&PIN).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("12x4"), "{error:?}");
    const BROKEN: OptDecl = OptDecl::integer("db", "broken").default("x");
    let error = read("").check(&[&BROKEN]).remove(0);
    assert!(error.to_string().starts_with("the built-in default: [db] broken = x"), "{error}");
}

#[test]
fn debug_output_contains_no_secrets() {
    let env = vec![("OS_DB__PASSWORD".to_owned(), "hunter2".to_owned())];
    let sources = Sources { env: env.clone(), ..Sources::default() };
    let config = Config::from_texts(&[("t", "[db]\npassword = hunter2")], &env).unwrap();
    let secret = config.secret(&PASSWORD).unwrap().unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert!(!format!("{sources:?} {config:?} {secret:?}").contains("hunter2"));
}

#[test]
fn typed_lookup_of_unset_empty_and_invalid_values() {
    let config = read("[db]\nretries =\n");
    assert_eq!(config.int(&RETRIES).unwrap(), None, "an empty number is not set");
    assert_eq!(config.multi(&HOOK).unwrap(), None);
    assert_eq!(config.bool(&DEBUG).unwrap(), Some(false));
    assert_eq!(config.origin(&DEBUG), Some(Origin::Default));
    assert_eq!(config.origin(&HOOK), None);
    assert!(matches!(config.bool(&PORT).unwrap_err(), Error::WrongKind { .. }));
    assert!(matches!(RETRIES.need(config.int(&RETRIES).unwrap()), Err(Error::Unset { .. })));
    const MANY: OptDecl = OptDecl::multi("db", "many").default("a\nb");
    assert_eq!(config.multi(&MANY).unwrap().unwrap(), ["a", "b"]);
    const PAIRS: OptDecl = OptDecl::dict("db", "pairs").default("b:1,a:2");
    assert_eq!(config.dict(&PAIRS).unwrap().unwrap()["a"], "2");
    const RATE: OptDecl = OptDecl::float("db", "rate").default("0.5");
    assert_eq!(config.float(&RATE).unwrap(), Some(0.5));
    const NAMES: OptDecl = OptDecl::list("db", "names").default("a, b");
    assert_eq!(config.list(&NAMES).unwrap().unwrap(), ["a", "b"]);
}

/// Counts the warnings of a thread.
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn deprecated_names_work_with_one_warning() {
    let count = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::with_default(Warnings(Arc::clone(&count)), || {
        let config = read("[old]\nport = 1\n[DEFAULT]\nold_hook = a\nhook = b\n");
        assert_eq!(config.check(&[&PORT, &HOOK]).len(), 0);
        assert_eq!(count.load(Ordering::Relaxed), 0, "a check logs no warnings");
        for _ in 0..2 {
            assert_eq!(config.port(&PORT).unwrap(), Some(1));
            assert_eq!(config.clone().port(&PORT).unwrap(), Some(1));
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(config.multi(&HOOK).unwrap().unwrap(), ["a", "b"]);
        assert_eq!(count.load(Ordering::Relaxed), 2);
    });
    let both = read("[DEFAULT]\nbind_port = 1\nport = 2\n");
    assert_eq!(both.port(&PORT).unwrap(), Some(1), "in one file the current name wins");
    let files = [("1", "[DEFAULT]\nbind_port = 1"), ("2", "[OLD]\nport = 2")];
    let later = Config::from_texts(&files, &[]).unwrap();
    assert_eq!(later.port(&PORT).unwrap(), Some(2), "of two files the later wins");
}

#[test]
fn unknown_options_are_listed_with_their_lines() {
    let config = read("[log]\nnmae = x\n[DEFAULT]\nport = 1\nBind_port = 2\n[New]\na = 1\na = 2\n");
    let found: Vec<String> = config
        .unknown(ALL)
        .into_iter()
        .map(|unknown| format!("{}:{} {}.{}", unknown.file, unknown.line, unknown.group, unknown.name))
        .collect();
    assert_eq!(
        found,
        ["t.conf:2 log.nmae", "t.conf:5 DEFAULT.Bind_port", "t.conf:7 new.a", "t.conf:8 new.a"]
    );
}

#[test]
fn a_sample_file_contains_the_defaults() {
    let group = |name, options| sample::Group { name, help: "", source: "svc", options };
    let text = sample::render(&[
        group("DEFAULT", &[&STATE_PATH, &PORT, &HOOK, &DEBUG]),
        group("log", &[&LOG_FILE, &LOG_NAME]),
    ]);
    assert!(read(&text).unknown(&[]).is_empty(), "everything is commented out");
    let set: String = text
        .lines()
        .map(|line| {
            let line =
                line.strip_prefix('#').filter(|l| !l.is_empty() && !l.starts_with(' ')).unwrap_or(line);
            format!("{line}\n")
        })
        .collect();
    let config = read(&set);
    assert_eq!(config.unknown(&[]).len(), 6);
    assert_eq!(config.port(&PORT).unwrap(), Some(9090));
    assert_eq!(config.string(&LOG_FILE).unwrap().as_deref(), Some("/var/lib/svc/svc.log"));
}

#[test]
fn random_input_does_not_panic() {
    // Bytes with a syntactic meaning are frequent, so that files get past their first line.
    const ALPHABET: &[u8] = b"[]=:#; \t\n\r\"'$\\{}.,_-%@/?ab01DEFAULT\xc3\xa9\xe2\x80\xa8\xff\x00\x1f";
    let kinds = [
        OptionKind::Str,
        OptionKind::Bool,
        OptionKind::Int,
        OptionKind::Float,
        OptionKind::Port,
        OptionKind::List,
        OptionKind::MultiStr,
        OptionKind::Dict,
        OptionKind::HostAddress,
        OptionKind::Uri,
    ];
    let decls: Vec<OptDecl> =
        kinds.iter().map(|kind| OptDecl::new("DEFAULT", "a", *kind).deprecated(&[("b", "b")])).collect();
    let mut state = 0x0123_4567_89ab_cdef_u64;
    let mut next = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let dir = Scratch::new();
    let mut loaded = 0;
    for round in 0..4000 {
        let mut bytes = if next(4) > 0 { b"[DEFAULT]\na=".to_vec() } else { Vec::new() };
        for _ in 0..next(60) {
            bytes.push(if next(40) == 0 {
                u8::try_from(next(256)).unwrap()
            } else {
                ALPHABET[next(ALPHABET.len())]
            });
        }
        let config = if round % 20 == 0 {
            let path = dir.0.join("fuzz.conf");
            fs::write(&path, &bytes).unwrap();
            Config::load(&Sources { files: vec![path], ..Sources::default() })
        } else {
            Config::from_text("fuzz", &String::from_utf8_lossy(&bytes))
        };
        match config {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(config) => {
                loaded += 1;
                for decl in &decls {
                    for error in config.check(&[decl]) {
                        assert!(!error.to_string().is_empty());
                    }
                }
                let _ = (config.unknown(&[]), config.groups());
            }
        }
    }
    assert!(loaded > 400, "only {loaded} of 4000 files were legal");
}
