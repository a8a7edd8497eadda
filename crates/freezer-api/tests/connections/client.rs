//! A client that sends arbitrary bytes and reads answers from the connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Time limit for each read.
const TIME_LIMIT: Duration = Duration::from_secs(60);

pub struct Client {
    stream: TcpStream,
    /// Bytes that belong to the next answer.
    ahead: Vec<u8>,
    /// Number of bytes per read, and the pause after each read.
    pace: (usize, Duration),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::from_stream(TcpStream::connect(address).expect("the service accepts"))
    }

    /// Connects with a receive buffer of a few kilobytes.
    pub fn with_small_buffer(runtime: &tokio::runtime::Runtime, address: SocketAddr) -> Client {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = runtime.block_on(async { socket.connect(address).await.unwrap().into_std().unwrap() });
        stream.set_nonblocking(false).unwrap();
        Client::from_stream(stream)
    }

    /// Connects from another address of this machine.
    pub fn connect_from(runtime: &tokio::runtime::Runtime, from: [u8; 4], address: SocketAddr) -> Client {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = runtime.block_on(async { socket.connect(address).await.unwrap().into_std().unwrap() });
        stream.set_nonblocking(false).unwrap();
        Client::from_stream(stream)
    }

    fn from_stream(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream.set_write_timeout(Some(TIME_LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, ahead: Vec::new(), pace: (65_536, Duration::ZERO) }
    }

    /// Makes later reads slow.
    pub fn reading(mut self, at_once: usize, pause: Duration) -> Client {
        self.pace = (at_once, pause);
        self
    }

    /// Sends all bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the service takes what is sent");
    }

    /// Sends as many bytes as the service accepts.
    pub fn send_some(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    fn read(&mut self) -> usize {
        let mut bytes = vec![0; self.pace.0];
        let read = match self.stream.read(&mut bytes) {
            Ok(read) => read,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&self.ahead)),
        };
        self.ahead.extend_from_slice(&bytes[..read]);
        if !self.pace.1.is_zero() {
            std::thread::sleep(self.pace.1);
        }
        read
    }

    /// Reads a complete answer. `to_head`: the answer has no body, even if a header contains its length.
    fn next_answer(&mut self, to_head: bool) -> Answer {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert_ne!(self.read(), 0, "closed within {:?}", String::from_utf8_lossy(&self.ahead));
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let length: usize = if to_head { 0 } else { length };
        while self.ahead.len() < length {
            assert_ne!(self.read(), 0, "closed after {} of {length} bytes: {answer:?}", self.ahead.len());
        }
        answer.body = self.ahead.drain(..length).collect();
        answer
    }

    /// Closes the sending side. Answers can still be read.
    pub fn close_sending(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Reads the next answer.
    pub fn answer(&mut self) -> Answer {
        self.next_answer(false)
    }

    /// Reads the next answer, which belongs to a HEAD request.
    pub fn answer_to_head(&mut self) -> Answer {
        self.next_answer(true)
    }

    /// Waits until the service closes its side. No other byte of an answer may arrive.
    pub fn closed(&mut self) {
        while self.read() > 0 {}
        assert!(self.ahead.is_empty(), "{:?}", String::from_utf8_lossy(&self.ahead));
    }

    /// Reads until the connection ends in any way. Returns the number of received bytes.
    pub fn read_until_ended(&mut self) -> usize {
        let (mut bytes, mut read) = (vec![0; 65_536], 0);
        while let Ok(more @ 1..) = self.stream.read(&mut bytes) {
            read += more;
        }
        read
    }

    /// Reads this number of bytes at a time, with a pause after each, until the connection ends, the service sends nothing more,
    /// or the time is over. Returns the number of received bytes.
    pub fn read_steadily(&mut self, at_once: usize, pause: Duration, time: Duration) -> usize {
        let (mut bytes, mut read, began) = (vec![0; at_once], 0, std::time::Instant::now());
        self.stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        while began.elapsed() < time {
            match self.stream.read(&mut bytes) {
                Ok(more @ 1..) => read += more,
                _ => break,
            }
            std::thread::sleep(pause);
        }
        read
    }

    /// Waits until the connection ends in any way.
    pub fn ended(&mut self) {
        loop {
            match self.stream.read(&mut [0; 1024]) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
