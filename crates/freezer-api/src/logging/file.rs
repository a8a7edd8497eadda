//! The log file: opened again after it was moved away, and renamed when it is full. Also checks its path, and names the
//! option that is responsible for an error. `stream.rs` writes the lines.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bounded_files::directory;
use rustix::fs::{Access, access};

use super::stream::Stream;
use crate::config::{LogFileOptions, Rotation};

/// Mode of created files: readable by owner and group. The umask can restrict it further.
const FILE_MODE: u32 = 0o640;
/// How often the service checks whether a file was moved away.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a full file is not renamed again after this has failed.
const ROTATION_PAUSE: Duration = Duration::from_secs(60);

/// The log file. It is opened again after it was moved away, and renamed when it is full.
pub(super) struct RotatingFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    file_options: LogFileOptions,
    stream: Stream,
    length: u64,
    looked: Instant,
    /// Why the file could not be opened again after it was moved away or replaced.
    lost: Option<(io::ErrorKind, String)>,
    /// When the last rotation failed.
    unrotated: Option<Instant>,
    /// A failed rotation that has not been reported.
    complaint: Option<String>,
}

impl RotatingFile {
    pub(super) fn new(
        path: &Path,
        rotation: Option<Rotation>,
        file_options: LogFileOptions,
    ) -> io::Result<RotatingFile> {
        let (stream, length) = open(path, file_options)?;
        // As in Python, only a file is rotated, not a pipe or a terminal such as /dev/stdout.
        let rotation = rotation.filter(|_| stream.is_regular());
        let (path, looked) = (path.to_owned(), Instant::now());
        Ok(RotatingFile {
            path,
            rotation,
            file_options,
            stream,
            length,
            looked,
            lost: None,
            unrotated: None,
            complaint: None,
        })
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        let (mut stream, length) = open(&self.path, self.file_options)?;
        stream.continue_from(&mut self.stream);
        (self.stream, self.length, self.lost) = (stream, length, None);
        Ok(())
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Writes a line. The error names the option and the path.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= CHECK_INTERVAL {
            self.looked = Instant::now();
            let there = fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
            if there != Some(self.stream.identity())
                && let Err(error) = self.open()
            {
                self.lost = Some((error.kind(), error.to_string()));
            }
        }
        if let Some((kind, text)) = &self.lost {
            return Err(io::Error::new(*kind, text.clone()));
        }
        if let Some(rotation) = self.rotation
            && self.length > 0
            && self.length + line.len() as u64 > rotation.max_bytes
            && self.unrotated.is_none_or(|at| at.elapsed() >= ROTATION_PAUSE)
        {
            self.try_to_rotate(rotation);
        }
        let written = self.stream.write(line);
        written.map_err(|error| {
            let text = format!("[DEFAULT] {}: {}: {error}", self.file_options.file, self.path.display());
            io::Error::new(error.kind(), text)
        })?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Returns the text about a rotation that failed since the last call. The lines are still written.
    pub(super) fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    /// Rotates the file. If this fails, lines go on to the full file, and the next attempt is made after a pause.
    fn try_to_rotate(&mut self, rotation: Rotation) {
        let Err(reason) = self.rotate(rotation) else {
            self.unrotated = None;
            return;
        };
        self.unrotated = Some(Instant::now());
        self.complaint = Some(format!(
            "[DEFAULT] {}: {}: the full file cannot be rotated, so it grows: {reason}; the next attempt is made in \
             {ROTATION_PAUSE:?} or later",
            self.file_options.file,
            self.path.display()
        ));
    }

    /// Renames `log` to `log.1`, `log.1` to `log.2`, and so on. The last file is lost.
    fn rotate(&mut self, rotation: Rotation) -> Result<(), String> {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        // A directory must not move up with the files.
        if let Some(other) = (1..=rotation.count).map(numbered).find(|path| path.is_dir()) {
            return Err(format!("{} is a directory; remove it", other.display()));
        }
        for n in (1..rotation.count).rev() {
            rename(&numbered(n), &numbered(n + 1))?;
        }
        let full = numbered(1);
        rename(&self.path, &full)?;
        self.open().map_err(|error| {
            // The name of the log should belong to the file with the lines.
            let _ = fs::rename(&full, &self.path);
            error.to_string()
        })
    }
}

/// Renames a file. A missing file is no error.
fn rename(from: &Path, to: &Path) -> Result<(), String> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{} cannot be renamed to {}: {error}", from.display(), to.display()))
        }
        _ => Ok(()),
    }
}

fn open(path: &Path, file_options: LogFileOptions) -> io::Result<(Stream, u64)> {
    let file =
        bounded_files::append(path, Some(FILE_MODE)).map_err(|error| blamed(path, file_options, &error))?;
    let length = file.metadata()?.len();
    Ok((Stream::new(file)?, length))
}

