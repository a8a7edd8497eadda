#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::pipe::PipeLimits;

/// A directory for one test, which is deleted at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("bounded-files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the body in a thread, and fails if it does not end.
fn bounded<T: Send + 'static>(seconds: u64, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = channel();
    thread::spawn(move || sender.send(body()));
    result.recv_timeout(Duration::from_secs(seconds)).expect("it ends in time")
}

/// The result of each kind of access: reading at once, reading a stream, appending.
fn errors(path: &Path) -> [Option<String>; 3] {
    let path = path.to_owned();
    bounded(15, move || {
        let text = |result: Option<io::Error>| result.map(|error| error.to_string());
        [text(read(&path).err()), text(read_stream(&path).err()), text(append(&path, None).err())]
    })
}

#[test]
fn everything_that_is_not_a_file_is_named() {
    let scratch = Scratch::new("kinds");
    let fifo = scratch.fifo("fifo");
    let link = scratch.at("link");
    std::os::unix::fs::symlink(&fifo, &link).unwrap();
    for path in [fifo, link] {
        let [at_once, stream, appended] = errors(&path);
        assert_eq!(at_once.unwrap(), "it is a named pipe (FIFO); name a file");
        let stream = stream.unwrap();
        assert!(stream.contains("no program has opened it for writing within 2 s"), "{stream}");
        let appended = appended.unwrap();
        assert!(appended.contains("no program reads it; start that program first"), "{appended}");
    }
    let _listener = UnixListener::bind(scratch.at("socket")).unwrap();
    let (connected, _other) = UnixStream::pair().unwrap();
    for path in [scratch.at("socket"), PathBuf::from(format!("/dev/fd/{}", connected.as_raw_fd()))] {
        let [at_once, stream, appended] = errors(&path);
        assert_eq!(at_once.unwrap(), "it is a socket; name a file");
        assert_eq!(stream.unwrap(), "it is a socket; name a file");
        assert!(appended.unwrap().contains("leave the option empty to write to standard error"));
    }
    let directory = errors(&scratch.0).map(Option::unwrap);
    assert_eq!(directory, ["it is a directory; name a file"; 3]);
    for device in ["/dev/zero", "/dev/full", "/dev/random", "/dev/tty"] {
        let [at_once, stream, _] = errors(Path::new(device));
        for error in [at_once, stream] {
            assert_eq!(error.unwrap(), "it is a terminal or another device; name a file", "{device}");
        }
    }
}

#[test]
fn files_are_read_and_appended_to() {
    let scratch = Scratch::new("files");
    let path = scratch.at("file");
    assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(append(&path, None).unwrap_err().kind(), ErrorKind::NotFound);
    for _ in 0..2 {
        append(&path, Some(0o600)).unwrap().write_all(b"line\n").unwrap();
    }
    assert_eq!(read_to_string(&path).unwrap(), "line\nline\n");
    assert_eq!(read_stream(&path).unwrap(), b"line\nline\n");
    assert_eq!(errors(Path::new("/dev/null")), [None, None, None]);
    fs::write(&path, b"\xff").unwrap();
    assert!(read_to_string(&path).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let scratch = Scratch::new("large");
    let path = scratch.at("sparse");
    fs::File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
    for error in [read(&path).unwrap_err(), refusal(&path.metadata().unwrap()).unwrap()] {
        assert_eq!(error.to_string(), "it is larger than 64 MiB; name another file");
    }
    fs::File::create(&path).unwrap().set_len(LARGEST).unwrap();
    assert_eq!(read(&path).unwrap().len() as u64, LARGEST);
    assert!(refusal(&path.metadata().unwrap()).is_none());
}

/// Writes the parts to a path, with a pause before each.
fn write(path: &Path, pause: u64, parts: &'static [&'static str]) -> thread::JoinHandle<()> {
    let path = path.to_owned();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(pause));
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for part in parts {
            thread::sleep(Duration::from_millis(pause));
            file.write_all(part.as_bytes()).unwrap();
        }
    })
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let scratch = Scratch::new("pipe");
    for (pause, parts, expected) in
        [(0, &["a", "b"][..], "ab"), (500, &["a", "b", "c"], "abc"), (300, &[], "")]
    {
        let path = scratch.fifo(&format!("fifo-{pause}"));
        let writer = write(&path, pause, parts);
        // A program that opens the pipe and writes nothing cannot always be noticed.
        match bounded(15, move || read_stream_to_string(&path)) {
            Ok(content) => assert_eq!(content, expected),
            Err(error) => assert!(expected.is_empty(), "{error}"),
        }
        writer.join().unwrap();
    }
    // More than the pipe holds.
    let path = scratch.fifo("large");
    let into = path.clone();
    let writer = thread::spawn(move || fs::write(into, vec![b'x'; 1 << 20]).unwrap());
    assert_eq!(bounded(15, move || read_stream(&path)).unwrap().len(), 1 << 20);
    writer.join().unwrap();
}

#[test]
fn a_pipe_of_a_shell_is_read_to_its_end_and_is_empty_afterwards() {
    let (reader, mut writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        writer.write_all(b"content").unwrap();
    });
    for expected in ["content", "", ""] {
        let path = path.clone();
        let begun = Instant::now();
        assert_eq!(bounded(15, move || read_stream_to_string(&path)).unwrap(), expected);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    late.join().unwrap();
}

