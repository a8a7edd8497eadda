//! Follows links, also to missing files, and finds paths that belong to the kernel or cannot name anything.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, PROC_SUPER_MAGIC, statfs};
use rustix::io::Errno;

/// File systems of the kernel, from `linux/magic.h`, with their usual mount points.
const KERNEL: &[(FsWord, &str)] = &[
    (PROC_SUPER_MAGIC, "/proc"),
    (0x6265_6572, "/sys"),
    (0x0027_e0eb, "/sys/fs/cgroup"),
    (0x6367_7270, "/sys/fs/cgroup"),
    (0x6462_6720, "/sys/kernel/debug"),
    (0x7472_6163, "/sys/kernel/tracing"),
    (0x7363_6673, "/sys/kernel/security"),
];

/// The number of links in a row that Linux follows.
const MOST_LINKS: usize = 40;

/// Returns the directory of a path. The directory of a name is the working directory.
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the path at which a new file would be created, which differs if the path is a link to a missing file.
///
/// # Errors
/// If links lead to each other.
pub fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = directory(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(Errno::LOOP.into())
}

/// Returns an error for a file below `/proc` or `/sys`, or one that would be created there. `/proc/self/fd/1` and other open
/// files of a process belong to another file system, unless they are such a file.
pub fn kernel_file(path: &Path) -> Option<io::Error> {
    let found = statfs(path).or_else(|_| match follow(path) {
        Ok(missing) => statfs(directory(&missing)),
        Err(_) => Err(Errno::LOOP),
    });
    let kind = found.ok()?.f_type;
    let (_, mounted) = KERNEL.iter().find(|(magic, _)| *magic == kind)?;
    let text =
        format!("it is below {mounted}, where the kernel has no files for this; name a file elsewhere");
    Some(io::Error::new(ErrorKind::InvalidInput, text))
}

/// Returns whether a path names a pipe of this process, such as `<(command)` of a shell or `/dev/stdin`. Its content is gone
/// after it was read. A named pipe can be opened again.
pub fn is_read_once(path: &Path) -> bool {
    let is_pipe = path.metadata().is_ok_and(|found| found.file_type().is_fifo());
    // The link in /proc leads to a name that is not in any directory, such as `pipe:[4711]`.
    is_pipe && path.canonicalize().is_err()
}

/// Returns the reason why nothing can ever be at a path: its links lead to each other, a name in it is too long, a file is
/// used as a directory, or it contains a NUL character. A path whose end is missing is possible.
pub fn impossible(path: &Path) -> Option<io::Error> {
    let error = path.symlink_metadata().and_then(|_| path.metadata()).err()?;
    let text = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) => "its symbolic links lead to each other; remove them, or name a file",
        Some(Errno::NAMETOOLONG) => "the path, or a name in it, is longer than the system allows; shorten it",
        Some(Errno::NOTDIR) => {
            "a part of the path before the last is a file, not a directory; correct the path"
        }
        None if error.kind() == ErrorKind::InvalidInput => "it contains a NUL character (%00); remove it",
        _ => return None,
    };
    Some(io::Error::new(ErrorKind::InvalidInput, text))
}
