//! Where lines go: files, standard output and error, syslog, journal. What stands in them is `record.rs`; which loggers
//! write where, `loggers.rs`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use super::loggers::Loggers;
use super::record::{self, Record};
use crate::config::{Facility, Form, Handler, LogSettings, NamedBy, Place, Rotation};

const SYSLOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The name that lines have in syslog and journal.
const PROGRAM: &str = "freezer-api";
/// Who may read a file that is made here: its owner and its group. The umask can take more away.
const FILE_MODE: u32 = 0o640;
/// How often a file is looked at: whether somebody has moved it away.
const LOOK: Duration = Duration::from_secs(1);

/// All places, and which loggers write to which of them.
pub(super) struct Output {
    places: Mutex<Places>,
}

struct Places {
    loggers: Loggers,
    sinks: Vec<Sink>,
}

/// A place, with the form of its lines and the least level.
struct Sink {
    target: Target,
    level: LevelFilter,
    form: Form,
}

enum Target {
    Stdout,
    Stderr,
    File(LogFile),
    Syslog(Socket, Facility),
    Journal(Socket, Facility),
    Nowhere,
}

impl Output {
    pub(super) fn open(settings: &LogSettings) -> io::Result<Output> {
        Ok(Output { places: Mutex::new(Places::open(settings)?) })
    }

    pub(super) fn reopen(&self, settings: &LogSettings) -> io::Result<()> {
        let places = Places::open(settings)?;
        *self.lock() = places;
        Ok(())
    }

    pub(super) fn reopen_file(&self) -> io::Result<()> {
        self.lock().sinks.iter_mut().try_for_each(|sink| match &mut sink.target {
            Target::File(file) => file.open(),
            _ => Ok(()),
        })
    }

