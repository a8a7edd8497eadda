//! The Unix socket of `[DEFAULT] bind_unix_socket`: opens it with its mode, replaces a file that an earlier process left, and
//! removes the file at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use rustix::fs::{Access, access};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::listen::ListenError;
use crate::config::UnixListen;

/// Length of the longest path of a socket (unix(7)).
const LONGEST_PATH: usize = 107;

/// A listening Unix socket.
#[derive(Debug)]
pub(super) struct UnixSocket {
    socket: UnixListener,
    /// The file. `None`: the service manager opened the socket and removes it.
    file: Option<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode, which another file at this path does not have.
    id: (u64, u64),
}

/// Opens the socket.
pub(super) fn listen(
    UnixListen { path, mode }: &UnixListen,
    backlog: u32,
) -> Result<UnixSocket, ListenError> {
    check_path(path)?;
    if exists(path)? {
        remove_stale(path)?;
    }
    open(path, *mode, backlog).map_err(|error| unusable(path, error))
}

/// Removes the socket of a process that has ended.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // A full queue is an error, too: something listens, but does not accept.
        Ok(()) | Err(_) => {
            let reason = "another process uses this socket; stop this process, or use another path";
            return Err(unusable(path, reason));
        }
    }
    fs::remove_file(path).map_err(|error| {
        let reason = format!("the socket of an earlier process cannot be removed: {error}; remove it");
        unusable(path, reason)
    })
}

/// Connects without waiting.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn open(path: &Path, mode: u32, backlog: u32) -> io::Result<UnixSocket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), id: (metadata.dev(), metadata.ino()) };
    // No client can connect before `listen`, so none is affected by the first mode.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    let socket = UnixListener::from_std(StdListener::from(OwnedFd::from(socket)))?;
    Ok(UnixSocket { socket, file: Some(file) })
}

/// Checks whether [`listen`] could open the socket, and changes nothing. If another process listens on it, the check
/// succeeds, because that may be the service itself.
pub(super) fn check(UnixListen { path, .. }: &UnixListen) -> Result<(), ListenError> {
    check_path(path)?;
    exists(path).map(drop)
}

/// Checks the path and its directory.
fn check_path(path: &Path) -> Result<(), ListenError> {
    if !path.is_absolute() {
        return Err(unusable(path, "the path must begin with /"));
    }
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        let reason =
            format!("the path has {length} bytes, but the path of a socket can have at most {LONGEST_PATH}");
        return Err(unusable(path, reason));
    }
    let directory = path.parent().unwrap_or(path);
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(unusable(path, format!("{} is not a directory", directory.display()))),
        Err(error) => {
            let reason = format!(
                "the directory {}: {error}; create it, for example with RuntimeDirectory= of systemd",
                directory.display()
            );
            return Err(unusable(path, reason));
        }
    }
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let reason = format!(
            "the directory {}: {}; let the user of the service write to it",
            directory.display(),
            io::Error::from(error)
        );
        unusable(path, reason)
    })
}

/// Returns whether there is a socket at the path. Any other file is an error.
fn exists(path: &Path) -> Result<bool, ListenError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => Err(unusable(path, "there is a file that is not a socket; remove it, or use another path")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unusable(path, error)),
    }
}

fn unusable(path: &Path, reason: impl ToString) -> ListenError {
    ListenError::Unix { path: path.to_owned(), reason: reason.to_string() }
}

impl UnixSocket {
    /// Uses the socket of the service manager.
    pub(super) fn inherited(socket: StdListener) -> io::Result<UnixSocket> {
        socket.set_nonblocking(true)?;
        Ok(UnixSocket { socket: UnixListener::from_std(socket)?, file: None })
    }

    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }

    /// Returns the path for messages.
    pub(super) fn name(&self) -> String {
        let address = self.socket.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname());
        path.map_or_else(|| "a Unix socket".to_owned(), |path| format!("unix:{}", path.display()))
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.socket.poll_accept(cx).map_ok(|(stream, _)| stream)
    }

    /// Stops listening. Connections that wait in the queue are passed to `open`.
    pub(super) fn close(self, mut open: impl FnMut(UnixStream)) {
        let UnixSocket { socket, file } = self;
        // Nothing can connect without the file, so the queue does not grow.
        drop(file);
        let Ok(queue) = socket.into_std() else { return };
        while let Ok((stream, _)) = queue.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
            if let Ok(stream) = stream {
                open(stream);
            }
        }
    }
}

impl Drop for SocketFile {
    /// Removes the file, unless another process has put its own socket in its place.
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.id)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("the socket {} could not be removed: {error}", self.path.display());
        }
    }
}
