//! Destinations of lines: files, standard output and error, syslog, and the journal. `record.rs` has the
//! content of lines, `loggers.rs` selects the handlers, and `stream.rs` and `file.rs` write.
//!
//! If a destination does not take a line, an outage begins: it is reported once on standard error, and the missing lines are
//! counted. A line that no destination takes goes to standard error. The first line after the outage names the number.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use super::file::RotatingFile;
use super::loggers::Loggers;
use super::record::{self, LogRecord};
use super::stream::{Stream, print_to_stderr, unread};
use crate::config::{Facility, Form, Handler, LogSettings, LogTarget};

const SYSLOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";
/// A destination whose reader is slow is reported on standard error once in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// All destinations, and the loggers that write to them.
pub(super) struct Output {
    sinks: Mutex<Sinks>,
}

struct Sinks {
    program: &'static str,
    loggers: Loggers,
    sinks: Vec<Sink>,
    /// Standard error, which also gets the lines that no destination takes.
    stderr: Stream,
}

/// A destination with its format and its lowest level.
struct Sink {
    target: SinkTarget,
    level: LevelFilter,
    form: Form,
    outage: Option<MissingLines>,
    reported: Option<Instant>,
}

/// The lines of an outage: a time in which a destination takes no lines.
struct MissingLines {
    missing: u64,
    reason: String,
}

enum SinkTarget {
    Stdout(Stream),
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
        let mut sinks = Sinks::open(settings)?;
        let mut earlier = self.lock();
        sinks.continue_from(&mut earlier);
        *earlier = sinks;
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
        let Sinks { program, loggers, sinks, stderr } = &mut *sinks;
        if record.level() > loggers.level(&record.logger) {
            return;
        }
        let (mut is_taken, mut refused) = (false, None);
        for at in loggers.handlers(&record.logger) {
            if let Some(sink) = sinks.get_mut(at).filter(|sink| record.level() <= sink.level) {
                match sink.write(record, stderr, program) {
                    true => is_taken = true,
                    false => refused = Some(at),
                }
            }
        }
        if !is_taken && let Some(sink) = refused.and_then(|at| sinks.get(at)) {
            let _ = stderr.write(record.format_line(&sink.form).as_bytes());
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
        let (program, loggers) = (settings.program, Loggers(settings.loggers.clone()));
        Ok(Sinks { program, loggers, sinks, stderr: Stream::stderr()? })
    }

    /// Takes over outages and unfinished lines of destinations that stay.
    fn continue_from(&mut self, earlier: &mut Sinks) {
        self.stderr.continue_from(&mut earlier.stderr);
        for sink in &mut self.sinks {
            let mut same = earlier.sinks.iter_mut().filter_map(|earlier| {
                let is_same = sink.target.is_same(&mut earlier.target);
                is_same.then_some(earlier)
            });
            let Some(earlier) = same.next() else { continue };
            (sink.outage, sink.reported) = (earlier.outage.take(), earlier.reported);
            if let (Some(stream), Some(earlier)) = (sink.target.stream(), earlier.target.stream()) {
                stream.continue_from(earlier);
            }
        }
    }
}

