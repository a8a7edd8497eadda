//! The sources of configuration: files, directories, the environment, options of the command line, and the
//! search for default files. The grammar of files is in `ini.rs`.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::{
    error::Error,
    ini::{self, IniFile},
};

/// An option that the command line sets. The program parses its command line and passes the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLineOption {
    /// The option's group.
    pub group: String,
    /// The option's name, with `_` for `-`.
    pub name: String,
    /// The value, as text.
    pub value: String,
    /// The spelling on the command line, such as `--bind-port`, for errors.
    pub written: String,
}

/// The sources in ascending order of priority: files and directories in the order of the command line (the
/// files of a directory in the order of their names), the environment, the command line.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Files. Each of these files must exist. A leading `~/` stands for the `HOME` of `env`.
    pub files: Vec<PathBuf>,
    /// Directories whose `*.conf` files are read. Each of these directories must exist. A leading `~/` works as in
    /// `files`.
    pub dirs: Vec<PathBuf>,
    /// For each of `dirs`, the number of `files` that are read before it. A directory without a number is
    /// read after all files.
    pub files_before: Vec<usize>,
    /// The environment; `OS_<GROUP>__<OPTION>` sets an option.
    pub env: Vec<(String, String)>,
    /// Options of the command line. If two have the same name, the last one wins.
    pub arguments: Vec<CommandLineOption>,
}

impl fmt::Debug for Sources {
    /// Prints only the names of variables, because their values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("files", &self.files)
            .field("dirs", &self.dirs)
            .field("files_before", &self.files_before)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("arguments", &self.arguments.iter().map(|argument| &argument.written).collect::<Vec<_>>())
            .finish()
    }
}

impl Sources {
    /// Reads and parses all files, in order.
    pub(crate) fn read(&self) -> Result<Vec<IniFile>, Error> {
        let mut files = Vec::new();
        for number in 0..=self.files.len() {
            for dir in self.dirs_after(number) {
                for path in conf_files(&self.expand(dir))? {
                    files.push(read_file(&path)?);
                }
            }
            if let Some(path) = self.files.get(number) {
                files.push(read_file(&self.expand(path))?);
            }
        }
        Ok(files)
    }

    /// Returns the first file that cannot be read again after the start, such as `<(command)` of a shell.
    pub fn read_once(&self) -> Option<PathBuf> {
        self.files.iter().map(|path| self.expand(path)).find(|path| bounded_files::is_read_once(path))
    }

    /// Returns the directories that are read directly after `number` files.
    fn dirs_after(&self, number: usize) -> impl Iterator<Item = &PathBuf> {
        let last = self.files.len();
        self.dirs.iter().enumerate().filter_map(move |(at, dir)| {
            (self.files_before.get(at).map_or(last, |before| *before.min(&last)) == number).then_some(dir)
        })
    }

    /// Returns the variables that can set an option.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let ours = |(name, _): &&(String, String)| name.starts_with("OS_") && name.contains("__");
        self.env.iter().filter(ours).cloned().collect()
    }

    fn expand(&self, path: &Path) -> PathBuf {
        let home = self.env.iter().find(|(name, value)| name == "HOME" && !value.is_empty());
        match (path.strip_prefix("~"), home) {
            (Ok(rest), Some((_, home))) => Path::new(home).join(rest),
            _ => path.to_owned(),
        }
    }
}

fn read_file(path: &Path) -> Result<IniFile, Error> {
    // A file of the command line can be the output of another program: `--config-file <(command)`.
    let bytes = bounded_files::read_stream(path)
        .map_err(|source| Error::ReadFile { path: path.to_owned(), source })?;
    parse_bytes(&path.display().to_string(), &bytes)
}

pub(crate) fn parse_bytes(name: &str, bytes: &[u8]) -> Result<IniFile, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => ini::parse(name, text),
        Err(error) => {
            let before = bytes.iter().take(error.valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            Err(Error::NotUtf8 { file: name.to_owned(), line })
        }
    }
}

/// Returns the `*.conf` files of a directory by name, without hidden files, like the pattern `*.conf` of a
/// shell.
fn conf_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::ReadDir { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".conf") && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// Returns the files and directories that a program reads if the command line contains none.
///
/// These are `<project>.conf` and then `<prog>.conf`, each in the first of `~/.<project>`, `~`,
/// `/etc/<project>` and `/etc` that contains it. The same applies to `<project>.conf.d` and `<prog>.conf.d`.
/// Only existing files and directories are returned. `env` and `arguments` are empty.
pub fn default_sources(project: &str, prog: &str, home: Option<&Path>) -> Sources {
    default_sources_under(Path::new("/"), project, prog, home)
}

/// Like [`default_sources`], but with `root` instead of `/` above `etc`.
pub fn default_sources_under(root: &Path, project: &str, prog: &str, home: Option<&Path>) -> Sources {
    let etc = root.join("etc");
    let mut places = Vec::new();
    if let Some(home) = home {
        places.push(home.join(format!(".{project}")));
        places.push(home.to_owned());
    }
    places.push(etc.join(project));
    places.push(etc);
    // If a program has the name of its project, it has only one file.
    let names = if project == prog { vec![prog] } else { vec![project, prog] };
    let find = |extension: &str| -> Vec<PathBuf> {
        let first = |name: &&str| {
            let file = format!("{name}{extension}");
            places.iter().map(|place| place.join(OsStr::new(&file))).find(|path| path.exists())
        };
        names.iter().filter_map(first).collect()
    };
    Sources { files: find(".conf"), dirs: find(".conf.d"), ..Sources::default() }
}
