//! Opens and reads the files that a configuration names, without waiting for ever.
//!
//! A path can name something that is not a file. Opening a named pipe (FIFO) waits until another program opens its other
//! end, and the content of a device may never end. The functions of this crate return an error instead. Every text names the
//! kind of the file and the remedy. The caller adds the option and the path.
//!
//! All programs of the workspace open the files of their configuration here. Files of the operating system with a fixed
//! path (`/proc`) are not read here.

mod append;
mod authorities;
mod kind;
mod links;
mod pipe;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

pub use append::append;
pub use authorities::check_cert_file;
pub use kind::refusal;
use kind::{FileKind, too_large};
pub use links::{directory, follow, impossible, is_read_once, kernel_file};

/// The maximum size of a file in bytes.
pub const LARGEST: u64 = 64 << 20;

/// Reads a file that can be read at once. `/dev/null` is an empty file.
///
/// # Errors
/// Those of the operating system, and [`refusal`] for everything that is not a file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, kind) = open(path)?;
    match kind.is_file() {
        true => read_file(file),
        false => Err(kind.refusal()),
    }
}

/// Reads at most the first `length` bytes of a file of any size.
///
/// # Errors
/// Those of the operating system, and [`refusal`] for everything that is not a file.
pub fn read_start(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let (file, kind) = open(path)?;
    if !kind.is_file() {
        return Err(kind.refusal());
    }
    let mut content = Vec::new();
    file.take(length).read_to_end(&mut content)?;
    Ok(content)
}

/// Does the same as [`read`] and returns text.
///
/// # Errors
/// Those of [`read`], and one for a file that is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    into_text(read(path)?)
}

/// Reads a file, or a pipe to its end. A pipe can be read only once, so this is for files that are read once at the
/// start, such as `<(command)` of a shell or `/dev/stdin`. The wait for the other program is bounded.
///
/// # Errors
/// Those of [`read`], and [`ErrorKind::TimedOut`] if the pipe does not end in time.
pub fn read_stream(path: &Path) -> io::Result<Vec<u8>> {
    let (file, kind) = open(path)?;
    match kind {
        FileKind::Pipe => pipe::read(file, &pipe::LIMITS),
        kind if kind.is_file() => read_file(file),
        kind => Err(kind.refusal()),
    }
}

/// Does the same as [`read_stream`] and returns text.
///
/// # Errors
/// Those of [`read_stream`], and one for content that is not UTF-8.
pub fn read_stream_to_string(path: &Path) -> io::Result<String> {
    into_text(read_stream(path)?)
}

/// Opens a file for reading without waiting. Devices and sockets are not opened, because this alone can have effects.
fn open(path: &Path) -> io::Result<(File, FileKind)> {
    let kind = FileKind::new(&std::fs::metadata(path)?);
    if !kind.is_file() && kind != FileKind::Pipe {
        return Err(kind.refusal());
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Another file may have taken its place.
    let kind = FileKind::new(&file.metadata()?);
    Ok((file, kind))
}

fn read_file(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content).map_err(|error| match error.kind() {
        // Some files of the kernel wait for events.
        ErrorKind::WouldBlock => io::Error::new(
            ErrorKind::InvalidInput,
            "reading it would wait, because it has no content now; name another file",
        ),
        _ => error,
    })?;
    if content.len() as u64 > LARGEST {
        return Err(too_large());
    }
    Ok(content)
}

fn into_text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| {
        io::Error::new(ErrorKind::InvalidData, "the content is not UTF-8 text; save it as UTF-8")
    })
}

#[cfg(test)]
mod tests;