#[test]
fn a_program_that_does_not_end_its_output_is_given_up() {
    let scratch = Scratch::new("silent");
    let path = scratch.fifo("fifo");
    // Opening both ends does not wait.
    let mut held = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    held.write_all(b"[DEFAULT]\n").unwrap();
    let error = bounded(15, move || read_stream(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("has not written everything within 5 s"), "{error}");
    // A program that always writes a little.
    let endless = scratch.fifo("endless");
    let (reader, _) = open(&endless).unwrap();
    thread::spawn(move || {
        let mut file = append(&endless, None).unwrap();
        while file.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let limits = PipeLimits { whole: Duration::from_secs(1), ..pipe::LIMITS };
    let error = bounded(15, move || pipe::read(reader, &limits)).unwrap_err();
    assert!(error.to_string().contains("has not written everything within 1 s"), "{error}");
}

#[test]
fn a_full_pipe_refuses_lines_until_its_reader_reads() {
    let scratch = Scratch::new("append");
    let path = scratch.fifo("fifo");
    let (mut reader, _) = open(&path).unwrap();
    let mut file = append(&path, Some(0o600)).unwrap();
    let error = bounded(15, move || {
        let error = file.write_all(&vec![b'x'; 200_000]).unwrap_err();
        let mut buffer = vec![0; 200_000];
        assert!(reader.read(&mut buffer).unwrap() > 0);
        file.write_all(b"line").unwrap();
        error
    });
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn links_are_followed_to_missing_files() {
    let scratch = Scratch::new("links");
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, scratch.at(name)).unwrap();
    for (target, name) in [
        ("missing", "one"),
        ("one", "two"),
        ("/nowhere/at/all", "three"),
        ("loop", "loop"),
        ("left", "right"),
        ("right", "left"),
    ] {
        link(target, name);
    }
    assert_eq!(follow(&scratch.at("missing")).unwrap(), scratch.at("missing"));
    assert_eq!(follow(&scratch.at("one")).unwrap(), scratch.at("missing"));
    assert_eq!(follow(&scratch.at("two")).unwrap(), scratch.at("missing"));
    assert_eq!(follow(&scratch.at("three")).unwrap(), Path::new("/nowhere/at/all"));
    for name in ["loop", "left", "right"] {
        assert!(follow(&scratch.at(name)).is_err(), "{name}");
    }
}

#[test]
fn files_of_the_kernel_take_no_lines() {
    let scratch = Scratch::new("kernel");
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, scratch.at(name)).unwrap();
    link("/proc/kmsg", "kmsg");
    link("/proc/missing", "missing");
    link("/proc", "directory");
    let at = |name: &str| scratch.at(name);
    for path in [
        "/proc/kmsg".into(),
        "/proc/self/comm".into(),
        "/proc/missing".into(),
        at("kmsg"),
        at("missing"),
        at("directory/kmsg"),
    ] {
        let error = append(&path, Some(0o600)).unwrap_err().to_string();
        assert!(error.contains("it is below /proc"), "{}: {error}", path.display());
    }
    let file = fs::File::create(at("file")).unwrap();
    for process in ["self", "thread-self", &std::process::id().to_string()] {
        append(Path::new(&format!("/proc/{process}/fd/{}", file.as_raw_fd())), None).unwrap();
    }
}

#[test]
fn a_path_that_cannot_name_anything_is_explained() {
    let scratch = Scratch::new("impossible");
    let at = |name: &str| scratch.at(name);
    std::os::unix::fs::symlink("loop", at("loop")).unwrap();
    std::os::unix::fs::symlink("missing/file", at("dangling")).unwrap();
    fs::write(at("file"), "").unwrap();
    for (path, reason) in [
        (at("loop"), "lead to each other"),
        (at("loop/below"), "lead to each other"),
        (at(&"x".repeat(300)), "longer than the system allows"),
        (at(&"x/".repeat(3000)), "longer than the system allows"),
        (at("file/below"), "not a directory"),
        (at("a\0b"), "NUL character"),
    ] {
        let error = impossible(&path).unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    }
    for path in [at("file"), at("missing"), at("missing/below"), at("dangling"), scratch.0.clone()] {
        assert!(impossible(&path).is_none(), "{}", path.display());
    }
}

#[test]
fn pipes_of_the_process_can_be_read_once() {
    let scratch = Scratch::new("once");
    fs::write(scratch.at("file"), "").unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    let file = fs::File::open(scratch.at("file")).unwrap();
    for prefix in ["/dev/fd", "/proc/self/fd"] {
        assert!(is_read_once(Path::new(&format!("{prefix}/{}", reader.as_raw_fd()))));
        assert!(!is_read_once(Path::new(&format!("{prefix}/{}", file.as_raw_fd()))));
    }
    for path in [scratch.fifo("fifo"), scratch.at("file"), scratch.at("missing"), scratch.0.clone()] {
        assert!(!is_read_once(&path), "{}", path.display());
    }
}

#[test]
fn the_start_of_a_large_file_is_read() {
    let scratch = Scratch::new("start");
    let path = scratch.at("sparse");
    fs::write(&path, "SQLite format 3\0").unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(LARGEST + 1).unwrap();
    assert_eq!(read_start(&path, 6).unwrap(), b"SQLite");
    assert!(read_start(&scratch.fifo("fifo"), 6).is_err());
}
