//! Checks `SSL_CERT_FILE`, the environment variable that replaces the certificate authorities of the system. The TLS
//! libraries open this file themselves, and would wait for a pipe. They skip other entries of `SSL_CERT_DIR` than files.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::kind::refusal;

/// Checks that the TLS libraries can read the file of `SSL_CERT_FILE` at once, before they load the authorities of the
/// system. The libraries report a missing file and a directory themselves.
///
/// # Errors
/// The file, and the error about it.
pub fn check_cert_file() -> Result<(), (PathBuf, io::Error)> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from) else { return Ok(()) };
    match path.metadata().ok().and_then(|metadata| refusal(&metadata)) {
        Some(error) if error.kind() != ErrorKind::IsADirectory => Err((path, error)),
        _ => Ok(()),
    }
}