    /// Writes a line everywhere where its logger does. A place that does not take it does not keep it from the others,
    /// and a request does not fail because of it.
    pub(super) fn write(&self, record: &Record<'_>) {
        let mut places = self.lock();
        let Places { loggers, sinks } = &mut *places;
        if record.level() > loggers.level(&record.logger) {
            return;
        }
        for at in loggers.handlers(&record.logger) {
            if let Some(sink) = sinks.get_mut(at).filter(|sink| record.level() <= sink.level) {
                sink.target.write(record, &sink.form);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Places> {
        // a panic while a line was written leaves at worst half a line
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn open(settings: &LogSettings) -> io::Result<Places> {
        let open = |handler| Sink::open(handler, settings.named_by);
        let sinks = settings.handlers.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let mut places = Places { loggers: Loggers(settings.loggers.clone()), sinks };
        places.speak_up(settings);
        Ok(places)
    }

    /// If every place is a socket that is not there, lines go to standard error as well, so that they are not lost.
    fn speak_up(&mut self, settings: &LogSettings) {
        let is_mute = |sink: &Sink| match &sink.target {
            Target::Syslog(socket, _) | Target::Journal(socket, _) => socket.socket.is_none(),
            _ => false,
        };
        if self.sinks.is_empty() || !self.sinks.iter().all(is_mute) {
            return;
        }
        let form = settings.handlers.first().map_or(Form::Json, |handler| handler.form.clone());
        let at = self.sinks.len();
        self.sinks.push(Sink { target: Target::Stderr, level: LevelFilter::TRACE, form });
        self.loggers.add_to_root(at);
    }
}

impl Sink {
    fn open(handler: &Handler, named_by: NamedBy) -> io::Result<Sink> {
        let target = match &handler.place {
            Place::Stdout => Target::Stdout,
            Place::Stderr => Target::Stderr,
            Place::File(path, rotation) => Target::File(LogFile::new(path, *rotation, named_by)?),
            Place::Syslog(facility) => {
                Target::Syslog(Socket::open("use_syslog", Path::new(SYSLOG)), *facility)
            }
            Place::Journal(facility) => {
                Target::Journal(Socket::open("use_journal", Path::new(JOURNAL)), *facility)
            }
            Place::Nowhere => Target::Nowhere,
        };
        Ok(Sink { target, level: handler.level, form: handler.form.clone() })
    }
}

impl Target {
    fn write(&mut self, record: &Record<'_>, form: &Form) {
        if matches!(self, Target::Nowhere) {
            return;
        }
        let line = record.written(form);
        let text = line.strip_suffix('\n').unwrap_or(&line).as_bytes();
        match self {
            Target::Stdout => drop(io::stdout().lock().write_all(line.as_bytes())),
            Target::Stderr => drop(io::stderr().lock().write_all(line.as_bytes())),
            Target::File(file) => drop(file.write(line.as_bytes())),
            Target::Syslog(socket, facility) => socket.send(&syslog_message(*facility, record.level(), text)),
            Target::Journal(socket, facility) => {
                socket.send(&journal_entry(*facility, record.level(), &record.logger, text));
            }
            Target::Nowhere => {}
        }
    }
}

fn named(option: &str, error: &io::Error, path: &str) -> io::Error {
    io::Error::new(error.kind(), format!("[DEFAULT] {option}: {path}: {error}"))
}

/// RFC 3164 without a time: the receiver has its own, in its own zone.
fn syslog_message(facility: Facility, level: Level, text: &[u8]) -> Vec<u8> {
    let priority = facility.0 * 8 + severity(level);
    let mut message = format!("<{priority}>{PROGRAM}[{}]: ", std::process::id()).into_bytes();
    message.extend_from_slice(text);
    message
}

/// systemd's native protocol; the fields are those of oslo.log's journal handler.
fn journal_entry(facility: Facility, level: Level, logger: &str, text: &[u8]) -> Vec<u8> {
    let mut entry = format!(
        "PRIORITY={}\nSYSLOG_FACILITY={}\nSYSLOG_IDENTIFIER={PROGRAM}\nLOGGER_NAME={}\nLOGGER_LEVEL={}\nMESSAGE\n",
        severity(level),
        facility.0,
        logger,
        record::level(level),
    )
    .into_bytes();
    // with its length before it, a text may have line breaks
    entry.extend_from_slice(&(text.len() as u64).to_le_bytes());
    entry.extend_from_slice(text);
    entry.push(b'\n');
    entry
}

/// RFC 5424, section 6.2.1.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// A local datagram socket, connected again when the other side was, and later if the other side is not there yet.
struct Socket {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Socket {
    /// Connects, or says once on standard error that the other side is not there.
    fn open(option: &str, path: &Path) -> Socket {
        let socket = connect(path).inspect_err(|error| {
            let warning = format!(
                "{PROGRAM}: WARNING: [DEFAULT] {option}: {}: {error}; nothing is sent there until it is there\n",
                path.display()
            );
            let _ = io::stderr().lock().write_all(warning.as_bytes());
        });
        Socket { path: path.to_owned(), socket: socket.ok() }
    }

    fn send(&mut self, message: &[u8]) {
        let sent = self.socket.as_ref().map(|socket| socket.send(message));
        let again = match sent {
            Some(Ok(_)) => false,
            Some(Err(error)) => error.kind() != io::ErrorKind::WouldBlock,
            None => true,
        };
        if again {
            self.socket = connect(&self.path).ok();
            if let Some(socket) = &self.socket {
                let _ = socket.send(message);
            }
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    // a full socket must not hold up requests: the line is lost
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The log file, opened again when it was moved away, and moved aside when it is full.
struct LogFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    named_by: NamedBy,
    file: File,
    length: u64,
    identity: (u64, u64),
    looked: Instant,
}

impl LogFile {
    fn new(path: &Path, rotation: Option<Rotation>, named_by: NamedBy) -> io::Result<LogFile> {
        let (file, length, identity) = open(path, named_by)?;
        let looked = Instant::now();
        Ok(LogFile { path: path.to_owned(), rotation, named_by, file, length, identity, looked })
    }

    fn open(&mut self) -> io::Result<()> {
        (self.file, self.length, self.identity) = open(&self.path, self.named_by)?;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            let there = fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
            if there != Some(self.identity) {
                // where it cannot be opened, the moved file is better than none
                let _ = self.open();
            }
        }
        if let Some(rotation) = self.rotation
            && self.length > 0
            && self.length + line.len() as u64 > rotation.max_bytes
        {
            self.rotate(rotation);
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// `log` becomes `log.1`, `log.1` becomes `log.2`, and so on; the last is lost.
    fn rotate(&mut self, rotation: Rotation) {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..rotation.count).rev() {
            let _ = fs::rename(numbered(n), numbered(n + 1));
        }
        let _ = fs::rename(&self.path, numbered(1));
        let _ = self.open();
    }
}

fn open(path: &Path, named_by: NamedBy) -> io::Result<(File, u64, (u64, u64))> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| blamed(path, named_by, &error))?;
    let metadata = file.metadata()?;
    Ok((file, metadata.len(), (metadata.dev(), metadata.ino())))
}

/// Whether [`open`] could open the file, without creating it.
pub(super) fn check_file(path: &Path, named_by: NamedBy) -> io::Result<()> {
    let checked = match OpenOptions::new().append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => access(directory(path), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from),
    };
    checked.map_err(|error| blamed(path, named_by, &error))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An error about a log file with the option that is wrong: that of the directory if files cannot be made in it.
fn blamed(path: &Path, named_by: NamedBy, error: &io::Error) -> io::Error {
    let directory = directory(path);
    let is_usable = directory.is_dir() && access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let option = if is_usable || path.exists() { named_by.file } else { named_by.directory };
    named(option, error, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const BOTH: NamedBy = NamedBy { directory: "log_dir", file: "log_file" };

    #[test]
    fn an_error_names_the_option_that_is_wrong() {
        let directory = scratch("blame");
        fs::write(directory.join("file"), "").unwrap();
        fs::create_dir(directory.join("directory")).unwrap();
        for (path, option) in [
            ("missing/a.log", "[DEFAULT] log_dir: "),
            ("file/a.log", "[DEFAULT] log_dir: "),
            ("directory", "[DEFAULT] log_file: "),
        ] {
            let path = directory.join(path);
            for error in [check_file(&path, BOTH).unwrap_err(), open(&path, BOTH).unwrap_err()] {
                assert!(error.to_string().starts_with(option), "{error}");
            }
        }
        fs::remove_dir_all(directory).unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("freezer-output-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn receive(socket: &UnixDatagram) -> Vec<u8> {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    #[test]
    fn a_full_file_is_moved_aside_and_the_oldest_is_lost() {
        let directory = scratch("rotate");
        let path = directory.join("a.log");
        let mut file = LogFile::new(&path, Some(Rotation { max_bytes: 8, count: 2 }), BOTH).unwrap();
        for line in [b"11111\n", b"22222\n", b"33333\n", b"44444\n"] {
            file.write(line).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!([read("a.log"), read("a.log.1"), read("a.log.2")], ["44444\n", "33333\n", "22222\n"]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 3);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let directory = scratch("moved");
        let path = directory.join("a.log");
        let mut file = LogFile::new(&path, None, BOTH).unwrap();
        file.write(b"1\n").unwrap();
        fs::rename(&path, directory.join("a.log.1")).unwrap();
        file.write(b"2\n").unwrap();
        file.looked = file.looked.checked_sub(LOOK).unwrap();
        file.write(b"3\n").unwrap();
        assert_eq!(fs::read_to_string(directory.join("a.log.1")).unwrap(), "1\n2\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn files_that_are_made_are_for_owner_and_group() {
        let directory = scratch("mode");
        let path = directory.join("a.log");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let mut file = LogFile::new(&path, Some(Rotation { max_bytes: 4, count: 1 }), BOTH).unwrap();
        assert_eq!(mode(&path) & 0o137, 0, "{:o}", mode(&path));
        file.write(b"1111\n").unwrap();
        file.write(b"2222\n").unwrap();
        assert_eq!(mode(&path) & 0o137, 0, "also after a rotation");
        // a file that is there keeps its mode
        let old = directory.join("old.log");
        fs::write(&old, "").unwrap();
        fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
        LogFile::new(&old, None, BOTH).unwrap();
        assert_eq!(mode(&old), 0o604);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_socket_is_found_again() {
        let directory = scratch("socket");
        let path = directory.join("log");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut socket = Socket::open("use_syslog", &path);
        socket.send(&syslog_message(Facility(19), Level::WARN, b"a text"));
        let expected = format!("<156>freezer-api[{}]: a text", std::process::id());
        assert_eq!(receive(&server), expected.as_bytes());
        drop(server);
        fs::remove_file(&path).unwrap();
        socket.send(b"nobody listens");
        let server = UnixDatagram::bind(&path).unwrap();
        socket.send(b"again");
        assert_eq!(receive(&server), b"again");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_socket_may_come_later() {
        let directory = scratch("later");
        let path = directory.join("log");
        let mut socket = Socket::open("use_syslog", &path);
        socket.send(b"nobody listens");
        let server = UnixDatagram::bind(&path).unwrap();
        socket.send(b"a text");
        assert_eq!(receive(&server), b"a text");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn entries_of_the_journal() {
        let entry = journal_entry(Facility(1), Level::ERROR, "freezer_api.api", b"two\nlines");
        let head = "PRIORITY=3\nSYSLOG_FACILITY=1\nSYSLOG_IDENTIFIER=freezer-api\nLOGGER_NAME=freezer_api.api\n\
                    LOGGER_LEVEL=ERROR\nMESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\n";
        assert_eq!(String::from_utf8(entry).unwrap(), head);
    }
}
