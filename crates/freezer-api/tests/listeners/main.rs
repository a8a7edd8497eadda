//! The listening sockets of the service as a process: TLS on TCP, and Unix sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

#[path = "../process/mod.rs"]
mod process;

mod certificates;
mod client;
mod clients;
mod files;
mod load;
mod reload;
mod tls;
mod unix;

use std::path::Path;

use certificates::{Authority, at};
use process::{MANAGE, Scratch, Service};

/// Creates the database of a scratch directory. Returns its URL.
fn database(scratch: &Scratch) -> String {
    let url = format!("sqlite:///{}", scratch.path().join("freezer.db").display());
    let file = scratch.write("sync.conf", &process::config(1, &url));
    process::run(MANAGE, &file, &["db", "sync"]).succeeded();
    url
}

/// Returns the options of `[ssl]` for files in a directory.
fn ssl(directory: &Path, more: &[(&str, &str)]) -> String {
    let always = [("cert_file", "server.pem"), ("key_file", "server.key")];
    let lines =
        always.iter().chain(more).map(|(option, name)| format!("{option} = {}\n", at(directory, name)));
    format!("[ssl]\n{}", lines.collect::<String>())
}

/// Starts the service with additional sections.
fn start(scratch: &Scratch, sections: &str) -> Service {
    let url = database(scratch);
    Service::start_with(scratch, |port| process::config(port, &url) + sections, |_| ())
}

/// A service with a certificate of an authority for tests.
struct TlsService {
    scratch: Scratch,
    service: Service,
    authority: Authority,
}

impl TlsService {
    fn start() -> TlsService {
        TlsService::start_with(|_, _| String::new())
    }

    /// Starts the service. `prepare` writes further files and returns further lines for `[ssl]`, and further sections.
    fn start_with(prepare: impl FnOnce(&Path, &Authority) -> String) -> TlsService {
        let (scratch, authority) = (Scratch::new(), Authority::new("an authority of tests"));
        authority.server().put(scratch.path(), "server");
        let more = prepare(scratch.path(), &authority);
        let service = start(&scratch, &(ssl(scratch.path(), &[]) + &more));
        TlsService { scratch, service, authority }
    }
}

/// Returns the number of lines of a log that contain a text.
fn count(service: &Service, text: &str) -> usize {
    service.log().lines().filter(|line| line.contains(text)).count()
}
