//! Writes lines to files, pipes, sockets and terminals without waiting for a reader that does not read.
//!
//! A regular file takes every line at once. Anything else can be full until its reader reads. A write waits for this at most
//! [`WAIT`], and does so at most once in [`PAUSE`]; otherwise it fails at once, so the service continues to answer and to stop.
//! A line that was begun is finished before the next one, so lines stay whole. `output.rs` counts the failed lines.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a line waits for a reader.
const WAIT: Duration = Duration::from_millis(100);
/// How long no other line waits after a line has waited in vain.
const PAUSE: Duration = Duration::from_secs(10);
/// A pipe or socket that is ready takes this many bytes without waiting (`PIPE_BUF`).
const PIECE: usize = 4096;

/// A destination of lines.
pub(super) struct Stream {
    file: File,
    is_regular: bool,
    identity: (u64, u64),
    /// The end of a line that was begun.
    rest: Vec<u8>,
    waited: Option<Instant>,
}

impl Stream {
    /// Returns a stream for an open file. Unless it is a regular file, it should be open with `O_NONBLOCK`.
    pub(super) fn new(file: File) -> io::Result<Stream> {
        let found = file.metadata()?;
        let identity = (found.dev(), found.ino());
        Ok(Stream { file, is_regular: found.is_file(), identity, rest: Vec::new(), waited: None })
    }

    /// Returns standard output.
    pub(super) fn stdout() -> io::Result<Stream> {
        Stream::standard(&io::stdout(), "/proc/self/fd/1")
    }

    /// Returns standard error.
    pub(super) fn stderr() -> io::Result<Stream> {
        Stream::standard(&io::stderr(), "/proc/self/fd/2")
    }

    /// Opens a pipe or a terminal again, because `O_NONBLOCK` on the inherited descriptor would affect all programs that
    /// share it. The system may refuse this, for example after a change of the user. Then only `poll` prevents waiting.
    fn standard(fd: &impl AsFd, path: &str) -> io::Result<Stream> {
        let inherited = File::from(fd.as_fd().try_clone_to_owned()?);
        let kind = inherited.metadata()?.file_type();
        let can_be_opened = kind.is_fifo() || kind.is_char_device();
        let own = can_be_opened.then(|| bounded_files::append(Path::new(path), None).ok()).flatten();
        Stream::new(own.unwrap_or(inherited))
    }

    /// Returns device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Returns whether it is a regular file.
    pub(super) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// Takes over the state of an earlier stream to the same destination, including a line that was begun.
    pub(super) fn continue_from(&mut self, earlier: &mut Stream) {
        if self.identity == earlier.identity {
            self.rest = std::mem::take(&mut earlier.rest);
            self.waited = earlier.waited;
        }
    }

    /// Writes a line. A line of which only a part could be written counts as written: the next call writes its end first.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.rest.is_empty() {
            let mut rest = std::mem::take(&mut self.rest);
            let (written, result) = self.push(&rest);
            rest.drain(..written);
            self.rest = rest;
            result?;
        }
        let (written, result) = self.push(line);
        if written > 0 {
            self.rest = line.get(written..).unwrap_or_default().to_vec();
            return Ok(());
        }
        result
    }

    /// Writes as much as possible. Returns how much that was, and why it was not everything.
    fn push(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
            if !self.is_regular && !self.is_ready() {
                return (written, Err(unread()));
            }
            let piece = if self.is_regular { rest } else { rest.get(..PIECE).unwrap_or(rest) };
            match self.file.write(piece) {
                Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (written, Err(unread())),
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }

    /// Returns whether a write would not wait. An error, such as a closed pipe, is ready too.
    fn is_ready(&mut self) -> bool {
        let wait = match self.waited {
            Some(at) if at.elapsed() < PAUSE => Duration::ZERO,
            _ => WAIT,
        };
        let limit = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        let mut polled = [PollFd::new(&self.file, PollFlags::OUT)];
        let is_ready = poll(&mut polled, Some(&limit)).is_ok_and(|ready| ready > 0);
        if !is_ready && !wait.is_zero() {
            self.waited = Some(Instant::now());
        }
        is_ready
    }
}

/// Returns the error for a destination that is full. Its kind is [`ErrorKind::WouldBlock`].
pub(super) fn unread() -> io::Error {
    io::Error::new(ErrorKind::WouldBlock, "its reader does not read")
}

/// Writes a message of the program to standard error, if it takes the message.
pub(super) fn print_to_stderr(message: &str) {
    let _ = Stream::stderr().and_then(|mut stderr| stderr.write(message.as_bytes()));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Writes numbered lines of a length until one fails, and later more, to a destination whose reader reads late.
    fn lines_stay_whole(file: File, mut reader: impl Read + Send + 'static, length: usize) {
        let (sender, result) = channel();
        thread::spawn(move || {
            let mut stream = Stream::new(file).unwrap();
            let line = |n: usize| format!("{n:08}{}\n", "x".repeat(length));
            let (mut taken, mut n) = (Vec::new(), 0);
            let begun = Instant::now();
            while stream.write(line(n).as_bytes()).is_ok() {
                taken.push(n);
                n += 1;
            }
            for _ in 0..1000 {
                let error = stream.write(line(n).as_bytes()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
            let all = thread::spawn(move || {
                let mut text = String::new();
                reader.read_to_string(&mut text).unwrap();
                text
            });
            let end = n + 200;
            while n < end || !stream.rest.is_empty() {
                if stream.write(line(n).as_bytes()).is_ok() {
                    taken.push(n);
                }
                n += 1;
                thread::sleep(Duration::from_millis(1));
            }
            drop(stream);
            let expected: String = taken.into_iter().map(line).collect();
            sender.send(all.join().unwrap() == expected)
        });
        assert!(result.recv_timeout(LIMIT).unwrap());
    }

    #[test]
    fn lines_stay_whole_if_the_reader_does_not_read() {
        for length in [50, 5000, 100_000] {
            let (reader, writer) = io::pipe().unwrap();
            lines_stay_whole(File::from(OwnedFd::from(writer)), reader, length);
            let (reader, writer) = UnixStream::pair().unwrap();
            lines_stay_whole(File::from(OwnedFd::from(writer)), reader, length);
        }
    }

    #[test]
    fn a_closed_pipe_is_an_error_at_once() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut stream = Stream::new(File::from(OwnedFd::from(writer))).unwrap();
        assert_eq!(stream.write(b"line\n").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
