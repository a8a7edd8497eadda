//! Where links lead, also if nothing is there yet, and which paths belong to the kernel.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{PROC_SUPER_MAGIC, statfs};
use rustix::io::Errno;

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

/// Returns an error for a file below `/proc`, or one that would be created there. `/proc/self/fd/1` and other open files of
/// a process belong to another file system, unless they are such a file.
pub fn kernel_file(path: &Path) -> Option<io::Error> {
    let found = statfs(path).or_else(|_| match follow(path) {
        Ok(missing) => statfs(directory(&missing)),
        Err(_) => Err(Errno::LOOP),
    });
    let is_kernel_file = found.is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
    is_kernel_file.then(|| {
        let text = "it is below /proc, where the kernel has no files for this; name a file elsewhere";
        io::Error::new(ErrorKind::InvalidInput, text)
    })
}
