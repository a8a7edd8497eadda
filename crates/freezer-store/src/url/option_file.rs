//! The option file of `read_default_file` (`/etc/my.cnf`), as PyMySQL reads it. A parameter of the URL has
//! priority.
//!
//! PyMySQL's `optionfile.py` is Python's `RawConfigParser` with `-` instead of `_` in names and without
//! quotes around values.

use std::path::{Path, PathBuf};

use super::{MySqlUrl, port};
use crate::url_error::UrlError;

/// The options of one group.
pub(super) struct OptionFile {
    path: PathBuf,
    options: Vec<(String, String)>,
    is_missing: bool,
}

impl OptionFile {
    /// Reads a group of a file according to the two parameters. A missing file is empty, as in Python.
    pub(super) fn read(file: Option<&str>, group: Option<&str>) -> Result<Option<OptionFile>, UrlError> {
        let path = match (file, group) {
            (None, None) => return Ok(None),
            (Some(file), _) => expand_user(file),
            (None, Some(_)) => PathBuf::from("/etc/my.cnf"),
        };
        let (text, is_missing) = match bounded_files::read_to_string(&path) {
            Ok(text) => (text, false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (String::new(), true),
            Err(error) => {
                let parameter = "read_default_file".to_owned();
                return Err(UrlError::File { parameter, path, reason: error.to_string() });
            }
        };
        let options = options(&text, group.unwrap_or("client"));
        Ok(Some(OptionFile { path, options, is_missing }))
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file does not exist.
    pub(super) fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Returns an option by its name with `-`, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.options.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Fills in missing parts of a URL. `parameters.rs` reads options about TLS. `has_host` means that the
    /// URL's host has priority.
    pub(super) fn apply(&self, url: &mut MySqlUrl, has_host: bool) -> Result<(), UrlError> {
        if let Some(user) = self.get("user").filter(|_| url.user.is_empty()) {
            user.clone_into(&mut url.user);
        }
        if let Some(database) = self.get("database").filter(|_| url.database.is_empty()) {
            database.clone_into(&mut url.database);
        }
        if let Some(host) = self.get("host").filter(|_| !has_host) {
            host.clone_into(&mut url.host);
        }
        if let Some(number) = self.get("port").filter(|_| url.port == 3306) {
            url.port = port(number)?;
        }
        if url.password.as_deref().is_none_or(str::is_empty) {
            url.password = self.get("password").map(ToOwned::to_owned).or(url.password.take());
        }
        if url.socket.is_none() {
            url.socket = self.get("socket").map(PathBuf::from);
        }
        Ok(())
    }
}

fn expand_user(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Returns the options of a group: names in lower case with `-` instead of `_`, values without quotes.
fn options(text: &str, group: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut within = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            within = header.split_once(']').is_some_and(|(name, _)| name == group);
        } else if within {
            let (name, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
            let name = name.trim().to_lowercase().replace('_', "-");
            found.push((name, unquoted(value.trim()).to_owned()));
        }
    }
    found
}

fn unquoted(value: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}
