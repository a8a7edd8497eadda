//! Finds and reads the policy files, and notices when they change.
//! Parsing a file belongs in `file`, and building the set of rules in `rules`.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Error;
use crate::file;
use crate::rules::PolicyFile;

/// The metadata of a file. The content is the same as long as the stamp is, with one exception: see
/// [`Loader::settled`].
#[derive(Debug, Clone, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Device, inode and change time, if the system has them. A file that replaces another can have the same length and
    /// modification time.
    identity: Option<[i64; 4]>,
}

impl Stamp {
    fn new(metadata: &Metadata) -> Stamp {
        Stamp { modified: metadata.modified().ok(), length: metadata.len(), identity: identity(metadata) }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<[i64; 4]> {
    use std::os::unix::fs::MetadataExt as _;
    let (device, inode) = (metadata.dev().cast_signed(), metadata.ino().cast_signed());
    Some([device, inode, metadata.ctime(), metadata.ctime_nsec()])
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<[i64; 4]> {
    None
}

/// A policy file on disk.
#[derive(Debug, PartialEq)]
struct FoundFile {
    path: PathBuf,
    stamp: Stamp,
}

/// The policy files as they were when they were last read.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    found: Vec<FoundFile>,
    /// Entries of the directories that are not read, such as FIFOs and sockets.
    others: Vec<PathBuf>,
    contents: Vec<Vec<u8>>,
    /// Whether the contents were read again after the stamps were taken. A file that is written twice within one tick of
    /// the file system's clock keeps its stamp, so a new stamp cannot be trusted the first time.
    settled: bool,
    /// Whether the contents cannot be loaded.
    broken: bool,
}

impl Loader {
    /// Reads the files once. Errors of single rules are part of the result.
    pub(crate) fn read_leniently(
        policy_file: Option<&Path>,
        policy_dirs: &[PathBuf],
    ) -> Result<Vec<PolicyFile>, Error> {
        let (found, _) = find(policy_file, policy_dirs)?;
        let contents = read_all(&found)?;
        Loader { found, contents, ..Loader::default() }.parse_leniently()
    }

    /// Reads the files if they have changed since the last call, and returns their rules. Returns `None` if they have not,
    /// even if they could not be loaded then.
    pub(crate) fn read_changed(
        &mut self,
        policy_file: Option<&Path>,
        policy_dirs: &[PathBuf],
    ) -> Result<Option<Vec<PolicyFile>>, Error> {
        let (found, others) = find(policy_file, policy_dirs)?;
        for path in others.iter().filter(|path| !self.others.contains(path)) {
            tracing::warn!(file = %path.display(), "not a file, so no policy rules are read from it");
        }
        self.others = others;
        let same_stamps = found == self.found;
        if same_stamps && self.settled {
            return Ok(None);
        }
        let contents = read_all(&found)?;
        let same_paths = found.iter().map(|f| &f.path).eq(self.found.iter().map(|f| &f.path));
        let unchanged = same_paths && contents == self.contents;
        for gone in self.found.iter().filter(|old| !found.iter().any(|new| new.path == old.path)) {
            tracing::warn!(file = %gone.path.display(), "policy file was removed: its rules no longer apply");
        }
        self.settled = same_stamps && unchanged;
        self.found = found;
        self.contents = contents;
        if unchanged {
            return Ok(None);
        }
        let parsed = self.parse();
        self.broken = parsed.is_err();
        parsed.map(Some)
    }

    /// Returns whether the files, as they were last read, cannot be loaded.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Parses the files as they were last read. Any error in a file is an error.
    pub(crate) fn parse(&self) -> Result<Vec<PolicyFile>, Error> {
        let mut files = self.parse_leniently()?;
        match files.iter_mut().find(|file| !file.content.errors.is_empty()) {
            Some(file) => Err(file.content.errors.remove(0)),
            None => Ok(files),
        }
    }

    /// Parses the files as they were last read. Errors of single rules are part of the result.
    fn parse_leniently(&self) -> Result<Vec<PolicyFile>, Error> {
        self.found
            .iter()
            .zip(&self.contents)
            .map(|(found, content)| {
                let text = std::str::from_utf8(content).map_err(|error| Error::Syntax {
                    path: found.path.clone(),
                    line: 1 + content
                        .iter()
                        .take(error.valid_up_to())
                        .map(|&byte| u64::from(byte == b'\n'))
                        .sum::<u64>(),
                    message: "the text is not UTF-8".to_owned(),
                })?;
                let content = file::read(text, &found.path)?;
                Ok(PolicyFile { path: Arc::new(found.path.clone()), content })
            })
            .collect()
    }
}

fn read_all(files: &[FoundFile]) -> Result<Vec<Vec<u8>>, Error> {
    files
        .iter()
        .map(|file| bounded_files::read(&file.path).map_err(|source| read_error(&file.path, source)))
        .collect()
}

/// Returns the policy file and then the files of the directories: later files override earlier ones. Skips files and
/// directories that do not exist. The second part has the entries of directories that are not files: they are not read.
fn find(
    policy_file: Option<&Path>,
    policy_dirs: &[PathBuf],
) -> Result<(Vec<FoundFile>, Vec<PathBuf>), Error> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    if let Some(path) = policy_file
        && let Some(metadata) = metadata(path)?
    {
        if let Some(source) = bounded_files::refusal(&metadata) {
            return Err(Error::PolicyFile { path: path.to_owned(), source });
        }
        found.push(FoundFile { path: path.to_owned(), stamp: Stamp::new(&metadata) });
    }
    for dir in policy_dirs {
        let Some(kind) = metadata(dir)? else { continue };
        if !kind.is_dir() {
            return Err(Error::NotADirectory { path: dir.clone() });
        }
        let entries = fs::read_dir(dir).map_err(|source| read_error(dir, source))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(|source| read_error(dir, source))?.file_name());
        }
        names.sort_unstable();
        for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
            let path = dir.join(name);
            // The file was removed after the directory was listed, or it is a dangling link.
            let Some(metadata) = metadata(&path)? else { continue };
            if bounded_files::refusal(&metadata).is_none() {
                found.push(FoundFile { path, stamp: Stamp::new(&metadata) });
            } else if !metadata.is_dir() {
                others.push(path);
            }
        }
    }
    Ok((found, others))
}

fn metadata(path: &Path) -> Result<Option<Metadata>, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(read_error(path, source)),
    }
}

fn read_error(path: &Path, source: std::io::Error) -> Error {
    Error::Read { path: path.to_owned(), source }
}