impl Sink {
    fn open(handler: &Handler, settings: &LogSettings) -> io::Result<Sink> {
        let LogSettings { file_options, program, .. } = *settings;
        let sender = |facility| Sender { program, facility };
        let target = match &handler.target {
            LogTarget::Stdout => SinkTarget::Stdout(Stream::stdout()?),
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
        let outage = match &target {
            SinkTarget::Syslog(socket, _) | SinkTarget::Journal(socket, _) => socket.outage(),
            _ => None,
        };
        Ok(Sink { target, level: handler.level, form: handler.form.clone(), outage, reported: None })
    }

    /// Writes a line, and before it the number of lines that are missing. Returns whether the destination takes it.
    fn write(&mut self, record: &LogRecord<'_>, stderr: &mut Stream, program: &str) -> bool {
        if let Some(outage) = &mut self.outage {
            let note = record.note(format!(
                "lines missing before this line: {}, because this log did not take them: {}",
                outage.missing, outage.reason
            ));
            let is_over = outage.missing == 0 || self.target.write(&note, &self.form, stderr).is_ok();
            if !is_over {
                outage.missing += 1;
                return false;
            }
        }
        match self.target.write(record, &self.form, stderr) {
            Ok(()) => {
                self.outage = None;
                self.report_rotation(record, stderr);
                true
            }
            Err(error) => {
                self.begin_outage(&error, stderr, program);
                false
            }
        }
    }

    /// Writes a failed rotation to the log itself, which still takes lines.
    fn report_rotation(&mut self, record: &LogRecord<'_>, stderr: &mut Stream) {
        let SinkTarget::File(file) = &mut self.target else { return };
        if let Some(complaint) = file.take_complaint() {
            let _ = self.target.write(&record.note(complaint), &self.form, stderr);
        }
    }

    fn begin_outage(&mut self, error: &io::Error, stderr: &mut Stream, program: &str) {
        // A destination that is missing since the start has been reported.
        let is_known = self.outage.as_ref().is_some_and(|outage| outage.missing == 0);
        self.outage = Some(MissingLines { missing: 1, reason: error.to_string() });
        let is_slow = error.kind() == ErrorKind::WouldBlock
            && self.reported.is_some_and(|at| at.elapsed() < REPORT_INTERVAL);
        if is_known || is_slow || matches!(self.target, SinkTarget::Stderr) {
            return;
        }
        self.reported = Some(Instant::now());
        let warning = format!(
            "{program}: WARNING: {error}; until it takes lines again, those that no other log takes go to standard error\n"
        );
        let _ = stderr.write(warning.as_bytes());
    }
}

impl SinkTarget {
    fn write(&mut self, record: &LogRecord<'_>, form: &Form, stderr: &mut Stream) -> io::Result<()> {
        if matches!(self, SinkTarget::Nowhere) {
            return Ok(());
        }
        let line = record.format_line(form);
        let text = line.strip_suffix('\n').unwrap_or(&line).as_bytes();
        match self {
            SinkTarget::Stdout(stdout) => stdout
                .write(line.as_bytes())
                .map_err(|error| io::Error::new(error.kind(), format!("standard output: {error}"))),
            SinkTarget::Stderr => stderr.write(line.as_bytes()),
            SinkTarget::File(file) => file.write(line.as_bytes()),
            SinkTarget::Syslog(socket, sender) => socket.send(&syslog_message(*sender, record.level(), text)),
            SinkTarget::Journal(socket, sender) => {
                socket.send(&journal_entry(*sender, record.level(), &record.logger, text))
            }
            SinkTarget::Nowhere => Ok(()),
        }
    }

    /// Returns the stream of this destination alone.
    fn stream(&mut self) -> Option<&mut Stream> {
        match self {
            SinkTarget::Stdout(stdout) => Some(stdout),
            SinkTarget::File(file) => Some(file.stream()),
            _ => None,
        }
    }

    fn is_same(&mut self, other: &mut SinkTarget) -> bool {
        match (self.stream(), other.stream()) {
            (Some(one), Some(other)) => one.identity() == other.identity(),
            (None, None) => {
                matches!(
                    (self, other),
                    (SinkTarget::Stderr, SinkTarget::Stderr)
                        | (SinkTarget::Syslog(..), SinkTarget::Syslog(..))
                        | (SinkTarget::Journal(..), SinkTarget::Journal(..))
                )
            }
            _ => false,
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
            print_to_stderr(&format!(
                "{program}: WARNING: [DEFAULT] {option}: {}: {error}; lines are not sent there until it exists\n",
                path.display()
            ));
        });
        LogSocket { path: path.to_owned(), socket: socket.ok() }
    }

    /// Returns the outage of a socket that does not exist yet.
    fn outage(&self) -> Option<MissingLines> {
        self.socket.is_none().then(|| MissingLines { missing: 0, reason: String::new() })
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let sent = match &self.socket {
            Some(socket) => socket.send(message),
            None => Err(ErrorKind::NotConnected.into()),
        };
        let sent = match sent {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                self.socket = None;
                connect(&self.path).and_then(|socket| self.socket.insert(socket).send(message))
            }
            sent => sent,
        };
        sent.map(drop).map_err(|error| {
            let error = if error.kind() == ErrorKind::WouldBlock { unread() } else { error };
            io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
        })
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    // A full socket must not block requests.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs;

    use super::*;

    const SENDER: Sender = Sender { program: "freezer-manage", facility: Facility(19) };

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
    fn a_socket_reconnects() {
        let directory = scratch("socket");
        let path = directory.join("log");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut socket = LogSocket::open("freezer-api", "use_syslog", &path);
        socket.send(&syslog_message(SENDER, Level::WARN, b"a text")).unwrap();
        let expected = format!("<156>freezer-manage[{}]: a text", std::process::id());
        assert_eq!(receive(&server), expected.as_bytes());
        drop(server);
        fs::remove_file(&path).unwrap();
        socket.send(b"nobody listens").unwrap_err();
        let server = UnixDatagram::bind(&path).unwrap();
        socket.send(b"again").unwrap();
        assert_eq!(receive(&server), b"again");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_socket_may_be_created_later() {
        let directory = scratch("later");
        let path = directory.join("log");
        let mut socket = LogSocket::open("freezer-api", "use_syslog", &path);
        socket.send(b"nobody listens").unwrap_err();
        let server = UnixDatagram::bind(&path).unwrap();
        socket.send(b"a text").unwrap();
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