/// Checks whether [`open`] could open the file, without creating it.
pub(super) fn check_file(path: &Path, file_options: LogFileOptions) -> io::Result<()> {
    let can_be_created = || {
        let created = bounded_files::follow(path)?;
        access(directory(&created), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
    };
    let checked = match bounded_files::append(path, None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => can_be_created(),
    };
    checked.map_err(|error| blamed(path, file_options, &error))
}

/// Returns an error about a log file with the responsible option: that of the directory, if files cannot be
/// created in it.
fn blamed(path: &Path, file_options: LogFileOptions, error: &io::Error) -> io::Error {
    let directory = directory(path);
    let is_usable = directory.is_dir() && access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let option = if is_usable || path.exists() { file_options.file } else { file_options.directory };
    let reason = match error.kind() {
        _ if path.exists() => error.to_string(),
        io::ErrorKind::NotFound => why_not_in(directory).unwrap_or_else(|| NOT_THERE.to_owned()),
        _ => why_not_in(directory).unwrap_or_else(|| error.to_string()),
    };
    io::Error::new(error.kind(), format!("[DEFAULT] {option}: {}: {reason}", path.display()))
}

/// Why a file cannot be made in a directory that takes files.
const NOT_THERE: &str =
    "no file can be made there; if it is a link, it leads to a directory that does not exist";

/// Why no file can be made in a directory: what the system says about the file does not tell which part of its path is
/// wrong.
fn why_not_in(directory: &Path) -> Option<String> {
    let shown = directory.display();
    // the empty path is the working directory
    let there = directory.ancestors().find(|path| path.as_os_str().is_empty() || path.exists());
    if let Some(file) = there.filter(|path| !path.as_os_str().is_empty() && !path.is_dir()) {
        return Some(format!("{} is a file, not a directory; name a directory", file.display()));
    }
    if !directory.is_dir() {
        return Some(format!("the directory {shown} does not exist; create it for the user of the service"));
    }
    let refused = access(directory, Access::WRITE_OK | Access::EXEC_OK).err()?;
    Some(format!(
        "files cannot be made in the directory {shown}: {}; give it to the user of the service",
        io::Error::from(refused)
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const BOTH: LogFileOptions = LogFileOptions { directory: "log_dir", file: "log_file" };

    #[test]
    fn an_error_names_the_responsible_option() {
        let directory = scratch("blame");
        fs::write(directory.join("file"), "").unwrap();
        fs::create_dir(directory.join("directory")).unwrap();
        for (path, option, reason) in [
            ("missing/a.log", "log_dir", "/missing does not exist; create it"),
            ("missing/below/a.log", "log_dir", "/missing/below does not exist; create it"),
            ("file/a.log", "log_dir", "/file is a file, not a directory"),
            ("file/below/a.log", "log_dir", "/file is a file, not a directory"),
            ("directory", "log_file", "it is a directory; name a file"),
        ] {
            let path = directory.join(path);
            for error in [check_file(&path, BOTH).unwrap_err(), open(&path, BOTH).err().unwrap()] {
                let error = error.to_string();
                assert!(error.starts_with(&format!("[DEFAULT] {option}: ")), "{error}");
                assert!(error.contains(reason) && !error.contains("No such file"), "{error}");
            }
        }
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, directory.join(name)).unwrap();
            directory.join(name)
        };
        for (path, reason) in [
            (PathBuf::from("/proc/freezer.log"), "it is below /proc"),
            (link("/proc/sys/kernel/hostname", "kernel"), "it is below /proc"),
            (link("nowhere/a.log", "dangling"), "no file can be made there"),
            (link("dangling", "second"), "no file can be made there"),
            (link("loop", "loop"), "symbolic links"),
        ] {
            for error in [check_file(&path, BOTH).unwrap_err(), open(&path, BOTH).err().unwrap()] {
                let error = error.to_string();
                assert!(error.starts_with("[DEFAULT] log_file: ") && error.contains(reason), "{error}");
            }
        }
        check_file(&link("file-that-is-created", "usable"), BOTH).unwrap();
        fs::remove_dir_all(directory).unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("freezer-output-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_is_removed() {
        let directory = scratch("rotate");
        let path = directory.join("a.log");
        let mut file = RotatingFile::new(&path, Some(Rotation { max_bytes: 8, count: 2 }), BOTH).unwrap();
        for line in [b"11111\n", b"22222\n", b"33333\n", b"44444\n"] {
            file.write(line).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!([read("a.log"), read("a.log.1"), read("a.log.2")], ["44444\n", "33333\n", "22222\n"]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 3);
        fs::remove_dir_all(directory).unwrap();
    }

    /// Lets the pause after a failed rotation pass.
    fn pass_pause(file: &mut RotatingFile) {
        file.unrotated = file.unrotated.map(|at| at.checked_sub(ROTATION_PAUSE).unwrap());
    }

    #[test]
    fn a_rotation_that_fails_loses_no_line_and_is_reported_once_in_each_pause() {
        // Each creates the obstacle, or removes it.
        type Step = fn(&Path);
        let obstacles: [(&str, Step, Step); 4] = [
            (
                "directory",
                |at| fs::create_dir(at.join("a.log.1")).unwrap(),
                |at| {
                    fs::remove_dir(at.join("a.log.1")).unwrap();
                },
            ),
            (
                "full-directory",
                |at| fs::create_dir_all(at.join("a.log.2/below")).unwrap(),
                |at| fs::remove_dir_all(at.join("a.log.2")).unwrap(),
            ),
            // A process without a directory entry for the file, as after the move of the directory.
            (
                "moved",
                |at| fs::rename(at, at.with_extension("elsewhere")).unwrap(),
                |at| fs::rename(at.with_extension("elsewhere"), at).unwrap(),
            ),
            (
                "link",
                |at| {
                    fs::rename(at.join("a.log"), at.join("real.log")).unwrap();
                    fs::create_dir(at.join("a.log.1")).unwrap();
                    std::os::unix::fs::symlink("real.log", at.join("a.log")).unwrap();
                },
                |at| fs::remove_dir(at.join("a.log.1")).unwrap(),
            ),
        ];
        for (name, obstruct, clear) in obstacles {
            let directory = scratch(&format!("unrotatable-{name}"));
            let path = directory.join("a.log");
            let rotation = Some(Rotation { max_bytes: 8, count: 2 });
            let mut file = RotatingFile::new(&path, rotation, BOTH).unwrap();
            file.write(b"00000\n").unwrap();
            obstruct(&directory);
            // The test is not about a file that was moved away.
            file.looked = Instant::now() + CHECK_INTERVAL * 3600;
            let mut complaints = Vec::new();
            for pause in 0..2 {
                for line in 0..50 {
                    file.write(format!("{pause}-{line:03}\n").as_bytes()).unwrap();
                    complaints.extend(file.take_complaint());
                }
                assert_eq!(complaints.len(), pause + 1, "{name}: {complaints:?}");
                pass_pause(&mut file);
            }
            assert!(complaints[0].starts_with("[DEFAULT] log_file: "), "{complaints:?}");
            clear(&directory);
            let written = fs::read_to_string(&path).unwrap();
            assert_eq!(written.lines().count(), 101, "{name}: {written}");
            // It continues when the obstacle is gone.
            file.write(b"again\n").unwrap();
            assert_eq!(file.take_complaint(), None, "{name}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "again\n", "{name}");
            assert_eq!(fs::read_to_string(directory.join("a.log.1")).unwrap(), written, "{name}");
            fs::remove_dir_all(directory).unwrap();
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_created_again() {
        let directory = scratch("moved");
        let path = directory.join("a.log");
        let mut file = RotatingFile::new(&path, None, BOTH).unwrap();
        file.write(b"1\n").unwrap();
        fs::rename(&path, directory.join("a.log.1")).unwrap();
        file.write(b"2\n").unwrap();
        file.looked = file.looked.checked_sub(CHECK_INTERVAL).unwrap();
        file.write(b"3\n").unwrap();
        assert_eq!(fs::read_to_string(directory.join("a.log.1")).unwrap(), "1\n2\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_was_replaced_is_an_error_until_it_can_be_opened() {
        let directory = scratch("replaced");
        let path = directory.join("a.log");
        let mut file = RotatingFile::new(&path, None, BOTH).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        file.looked = file.looked.checked_sub(CHECK_INTERVAL).unwrap();
        for _ in 0..2 {
            let error = file.write(b"1\n").unwrap_err().to_string();
            assert!(error.contains("a.log: it is a directory"), "{error}");
        }
        fs::remove_dir(&path).unwrap();
        file.looked = file.looked.checked_sub(CHECK_INTERVAL).unwrap();
        file.write(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn created_files_are_readable_by_owner_and_group() {
        let directory = scratch("mode");
        let path = directory.join("a.log");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let mut file = RotatingFile::new(&path, Some(Rotation { max_bytes: 4, count: 1 }), BOTH).unwrap();
        assert_eq!(mode(&path) & 0o137, 0, "{:o}", mode(&path));
        file.write(b"1111\n").unwrap();
        file.write(b"2222\n").unwrap();
        assert_eq!(mode(&path) & 0o137, 0, "also after a rotation");
        // An existing file keeps its mode.
        let old = directory.join("old.log");
        fs::write(&old, "").unwrap();
        fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
        RotatingFile::new(&old, None, BOTH).unwrap();
        assert_eq!(mode(&old), 0o604);
        fs::remove_dir_all(directory).unwrap();
    }
}
