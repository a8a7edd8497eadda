//! Paths of the configuration that name something that cannot be opened and read at once: named pipes, sockets, devices and
//! directories. No program may wait for them without a limit, and each error names the option and the file.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::check_and_start::CERTIFICATE;
use crate::process::{API, Done, MANAGE, STATUS, Scratch, Service, begin, command, free_port, run};

/// The time in which a program must end. The longest wait for a pipe is five seconds.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The special files. `HELD` is a named pipe that another program holds open without writing.
pub const KINDS: [&str; 6] = [FIFO, LINK, HELD, SOCKET, ZERO, DIRECTORY];
pub const FIFO: &str = "fifo";
const LINK: &str = "link-to-fifo";
pub const HELD: &str = "held";
const SOCKET: &str = "socket";
const ZERO: &str = "zero";
const DIRECTORY: &str = "directory";

pub fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
}

/// A scratch directory with all special files.
pub struct Files {
    pub scratch: Scratch,
    _held: File,
    _socket: UnixListener,
}

impl Files {
    pub fn new() -> Files {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name);
        for path in [at(FIFO), at(HELD)] {
            fifo(&path);
        }
        symlink(at(FIFO), at(LINK)).unwrap();
        symlink("/dev/zero", at(ZERO)).unwrap();
        fs::create_dir(at(DIRECTORY)).unwrap();
        for directory in ["hashed", "confs"] {
            fs::create_dir(at(directory)).unwrap();
        }
        fifo(&at("hashed/5ed36f99.0"));
        fifo(&at("hashed/7ed36f99.0"));
        fs::write(at("hashed/ca.pem"), CERTIFICATE).unwrap();
        fifo(&at("confs/b.conf"));
        scratch.write("ca.pem", CERTIFICATE);
        scratch.write("https.yaml", "\"jobs:get\": \"https://127.0.0.1:1/decide\"\n");
        let held = File::options().read(true).write(true).open(at(HELD)).unwrap();
        // The path of a socket has a maximum length, so this one names the directory by its descriptor.
        let directory = File::open(scratch.path()).unwrap();
        let short = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
        let socket = UnixListener::bind(short).unwrap();
        Files { scratch, _held: held, _socket: socket }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a configuration for a port. `{dir}` is replaced, and `{special}` by the special file.
    pub fn configuration(&self, text: &str, special: &str, port: u16) -> PathBuf {
        let start = format!(
            "[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {port}\n[database]\nconnection = sqlite:///{{dir}}/f.db\n"
        );
        let login = |scheme: &str, rest: &str| {
            format!(
                "[keystone_authtoken]\nauth_url = {scheme}://127.0.0.1:1\nusername = f\npassword = p\n{rest}"
            )
        };
        let text = match text.split_once('\n') {
            Some(("noauth", rest)) => format!("[DEFAULT]\nauth_strategy = noauth\n{rest}"),
            Some((scheme, rest)) => login(scheme, rest),
            None => text.to_owned(),
        };
        let text = (start + &text).replace("{special}", &format!("{{dir}}/{special}"));
        self.scratch.write("f.conf", &text.replace("{dir}", &self.scratch.path().display().to_string()))
    }
}

/// Runs a command that must end within [`LIMIT`].
#[track_caller]
pub fn ends(command: Command) -> Done {
    let what = format!("{command:?}");
    let mut running = begin(command);
    let begun = Instant::now();
    while running.is_running() {
        assert!(begun.elapsed() < LIMIT, "it hangs: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.done()
}

/// Returns a command with an environment for authorities.
pub fn with(program: &str, config: &Path, variable: Option<(&str, &Path)>) -> Command {
    let mut command = command(program);
    for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name);
    }
    command.envs(variable).arg("--config-file").arg(config);
    command
}

/// A configuration that is refused with each of these kinds. `named` is the option in the error.
struct Refused {
    text: &'static str,
    variable: Option<&'static str>,
    kinds: &'static [&'static str],
    named: &'static str,
}

