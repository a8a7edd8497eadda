//! Checks `SSL_CERT_FILE` and `SSL_CERT_DIR`, the environment variables that replace the system's certificate
//! authorities, as in OpenSSL. The TLS libraries skip unusable files silently, so this module reports them.

use std::path::Path;

use freezer_store::maintenance::Verdict;
use memchr::memmem;

use super::Finding;

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORIES: &str = "SSL_CERT_DIR";

/// The variables that are set.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    /// A warning for each unusable path in them.
    pub unusable: Vec<Finding>,
    /// The variables with their values, for messages.
    pub variables: Vec<String>,
}

impl Authorities {
    pub(super) fn read(environment: &[(String, String)]) -> Authorities {
        let set = environment.iter().filter(|(name, _)| name == FILE || name == DIRECTORIES);
        Authorities {
            unusable: unusable(environment),
            variables: set.map(|(name, value)| format!("{name} = {value:?}")).collect(),
        }
    }
}

/// Returns a warning for each unusable path in these variables.
fn unusable(environment: &[(String, String)]) -> Vec<Finding> {
    let value = |name: &str| environment.iter().rfind(|(found, _)| found == name).map(|(_, value)| value);
    let of_file = value(FILE).and_then(|path| Some((FILE, path.as_str(), file(path)?)));
    let directories = value(DIRECTORIES).map(String::as_str).unwrap_or_default();
    let directories = directories.split(':').filter(|path| !path.is_empty());
    let of_directories = directories.filter_map(|path| Some((DIRECTORIES, path, directory(path)?)));
    of_file.into_iter().chain(of_directories).map(finding).collect()
}

fn finding((variable, path, reason): (&str, &str, String)) -> Finding {
    let message = format!(
        "environment variable {variable} = {path:?} is not usable: {reason}; it replaces the certificate authorities \
         of the system, which verify TLS connections that have no CA file of their own; correct or unset it"
    );
    Finding { verdict: Verdict::Warning, kind: "unusable_file", place: None, message }
}

/// Returns the reason why a file of authorities cannot be used.
fn file(path: &str) -> Option<String> {
    match bounded_files::read(Path::new(path)) {
        Ok(pem) if memmem::find(&pem, b"-----BEGIN CERTIFICATE-----").is_some() => None,
        Ok(_) => Some("it holds no PEM certificate".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Returns the reason why a directory of authorities cannot be used.
fn directory(path: &str) -> Option<String> {
    let entries = match std::fs::read_dir(Path::new(path)) {
        Ok(entries) => entries,
        Err(error) => return Some(error.to_string()),
    };
    let mut files = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file());
    let is_usable = files.any(|path| path.to_str().is_some_and(|path| file(path).is_none()));
    (!is_usable).then(|| "no file in it holds a PEM certificate".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn unusable_paths_are_reported() {
        let scratch = std::env::temp_dir().join(format!("freezer-authorities-{}", std::process::id()));
        let at = |name: &str| scratch.join(name).display().to_string();
        for directory in ["empty", "full"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        let pem = "# an authority\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        std::fs::write(at("full/5ed36f99.0"), pem).unwrap();
        std::fs::write(at("text"), "no certificate").unwrap();
        let found = |variables: &[(&str, String)]| -> Vec<String> {
            let own = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            unusable(&own.collect::<Vec<_>>()).iter().map(ToString::to_string).collect()
        };
        let full = at("full/5ed36f99.0");
        for good in
            [&[][..], &[(FILE, full.clone())], &[(DIRECTORIES, at("full"))], &[(DIRECTORIES, String::new())]]
        {
            assert_eq!(found(good), Vec::<String>::new());
        }
        for (variable, path, reason) in [
            (FILE, at("missing"), "No such file or directory"),
            (FILE, at("full"), "it is a directory; name a file"),
            (FILE, at("text"), "it holds no PEM certificate"),
            (FILE, String::new(), "No such file or directory"),
            (DIRECTORIES, at("missing"), "No such file or directory"),
            (DIRECTORIES, at("text"), "Not a directory"),
            (DIRECTORIES, at("empty"), "no file in it holds a PEM certificate"),
        ] {
            let said = found(&[(variable, path.clone())]);
            let begin = format!("environment variable {variable} = {path:?} is not usable: {reason}");
            assert!(said.len() == 1 && said[0].starts_with(&begin), "{said:?}");
        }
        let both = found(&[
            (FILE, at("missing")),
            (DIRECTORIES, format!("{}:{}::{}", at("full"), at("a"), at("b"))),
        ]);
        assert_eq!(both.len(), 3, "{both:?}");
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
