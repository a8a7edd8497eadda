//! Checks the paths of a URL: the SQLite file and the socket of a server. `tls/files.rs` reads certificates.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::url_error::UrlError;

/// Rejects a socket that is something else. It may be missing until the server starts.
pub(super) fn check_socket(path: Option<&Path>) -> Result<(), UrlError> {
    match path.and_then(|path| Some((path, path.metadata().ok()?))) {
        Some((path, found)) if !found.file_type().is_socket() => Err(UrlError::File {
            parameter: "unix_socket".to_owned(),
            path: path.to_owned(),
            reason: "it is not a socket; name the socket of the server".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Rejects something that is not a file. The file may not exist yet.
pub(crate) fn check_sqlite_file(path: &Path) -> Result<(), UrlError> {
    match path.metadata() {
        Ok(found) if !found.is_file() => {
            let reason = bounded_files::refusal(&found)
                .map_or("it is a device; name a file".to_owned(), |error| error.to_string());
            Err(UrlError::SqlitePath { path: path.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

/// Rejects a path that can never be a SQLite file, because waiting for it would never end.
pub(super) fn check_sqlite(path: &Path) -> Result<(), UrlError> {
    check_sqlite_file(path)?;
    let unusable = |reason: String| UrlError::SqlitePath { path: path.to_owned(), reason };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = directory.display();
    match directory.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(unusable(format!("{shown} is not a directory"))),
        Err(error) => Err(unusable(format!(
            "the directory {shown} cannot be used: {error}; create it, or correct the path"
        ))),
    }
}
