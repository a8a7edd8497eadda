//! [`FileKind`]: the kind of a file, and the errors about it.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::LARGEST;

/// The kind of the file at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    /// `/dev/null`, to which operators link files that are not wanted.
    Null,
    /// A named pipe (FIFO), or a pipe of a shell.
    Pipe,
    Directory,
    Socket,
    /// A terminal, or another device.
    CharDevice,
    BlockDevice,
    Unknown,
}

impl FileKind {
    pub(crate) fn new(metadata: &Metadata) -> FileKind {
        let kind = metadata.file_type();
        let is_null = || fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == metadata.rdev());
        if kind.is_file() {
            FileKind::File
        } else if kind.is_fifo() {
            FileKind::Pipe
        } else if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_socket() {
            FileKind::Socket
        } else if kind.is_block_device() {
            FileKind::BlockDevice
        } else if kind.is_char_device() {
            if is_null() { FileKind::Null } else { FileKind::CharDevice }
        } else {
            FileKind::Unknown
        }
    }

    /// Returns whether it can be read at once, and reading it ends.
    pub(crate) fn is_file(self) -> bool {
        matches!(self, FileKind::File | FileKind::Null)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            FileKind::File | FileKind::Null => "a file",
            FileKind::Pipe => "a named pipe (FIFO)",
            FileKind::Directory => "a directory",
            FileKind::Socket => "a socket",
            FileKind::CharDevice => "a terminal or another device",
            FileKind::BlockDevice => "a block device",
            FileKind::Unknown => "something that is not a file",
        }
    }

    /// Returns the error for something that is not a file.
    pub(crate) fn refusal(self) -> io::Error {
        let kind = match self {
            FileKind::Directory => ErrorKind::IsADirectory,
            _ => ErrorKind::InvalidInput,
        };
        io::Error::new(kind, format!("it is {}; name a file", self.name()))
    }
}

/// Returns an error if [`crate::read`] cannot read something with this metadata. The error names the kind of the file.
pub fn refusal(metadata: &Metadata) -> Option<io::Error> {
    let kind = FileKind::new(metadata);
    if kind.is_file() {
        return (metadata.len() > LARGEST).then(too_large);
    }
    Some(kind.refusal())
}

pub(crate) fn too_large() -> io::Error {
    let text = format!("it is larger than {} MiB; name another file", LARGEST >> 20);
    io::Error::new(ErrorKind::FileTooLarge, text)
}
