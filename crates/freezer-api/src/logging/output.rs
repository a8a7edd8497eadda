//! Destinations of lines: files, standard output and error, syslog, and the journal. `record.rs` has the
//! content of lines, and `loggers.rs` selects the handlers.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use super::loggers::Loggers;
use super::record::{self, LogRecord};
use crate::config::{Facility, Form, Handler, LogFileOptions, LogSettings, LogTarget, Rotation};

const SYSLOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Mode of created files: readable by owner and group. The umask can restrict it further.
const FILE_MODE: u32 = 0o640;
/// How often the service checks whether a file was moved away.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// All destinations, and the loggers that write to them.
pub(super) struct Output {
    sinks: Mutex<Sinks>,
}

struct Sinks {
    loggers: Loggers,
    sinks: Vec<Sink>,
}

/// A destination with its format and its lowest level.
struct Sink {
    target: SinkTarget,
    level: LevelFilter,
    form: Form,
}

enum SinkTarget {
    Stdout,
    Stderr,
    File(RotatingFile),
    Syslog(LogSocket, Sender),
    Journal(LogSocket, Sender),
    Nowhere,
}

/// What syslog and journal say about the sender of a line.
#[derive(Clone, Copy)]
struct Sender {
    program: &'static str,
    facility: Facility,
}

impl Output {
    pub(super) fn open(settings: &LogSettings) -> io::Result<Output> {
        Ok(Output { sinks: Mutex::new(Sinks::open(settings)?) })
    }

    pub(super) fn reopen(&self, settings: &LogSettings) -> io::Result<()> {
        let sinks = Sinks::open(settings)?;
        *self.lock() = sinks;
        Ok(())
    }

    pub(super) fn reopen_file(&self) -> io::Result<()> {
        self.lock().sinks.iter_mut().try_for_each(|sink| match &mut sink.target {
            SinkTarget::File(file) => file.open(),
            _ => Ok(()),
        })
    }

