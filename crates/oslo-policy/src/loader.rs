//! Finds the policy files, and notices when they change.
//! What they say is `file`'s part; what follows from it `rules`'.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Error;
use crate::file;
use crate::rules::PolicyFile;

/// What the file system says about a file: while this stays the same, so does the content.
#[derive(Debug, Clone, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Device, inode and time of the last change of either, where the system has them: a file
    /// put in the place of another may be as long and as old as that one.
    identity: Option<[i64; 4]>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
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

#[derive(Debug, PartialEq)]
struct Found {
    path: PathBuf,
    stamp: Stamp,
}

/// The policy files as they were when last looked at.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    found: Vec<Found>,
    contents: Vec<Vec<u8>>,
    /// Whether the contents were read again after the stamps had been taken. A file written
    /// twice within one tick of the file system's clock keeps its stamp, so that the first
    /// look at a stamp cannot be trusted.
    settled: bool,
    /// Whether the contents could not be parsed.
    broken: bool,
}

impl Loader {
    /// Looks at the files. Nothing when they are as they were at the last look, even if they
    /// were broken then.
    pub(crate) fn look(
        &mut self,
        policy_file: Option<&Path>,
        policy_dirs: &[PathBuf],
    ) -> Result<Option<Vec<PolicyFile>>, Error> {
        let found = find(policy_file, policy_dirs)?;
        let same_stamps = found == self.found;
        if same_stamps && self.settled {
            return Ok(None);
        }
        let contents = found
            .iter()
            .map(|found| fs::read(&found.path).map_err(|source| read_error(&found.path, source)))
            .collect::<Result<Vec<_>, _>>()?;
        let same_paths = found.iter().map(|f| &f.path).eq(self.found.iter().map(|f| &f.path));
        let unchanged = same_paths && contents == self.contents;
        for gone in self.found.iter().filter(|old| !found.iter().any(|new| new.path == old.path)) {
            tracing::warn!(file = %gone.path.display(), "policy file is gone: its rules no longer count");
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

    /// Whether the files, as they were at the last look, could not be parsed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Parses the files as they were at the last look.
    pub(crate) fn parse(&self) -> Result<Vec<PolicyFile>, Error> {
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
                let rules = file::read(text, &found.path)?;
                Ok(PolicyFile { path: Arc::new(found.path.clone()), rules })
            })
            .collect()
    }
}

/// The policy file and then the files of the directories, in the order in which they override
/// one another. What does not exist is left out.
fn find(policy_file: Option<&Path>, policy_dirs: &[PathBuf]) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    if let Some(path) = policy_file
        && let Some(metadata) = metadata(path)?
    {
        found.push(Found { path: path.to_owned(), stamp: Stamp::of(&metadata) });
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
            // Gone since the directory was listed, or a link that leads nowhere.
            let Some(metadata) = metadata(&path)? else { continue };
            if !metadata.is_dir() {
                found.push(Found { path, stamp: Stamp::of(&metadata) });
            }
        }
    }
    Ok(found)
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
