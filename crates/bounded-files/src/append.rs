//! Opens a file to append lines to it, such as a log file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::kind::FileKind;
use crate::links::kernel_file;

/// Opens a file for appending. Besides files, these can be terminals and other character devices (`/dev/stdout`,
/// `/dev/null`), and pipes that another program reads. These stay in the mode `O_NONBLOCK`: a write fails with
/// [`ErrorKind::WouldBlock`] while the other side takes nothing. `create` is the mode of a new file; without it, a missing
/// file is an error.
///
/// # Errors
/// Those of the operating system, and a description of anything else that the path names.
pub fn append(path: &Path, create: Option<u32>) -> io::Result<File> {
    match path.metadata().map(|metadata| FileKind::new(&metadata)) {
        Ok(FileKind::Socket) => return Err(socket()),
        Ok(kind @ (FileKind::Directory | FileKind::BlockDevice | FileKind::Unknown)) => {
            return Err(kind.refusal());
        }
        // A missing file is created, or the system says so.
        Ok(_) | Err(_) => {}
    }
    if let Some(refused) = kernel_file(path) {
        return Err(refused);
    }
    let mut options = OpenOptions::new();
    options.append(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    if let Some(mode) = create {
        options.create(true).mode(mode);
    }
    options.open(path).map_err(|error| explained(path, error))
}

fn explained(path: &Path, error: io::Error) -> io::Error {
    if error.raw_os_error() != Some(Errno::NXIO.raw_os_error()) {
        return error;
    }
    match path.metadata().map(|metadata| FileKind::new(&metadata)) {
        Ok(FileKind::Pipe) => io::Error::new(
            ErrorKind::NotConnected,
            "it is a named pipe (FIFO), and no program reads it; start that program first, or name a file",
        ),
        Ok(FileKind::Socket) => socket(),
        _ => error,
    }
}

/// systemd and some container runtimes connect standard output to a socket.
fn socket() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        "it is a socket, which cannot be opened like a file; name a file, or leave the option empty to write to standard \
         error",
    )
}