    /// Writes a line to all destinations of its logger. A failing destination does not affect the others, and
    /// a request does not fail because of it.
    pub(super) fn write(&self, record: &LogRecord<'_>) {
        let mut sinks = self.lock();
        let Sinks { loggers, sinks } = &mut *sinks;
        if record.level() > loggers.level(&record.logger) {
            return;
        }
        for at in loggers.handlers(&record.logger) {
            if let Some(sink) = sinks.get_mut(at).filter(|sink| record.level() <= sink.level) {
                sink.target.write(record, &sink.form);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sinks> {
        // A panic while writing leaves at worst half a line.
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sinks {
    fn open(settings: &LogSettings) -> io::Result<Sinks> {
        let open = |handler| Sink::open(handler, settings);
        let sinks = settings.handlers.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let mut sinks = Sinks { loggers: Loggers(settings.loggers.clone()), sinks };
        sinks.add_stderr_if_needed(settings);
        Ok(sinks)
    }

    /// If all destinations are sockets that do not exist, also writes lines to standard error, so that they
    /// are not lost.
    fn add_stderr_if_needed(&mut self, settings: &LogSettings) {
        let is_mute = |sink: &Sink| match &sink.target {
            SinkTarget::Syslog(socket, _) | SinkTarget::Journal(socket, _) => socket.socket.is_none(),
            _ => false,
        };
        if self.sinks.is_empty() || !self.sinks.iter().all(is_mute) {
            return;
        }
        let form = settings.handlers.first().map_or(Form::Json, |handler| handler.form.clone());
        let at = self.sinks.len();
        self.sinks.push(Sink { target: SinkTarget::Stderr, level: LevelFilter::TRACE, form });
        self.loggers.add_to_root(at);
    }
}

impl Sink {
    fn open(handler: &Handler, settings: &LogSettings) -> io::Result<Sink> {
        let LogSettings { file_options, program, .. } = *settings;
        let sender = |facility| Sender { program, facility };
        let target = match &handler.target {
            LogTarget::Stdout => SinkTarget::Stdout,
            LogTarget::Stderr => SinkTarget::Stderr,
            LogTarget::File(path, rotation) => {
                SinkTarget::File(RotatingFile::new(path, *rotation, file_options)?)
            }
            LogTarget::Syslog(facility) => {
                let socket = LogSocket::open(program, "use_syslog", Path::new(SYSLOG));
                SinkTarget::Syslog(socket, sender(*facility))
            }
            LogTarget::Journal(facility) => {
                let socket = LogSocket::open(program, "use_journal", Path::new(JOURNAL));
                SinkTarget::Journal(socket, sender(*facility))
            }
            LogTarget::Nowhere => SinkTarget::Nowhere,
        };
        Ok(Sink { target, level: handler.level, form: handler.form.clone() })
    }
}

impl SinkTarget {
    fn write(&mut self, record: &LogRecord<'_>, form: &Form) {
        if matches!(self, SinkTarget::Nowhere) {
            return;
        }
        let line = record.format_line(form);
        let text = line.strip_suffix('\n').unwrap_or(&line).as_bytes();
        match self {
            SinkTarget::Stdout => drop(io::stdout().lock().write_all(line.as_bytes())),
            SinkTarget::Stderr => drop(io::stderr().lock().write_all(line.as_bytes())),
            SinkTarget::File(file) => drop(file.write(line.as_bytes())),
            SinkTarget::Syslog(socket, sender) => socket.send(&syslog_message(*sender, record.level(), text)),
            SinkTarget::Journal(socket, sender) => {
                socket.send(&journal_entry(*sender, record.level(), &record.logger, text));
            }
            SinkTarget::Nowhere => {}
        }
    }
}

/// RFC 3164 without a time, because the receiver adds its own in its own time zone.
fn syslog_message(Sender { program, facility }: Sender, level: Level, text: &[u8]) -> Vec<u8> {
    let priority = facility.0 * 8 + severity(level);
    let mut message = format!("<{priority}>{program}[{}]: ", std::process::id()).into_bytes();
    message.extend_from_slice(text);
    message
}

/// systemd's native protocol. The fields are those of oslo.log's journal handler.
fn journal_entry(Sender { program, facility }: Sender, level: Level, logger: &str, text: &[u8]) -> Vec<u8> {
    let mut entry = format!(
        "PRIORITY={}\nSYSLOG_FACILITY={}\nSYSLOG_IDENTIFIER={program}\nLOGGER_NAME={}\nLOGGER_LEVEL={}\nMESSAGE\n",
        severity(level),
        facility.0,
        logger,
        record::level(level),
    )
    .into_bytes();
    // A text that follows its length may contain line breaks.
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

/// A local datagram socket. It reconnects after the other side was restarted, and connects later if the other
/// side does not exist yet.
struct LogSocket {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl LogSocket {
    /// Connects, or reports once on standard error that the other side does not exist.
    fn open(program: &str, option: &str, path: &Path) -> LogSocket {
        let socket = connect(path).inspect_err(|error| {
            let warning = format!(
                "{program}: WARNING: [DEFAULT] {option}: {}: {error}; lines are not sent there until it exists\n",
                path.display()
            );
            let _ = io::stderr().lock().write_all(warning.as_bytes());
        });
        LogSocket { path: path.to_owned(), socket: socket.ok() }
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
    // A full socket must not block requests, so the line is lost.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The log file. It is opened again after it was moved away, and renamed when it is full.
struct RotatingFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    file_options: LogFileOptions,
    file: File,
    length: u64,
    identity: (u64, u64),
    looked: Instant,
}

impl RotatingFile {
    fn new(
        path: &Path,
        rotation: Option<Rotation>,
        file_options: LogFileOptions,
    ) -> io::Result<RotatingFile> {
        let (file, length, identity) = open(path, file_options)?;
        // As in Python, only a file is rotated, not a pipe or a terminal such as /dev/stdout.
        let rotation = rotation.filter(|_| file.metadata().is_ok_and(|found| found.is_file()));
        let looked = Instant::now();
        Ok(RotatingFile { path: path.to_owned(), rotation, file_options, file, length, identity, looked })
    }

    fn open(&mut self) -> io::Result<()> {
        (self.file, self.length, self.identity) = open(&self.path, self.file_options)?;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= CHECK_INTERVAL {
            self.looked = Instant::now();
            let there = fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
            if there != Some(self.identity) {
                // If the file cannot be opened, the moved file stays in use.
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

    /// Renames `log` to `log.1`, `log.1` to `log.2`, and so on. The last file is lost.
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

fn open(path: &Path, file_options: LogFileOptions) -> io::Result<(File, u64, (u64, u64))> {
    let file =
        bounded_files::append(path, Some(FILE_MODE)).map_err(|error| blamed(path, file_options, &error))?;
    let metadata = file.metadata()?;
    Ok((file, metadata.len(), (metadata.dev(), metadata.ino())))
}

/// Checks whether [`open`] could open the file, without creating it.
pub(super) fn check_file(path: &Path, file_options: LogFileOptions) -> io::Result<()> {
    let checked = match bounded_files::append(path, None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => access(directory(path), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from),
    };
    checked.map_err(|error| blamed(path, file_options, &error))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

    const SENDER: Sender = Sender { program: "freezer-manage", facility: Facility(19) };
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
            for error in [check_file(&path, BOTH).unwrap_err(), open(&path, BOTH).unwrap_err()] {
                let error = error.to_string();
                assert!(error.starts_with(&format!("[DEFAULT] {option}: ")), "{error}");
                assert!(error.contains(reason) && !error.contains("No such file"), "{error}");
            }
        }
        // in /proc, no file can be made, even by root
        let error = open(Path::new("/proc/freezer.log"), BOTH).unwrap_err().to_string();
        assert!(error.contains("/proc/freezer.log: no file can be made there"), "{error}");
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

    #[test]
    fn a_socket_reconnects() {
        let directory = scratch("socket");
        let path = directory.join("log");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut socket = LogSocket::open("freezer-api", "use_syslog", &path);
        socket.send(&syslog_message(SENDER, Level::WARN, b"a text"));
        let expected = format!("<156>freezer-manage[{}]: a text", std::process::id());
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
    fn a_socket_may_be_created_later() {
        let directory = scratch("later");
        let path = directory.join("log");
        let mut socket = LogSocket::open("freezer-api", "use_syslog", &path);
        socket.send(b"nobody listens");
        let server = UnixDatagram::bind(&path).unwrap();
        socket.send(b"a text");
        assert_eq!(receive(&server), b"a text");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn format_of_journal_entries() {
        let entry = journal_entry(SENDER, Level::ERROR, "freezer_api.api", b"two\nlines");
        let head = "PRIORITY=3\nSYSLOG_FACILITY=19\nSYSLOG_IDENTIFIER=freezer-manage\nLOGGER_NAME=freezer_api.api\n\
                    LOGGER_LEVEL=ERROR\nMESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\n";
        assert_eq!(String::from_utf8(entry).unwrap(), head);
    }
}
