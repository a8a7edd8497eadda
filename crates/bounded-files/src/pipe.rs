//! Reads a pipe to its end, with time limits for the program at its other end.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::LARGEST;
use crate::kind::too_large;

/// Time limits for the program at the other end.
pub(crate) struct PipeLimits {
    /// How long to wait until it opens a named pipe.
    pub(crate) no_writer: Duration,
    /// The longest time without content while it holds the pipe open.
    pub(crate) silence: Duration,
    /// The limit for the whole content.
    pub(crate) whole: Duration,
}

pub(crate) const LIMITS: PipeLimits = PipeLimits {
    no_writer: Duration::from_secs(2),
    silence: Duration::from_secs(5),
    whole: Duration::from_secs(20),
};

/// Reads a pipe that was opened with `O_NONBLOCK`.
pub(crate) fn read(mut file: File, limits: &PipeLimits) -> io::Result<Vec<u8>> {
    let PipeLimits { no_writer, silence, whole } = *limits;
    let begun = Instant::now();
    let mut last = begun;
    let (mut content, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let end = match file.read(&mut buffer) {
            // Without a program at the other end. Either it has closed the pipe, or none has opened it yet.
            Ok(0) if events(&file, Duration::ZERO)?.contains(PollFlags::HUP) => return Ok(content),
            Ok(0) => begun + no_writer,
            Ok(length) => {
                content.extend_from_slice(buffer.get(..length).unwrap_or_default());
                if content.len() as u64 > LARGEST {
                    return Err(too_large());
                }
                last = Instant::now();
                last + silence
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => last + silence,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let left = end.min(begun + whole).saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_slow(end == begun + no_writer, begun.elapsed()));
        }
        events(&file, left)?;
    }
}

/// Waits until the pipe has content or its other end was closed, for at most `limit`.
fn events(file: &File, limit: Duration) -> io::Result<PollFlags> {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    match poll(&mut polled, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(polled.first().map_or(PollFlags::empty(), PollFd::revents))
}

fn too_slow(is_unopened: bool, waited: Duration) -> io::Error {
    let seconds = waited.as_secs();
    let text = match is_unopened {
        true => format!(
            "it is a named pipe (FIFO), and no program has opened it for writing within {seconds} s; start that program \
             first, or name a file"
        ),
        false => format!(
            "it is a pipe, and the program at its other end has not written everything within {seconds} s; write its output \
             to a file, and name this file"
        ),
    };
    io::Error::new(ErrorKind::TimedOut, text)
}