const fn refused(text: &'static str, kinds: &'static [&'static str], named: &'static str) -> Refused {
    Refused { text, variable: None, kinds, named }
}

const NO_DIRECTORY: &[&str] = &[FIFO, LINK, HELD, SOCKET, ZERO];

const REFUSED: &[Refused] = &[
    // A pipe that a program reads, and a device, can be written.
    refused(
        "noauth\n[DEFAULT]\nlog_file = {special}\n",
        &[FIFO, LINK, SOCKET, DIRECTORY],
        "[DEFAULT] log_file",
    ),
    refused("noauth\n[DEFAULT]\nlog_config_append = {special}\n", &KINDS, "[DEFAULT] log_config_append"),
    refused("https\ncafile = {special}\n", NO_DIRECTORY, "[keystone_authtoken] cafile"),
    refused("https\ncafile = {dir}/ca.pem\ncertfile = {special}\n", &KINDS, "[keystone_authtoken] certfile"),
    refused(
        "https\ncafile = {dir}/ca.pem\ncertfile = {dir}/ca.pem\nkeyfile = {special}\n",
        &KINDS,
        "[keystone_authtoken] keyfile",
    ),
    refused(
        "http\n[centralized_scheduler]\nauth_section = t\n[t]\nauth_url = https://127.0.0.1:1\nusername = c\npassword = p\n\
         cafile = {special}\n",
        NO_DIRECTORY,
        "[t] cafile",
    ),
    Refused {
        text: "https\n",
        variable: Some("REQUESTS_CA_BUNDLE"),
        kinds: NO_DIRECTORY,
        named: "environment variable REQUESTS_CA_BUNDLE",
    },
    Refused {
        text: "https\n",
        variable: Some("SSL_CERT_FILE"),
        kinds: NO_DIRECTORY,
        named: "environment variable SSL_CERT_FILE",
    },
    Refused {
        text: "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_verify_cert=true\n",
        variable: Some("SSL_CERT_FILE"),
        kinds: NO_DIRECTORY,
        named: "environment variable SSL_CERT_FILE",
    },
    Refused {
        text: "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_verify_server_crt = true\n",
        variable: Some("SSL_CERT_FILE"),
        kinds: NO_DIRECTORY,
        named: "environment variable SSL_CERT_FILE",
    },
    refused(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_ca={special}\n",
        &KINDS,
        "[database] connection: ssl_ca",
    ),
    refused(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_cert={special}&ssl_key={dir}/k\n",
        &KINDS,
        "[database] connection: ssl_cert",
    ),
    refused(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_cert={dir}/ca.pem&ssl_key={special}\n",
        &KINDS,
        "[database] connection: ssl_key",
    ),
    refused(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?ssl_capath={special}\n",
        &[FIFO, LINK, SOCKET, ZERO, "hashed"],
        "[database] connection: ssl_capath",
    ),
    refused(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?read_default_file={special}\n",
        &KINDS,
        "[database] connection: read_default_file",
    ),
    refused(
        "noauth\n[database]\nconnection = mysql+pymysql://f:p@127.0.0.1:1/f?unix_socket={special}\n",
        &[FIFO, LINK, HELD, ZERO, DIRECTORY],
        "[database] connection: unix_socket",
    ),
    refused("noauth\n[database]\nconnection = sqlite:///{special}\n", &KINDS, "[database] connection: "),
    refused("noauth\n[oslo_policy]\npolicy_file = {special}\n", &KINDS, "[oslo_policy] policy_file"),
    refused("noauth\n[oslo_policy]\npolicy_dirs = {special}\n", NO_DIRECTORY, "policy_dirs"),
    refused(
        "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_verify_server_crt = true\n\
         remote_ssl_ca_crt_file = {special}\n",
        &KINDS,
        "[oslo_policy] remote_ssl_ca_crt_file",
    ),
    refused(
        "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_client_crt_file = {special}\n",
        &KINDS,
        "[oslo_policy] remote_ssl_client_crt_file",
    ),
    refused(
        "noauth\n[oslo_policy]\npolicy_file = {dir}/https.yaml\nremote_ssl_client_crt_file = {dir}/ca.pem\n\
         remote_ssl_client_key_file = {special}\n",
        &KINDS,
        "[oslo_policy] remote_ssl_client_key_file",
    ),
];

#[test]
fn a_special_file_in_an_option_ends_the_start_with_its_name() {
    let files = Files::new();
    for Refused { text, variable, kinds, named } in REFUSED {
        for kind in *kinds {
            let path = files.at(kind);
            let config = files.configuration(text, kind, free_port());
            let variable = variable.map(|name| (name, path.as_path()));
            let mut check = with(MANAGE, &config, variable);
            check.args(["config", "check"]);
            let checked = ends(check);
            let started = ends(with(API, &config, variable));
            assert_eq!(
                (checked.code, started.code),
                (Some(2), Some(1)),
                "{text} {kind}\n{checked:#?}{started:#?}"
            );
            let line = checked.stdout.lines().find(|line| line.contains("failure") && line.contains(named));
            let line = line.unwrap_or_else(|| panic!("no {named} in {checked:#?}"));
            for line in [line, started.stderr.as_str()] {
                assert!(line.contains(&path.display().to_string()), "{kind} in {line}");
                let advice = [
                    "name a",
                    "names a",
                    "not a directory",
                    "start that program first",
                    "name the socket",
                    "name this file",
                    "leave the option empty",
                ];
                let advice = advice.iter().any(|words| line.contains(words));
                assert!(advice, "{kind}: no advice in {line}");
            }
            assert!(started.stderr.contains(named), "{started:#?}");
        }
    }
}

/// Creates the tables of the configurations.
pub fn create_tables(files: &Files) {
    let config = files.configuration("noauth\n", "", free_port());
    run(MANAGE, &config, &["db", "sync"]).succeeded();
}

#[test]
fn a_special_file_that_is_not_needed_does_not_delay_the_start() {
    let files = Files::new();
    create_tables(&files);
    for (text, variable, kinds) in [
        ("http\ncafile = {special}\n", None, NO_DIRECTORY),
        ("http\ncertfile = {special}\nkeyfile = {special}\n", None, NO_DIRECTORY),
        ("http\n", Some("REQUESTS_CA_BUNDLE"), NO_DIRECTORY),
        ("http\n", Some("SSL_CERT_FILE"), NO_DIRECTORY),
        ("noauth\n", Some("SSL_CERT_FILE"), NO_DIRECTORY),
        ("https\ncafile = {dir}/ca.pem\n", Some("SSL_CERT_FILE"), NO_DIRECTORY),
        ("https\ncafile = {special}\n", None, &["hashed"]),
        ("https\n", Some("SSL_CERT_DIR"), &["hashed"]),
        ("noauth\n[oslo_policy]\npolicy_dirs = {special}\n", None, &["hashed"]),
        ("noauth\n[oslo_policy]\nremote_ssl_ca_crt_file = {special}\n", None, NO_DIRECTORY),
        ("noauth\n[healthcheck]\ndisable_by_file_path = {special}\n", None, &KINDS),
    ] {
        for kind in kinds {
            let (path, port) = (files.at(kind), free_port());
            // The files of the policy directory must not be read as policy.
            let _ = fs::remove_file(files.at("hashed/ca.pem"));
            if !text.contains("policy_dirs") {
                fs::write(files.at("hashed/ca.pem"), CERTIFICATE).unwrap();
            }
            let config = files.configuration(text, kind, port);
            let variable = variable.map(|name| (name, path.as_path()));
            let mut check = with(MANAGE, &config, variable);
            check.args(["config", "check"]);
            let checked = ends(check);
            assert!(matches!(checked.code, Some(0 | 1)), "{text} {kind}: {checked:#?}");
            let begun = Instant::now();
            let service = Service::spawn(with(API, &config, variable), port, &files.scratch)
                .unwrap_or_else(|log| panic!("{text} {kind}: {log}"));
            assert!(begun.elapsed() < LIMIT, "{text} {kind}");
            let expected = if text.contains("disable_by_file_path") { 503 } else { 200 };
            assert_eq!(service.request("GET", "/healthcheck", "").0, expected, "{text} {kind}");
        }
    }
}

#[test]
fn a_special_configuration_file_ends_every_program() {
    let files = Files::new();
    for kind in KINDS {
        let path = files.at(kind);
        for (program, arguments, code) in [
            (MANAGE, &["config", "check"][..], 2),
            (MANAGE, &["db", "version"], 1),
            (MANAGE, &["policy", "list"], 1),
            (STATUS, &["upgrade", "check"], 255),
            (API, &[], 1),
        ] {
            let mut started = command(program);
            started.arg("--config-file").arg(&path).args(arguments);
            let done = ends(started);
            assert_eq!(done.code, Some(code), "{kind}: {done:#?}");
            let said = format!("{}{}", done.stdout, done.stderr);
            assert!(
                said.contains(&format!("configuration file {}: it is a", path.display())),
                "{kind}: {said}"
            );
        }
    }
    for program in [API, MANAGE] {
        let mut started = command(program);
        let good = files.configuration("noauth\n", "", free_port());
        started.arg("--config-file").arg(&good).arg("--config-dir").arg(files.at("confs"));
        started.args(if program == MANAGE { &["config", "check"][..] } else { &[] });
        let done = ends(started);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(
            said.contains("confs/b.conf: it is a named pipe (FIFO), and no program has opened it"),
            "{said}"
        );
    }
}

#[test]
fn commands_of_the_database_do_not_wait_for_a_special_file() {
    let files = Files::new();
    for kind in [FIFO, LINK, HELD, SOCKET, ZERO, DIRECTORY] {
        let config = files.configuration("noauth\n[database]\nconnection = sqlite:///{special}\n", kind, 1);
        for arguments in [["db", "sync"], ["db", "version"], ["db", "show"]] {
            let mut start = with(MANAGE, &config, None);
            start.args(arguments);
            ends(start).refused(1, &["[database] connection", &files.at(kind).display().to_string()]);
        }
    }
}
