//! Checks the paths of a URL: the SQLite file and the socket of a server. `tls/files.rs` reads certificates.

use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::url_error::UrlError;

/// The longest path of a Unix socket in bytes (`sun_path`, without the NUL at its end).
const LONGEST_SOCKET: usize = 107;

/// The first bytes of every SQLite file that is not empty.
const SQLITE_HEADER: &[u8] = b"SQLite format 3\0";

/// Rejects a path that can never be a socket, and a socket that is something else. It may be missing until the server
/// starts.
pub(super) fn check_socket(path: Option<&Path>) -> Result<(), UrlError> {
    let Some(path) = path else { return Ok(()) };
    let reason = if let Ok(found) = path.metadata()
        && !found.file_type().is_socket()
    {
        "it is not a socket; name the socket of the server".to_owned()
    } else if let Some(error) = impossible(path) {
        error.to_string()
    } else if path.as_os_str().as_bytes().len() > LONGEST_SOCKET {
        format!("the path is longer than the {LONGEST_SOCKET} bytes that a socket can have; shorten it")
    } else {
        return Ok(());
    };
    Err(UrlError::File { parameter: "unix_socket".to_owned(), path: path.to_owned(), reason })
}

/// Rejects something that is not a file, and a path that can never be one. The file may not exist yet.
pub(crate) fn check_sqlite_file(path: &Path) -> Result<(), UrlError> {
    let unusable = |reason: String| Err(UrlError::SqlitePath { path: path.to_owned(), reason });
    if let Some(error) = impossible(path) {
        return unusable(error.to_string());
    }
    match path.metadata() {
        Ok(found) if !found.is_file() => unusable(
            bounded_files::refusal(&found)
                .map_or("it is a device; name a file".to_owned(), |error| error.to_string()),
        ),
        _ => Ok(()),
    }
}

/// Returns the reason why no file or socket can be at a path.
fn impossible(path: &Path) -> Option<io::Error> {
    bounded_files::impossible(path).or_else(|| bounded_files::kernel_file(path))
}

/// Rejects a path that can never be a SQLite file, because waiting for it would never end.
pub(super) fn check_sqlite(path: &Path) -> Result<(), UrlError> {
    check_sqlite_file(path)?;
    let unusable = |reason: String| UrlError::SqlitePath { path: path.to_owned(), reason };
    if path.exists() {
        let start = bounded_files::read_start(path, SQLITE_HEADER.len() as u64).map_err(|error| {
            unusable(format!("it cannot be read: {error}; give it to the user of the service"))
        })?;
        return match start.is_empty() || start == SQLITE_HEADER {
            true => Ok(()),
            false => Err(unusable(
                "it is not a SQLite database; name another file, or a new one that freezer-manage db sync creates"
                    .to_owned(),
            )),
        };
    }
    let created = bounded_files::follow(path).map_err(|error| unusable(error.to_string()))?;
    let directory = bounded_files::directory(&created);
    let shown = directory.display();
    let link = match created == path {
        true => String::new(),
        false => format!("it is a link to {}, and ", created.display()),
    };
    match directory.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(unusable(format!("{link}{shown} is not a directory"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unusable(format!(
            "{link}the directory {shown} does not exist; create it, or correct the path"
        ))),
        Err(error) => Err(unusable(format!(
            "{link}the directory {shown} cannot be used: {error}; create it, or correct the path"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("fz-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("directory")).unwrap();
            symlink("loop", path.join("loop")).unwrap();
            symlink("left", path.join("right")).unwrap();
            symlink("right", path.join("left")).unwrap();
            symlink("missing/f.db", path.join("dangling")).unwrap();
            symlink("dangling", path.join("second")).unwrap();
            symlink("new.db", path.join("usable")).unwrap();
            fs::write(path.join("text"), "no database, but a text that is longer than a header").unwrap();
            fs::write(path.join("short"), "text").unwrap();
            fs::write(path.join("empty"), "").unwrap();
            fs::write(path.join("database"), SQLITE_HEADER).unwrap();
            Scratch(path)
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_path_that_can_never_be_a_sqlite_file_is_rejected() {
        let scratch = Scratch::new("sqlite");
        let long = "x".repeat(300);
        for (path, reason) in [
            (scratch.at("loop"), "lead to each other"),
            (scratch.at("left"), "lead to each other"),
            (scratch.at("loop/f.db"), "lead to each other"),
            (scratch.at("dangling"), "missing/f.db, and the directory"),
            (scratch.at("second"), "missing/f.db, and the directory"),
            (scratch.at("missing/f.db"), "/missing does not exist; create it"),
            (scratch.at("text/f.db"), "is a file, not a directory"),
            (scratch.at("a\0b"), "NUL character"),
            (scratch.at(&long), "longer than the system allows"),
            (scratch.at("text"), "it is not a SQLite database"),
            (scratch.at("short"), "it is not a SQLite database"),
            (scratch.at("directory"), "it is a directory"),
            ("/proc/kmsg".into(), "it is below /proc"),
            ("/proc/f.db".into(), "it is below /proc"),
            ("/sys/f.db".into(), "it is below /sys"),
            ("/dev/null".into(), "it is a device"),
        ] {
            let error = check_sqlite(&path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        for name in ["empty", "database", "new.db", "usable"] {
            check_sqlite(&scratch.at(name)).unwrap();
        }
    }

    #[test]
    fn a_path_that_can_never_be_a_socket_is_rejected() {
        let scratch = Scratch::new("socket");
        let long = "x".repeat(300);
        for (path, reason) in [
            (scratch.at("loop"), "lead to each other"),
            (scratch.at("left"), "lead to each other"),
            (scratch.at("directory"), "it is not a socket"),
            (scratch.at("text"), "it is not a socket"),
            (scratch.at("text/socket"), "is a file, not a directory"),
            (scratch.at(&long), "longer than the system allows"),
            (scratch.at(&"x".repeat(LONGEST_SOCKET)), "longer than the 107 bytes"),
            (scratch.at("a\0b"), "NUL character"),
            ("/proc/kmsg".into(), "it is not a socket"),
            ("/proc/socket".into(), "it is below /proc"),
        ] {
            let error = check_socket(Some(&path)).unwrap_err().to_string();
            assert!(error.starts_with("unix_socket=") && error.contains(reason), "{error}");
        }
        let _listener = UnixListener::bind(scratch.at("listener")).unwrap();
        for name in ["listener", "new", "missing/new", "dangling"] {
            check_socket(Some(&scratch.at(name))).unwrap();
        }
        check_socket(None).unwrap();
    }
}
