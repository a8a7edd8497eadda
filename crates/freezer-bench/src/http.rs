//! A minimal HTTP/1.1 client over TCP. It sends one request at a time on a connection, also GET with a body. Answers may
//! have a Content-Length, be chunked, or end with the connection.
//!
//! The load generator must know when connections are opened and reused, and it must use little CPU time, so it does not
//! use a library. There is no TLS, and there are no redirects and no compression.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The maximum size of an answer.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const READ_SIZE: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection could not be opened, or it failed.
    #[error("{doing} {authority}: {source}")]
    Connection {
        /// The attempted operation.
        doing: &'static str,
        /// The server.
        authority: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The server closed the connection before the end of the answer.
    #[error("{0} closed the connection before the answer was complete ({1} bytes of it came)")]
    Closed(String, usize),
    /// The answer is not HTTP/1.
    #[error("{0} does not answer in HTTP/1.1: {1}")]
    Malformed(String, &'static str),
    /// The URL of the service is invalid.
    #[error("{0}: not a URL of the form http://HOST:PORT")]
    Url(String),
}

/// A server: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(String);

impl Authority {
    /// Parses `http://HOST:PORT`, with or without a slash at the end.
    pub fn from_url(url: &str) -> Result<Authority, HttpError> {
        let bad = || HttpError::Url(url.to_owned());
        let authority = url.strip_prefix("http://").ok_or_else(bad)?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').ok_or_else(bad)?;
        let valid = !host.is_empty() && !host.contains(['/', '@', '?']) && port.parse::<u16>().is_ok();
        if valid { Ok(Authority(authority.to_owned())) } else { Err(bad()) }
    }

    /// Returns a complete request. It has a body with any method.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.0);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(body);
        head.into_bytes()
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The decoded body.
    pub body: Vec<u8>,
    /// Whether the connection can be used again.
    pub keep_alive: bool,
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    authority: Authority,
    received: Vec<u8>,
}

impl Connection {
    /// Opens a connection.
    pub async fn open(authority: &Authority) -> Result<Connection, HttpError> {
        let failed =
            |source| HttpError::Connection { doing: "connecting to", authority: authority.0.clone(), source };
        let stream = TcpStream::connect(authority.0.as_str()).await.map_err(failed)?;
        Ok(Connection { stream, authority: authority.clone(), received: Vec::with_capacity(READ_SIZE) })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// After an error, the connection cannot be used again.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer, HttpError> {
        let authority = self.authority.0.clone();
        let failed =
            |doing| move |source| HttpError::Connection { doing, authority: authority.clone(), source };
        self.stream.write_all(request).await.map_err(failed.clone()("sending to"))?;
        self.received.clear();
        loop {
            let before = self.received.len();
            let count =
                self.stream.read_buf(&mut self.received).await.map_err(failed.clone()("reading from"))?;
            match parse(&self.received, count == 0) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) if count == 0 => return Err(HttpError::Closed(self.authority.0.clone(), before)),
                Ok(None) if self.received.len() <= MAX_ANSWER => {}
                Ok(None) => return Err(self.malformed("the answer is larger than 64 MiB")),
                Err(reason) => return Err(self.malformed(reason)),
            }
        }
    }

    fn malformed(&self, reason: &'static str) -> HttpError {
        HttpError::Malformed(self.authority.0.clone(), reason)
    }
}

/// Parses an answer. Returns `None` if it is incomplete. `closed` means that the server has closed the connection.
///
/// This implements RFC 9112, section 6.3, for answers to GET and POST.
fn parse(received: &[u8], closed: bool) -> Result<Option<Answer>, &'static str> {
    let mut rest = received;
    loop {
        let Some(length) = find(rest, b"\r\n\r\n") else { return Ok(None) };
        let (head, body) = (&rest[..length], &rest[length + 4..]);
        let head = std::str::from_utf8(head).map_err(|_| "the head is not text")?;
        let (status, framing, keep_alive) = parse_head(head)?;
        if (100..200).contains(&status) {
            rest = body;
            continue;
        }
        let body = match framing {
            _ if status == 204 || status == 304 => Some(Vec::new()),
            AnswerFraming::Length(length) => body.get(..length).map(<[u8]>::to_vec),
            AnswerFraming::Chunked => dechunk(body)?,
            AnswerFraming::UntilClose => closed.then(|| body.to_vec()),
        };
        let keep_alive = keep_alive && framing != AnswerFraming::UntilClose && !closed;
        return Ok(body.map(|body| Answer { status, body, keep_alive }));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerFraming {
    Length(usize),
    Chunked,
    UntilClose,
}

fn parse_head(head: &str) -> Result<(u16, AnswerFraming, bool), &'static str> {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let (version, rest) = status_line.split_once(' ').ok_or("there is no status line")?;
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err("the status line names no HTTP/1 version"),
    };
    let status = rest.get(..3).and_then(|digits| digits.parse().ok()).ok_or("the status is not a number")?;
    let mut framing = AnswerFraming::UntilClose;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a header line has no colon")?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") && framing != AnswerFraming::Chunked {
            framing = AnswerFraming::Length(value.parse().map_err(|_| "Content-Length is not a number")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            framing = AnswerFraming::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            let says = |word: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
            keep_alive = if keep_alive { !says("close") } else { says("keep-alive") };
        }
    }
    Ok((status, framing, keep_alive))
}

fn dechunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| "a chunk's size is not text")?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| "a chunk's size is not a number")?;
        rest = &rest[end + 2..];
        if size == 0 {
            // An empty line ends the trailers.
            let complete = rest.starts_with(b"\r\n") || find(rest, b"\r\n\r\n").is_some();
            return Ok(complete.then_some(body));
        }
        let Some(after) = size.checked_add(2).and_then(|length| rest.get(..length)) else { return Ok(None) };
        if !after.ends_with(b"\r\n") {
            return Err("a chunk is longer than it says");
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::net::TcpListener;

    fn answer(status: u16, body: &str, keep_alive: bool) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), keep_alive }
    }

    /// Parses every prefix of an answer. All of them must be incomplete.
    fn parse_in_pieces(text: &str) -> Answer {
        for length in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..length], false), Ok(None), "after {length} bytes");
        }
        parse(text.as_bytes(), false).unwrap().unwrap()
    }

    #[test]
    fn content_length() {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse_in_pieces(text), answer(200, "{}", true));
        let empty = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(parse_in_pieces(empty), answer(404, "", true));
    }

    #[test]
    fn chunked() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n{\"a\":\r\nA\r\n\"\r\n45678\"}\r\n0\r\n\r\n";
        assert_eq!(parse_in_pieces(text), answer(200, "{\"a\":\"\r\n45678\"}", true));
        let trailers =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nDigest: 1\r\n\r\n";
        assert_eq!(parse_in_pieces(trailers), answer(200, "x", true));
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(parse(format!("{head}2\r\nxyz\r\n").as_bytes(), false).is_err());
        assert!(parse(format!("{head}zz\r\n").as_bytes(), false).is_err());
        assert_eq!(parse(format!("{head}ffffffffffffffff\r\n").as_bytes(), false), Ok(None));
    }

    #[test]
    fn connection_close() {
        let text = "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse_in_pieces(text), answer(200, "{}", false));
        let old = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(parse_in_pieces(old), answer(200, "", false));
        let old_kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(parse_in_pieces(old_kept), answer(200, "", true));
        let until_close = b"HTTP/1.1 200 OK\r\n\r\nall";
        assert_eq!(parse(until_close, false), Ok(None));
        assert_eq!(parse(until_close, true), Ok(Some(answer(200, "all", false))));
        // If the connection closes too early, the answer is incomplete.
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", true), Ok(None));
    }

    #[test]
    fn answers_without_a_body() {
        assert_eq!(parse_in_pieces("HTTP/1.1 204 No Content\r\n\r\n"), answer(204, "", false));
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(parse_in_pieces(interim), answer(201, "x", true));
    }

    #[test]
    fn invalid_http_is_refused() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes(), false).is_err(), "{text:?}");
        }
    }

    #[test]
    fn urls() {
        assert_eq!(
            Authority::from_url("http://127.0.0.1:9090/").unwrap(),
            Authority("127.0.0.1:9090".to_owned())
        );
        for bad in ["https://h:1", "http://h", "http://:9", "http://h:99999", "http://u@h:1", "h:1"] {
            assert!(Authority::from_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_get_may_have_a_body() {
        let authority = Authority("h:1".to_owned());
        let text = String::from_utf8(authority.request("GET", "/x?y", &[("A", "b")], "{}")).unwrap();
        assert_eq!(text, "GET /x?y HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 2\r\n\r\n{}");
        let bare = String::from_utf8(authority.request("GET", "/", &[], "")).unwrap();
        assert_eq!(bare, "GET / HTTP/1.1\r\nHost: h:1\r\n\r\n");
    }

    #[tokio::test]
    async fn a_connection_is_reused_and_its_end_is_detected() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = Authority(listener.local_addr().unwrap().to_string());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(b"ngth: 2\r\n\r\nok").await.unwrap();
            }
        });
        let mut connection = Connection::open(&authority).await.unwrap();
        let request = authority.request("GET", "/", &[], "");
        for _ in 0..2 {
            assert_eq!(connection.exchange(&request).await.unwrap(), answer(200, "ok", true));
        }
        server.await.unwrap();
        assert!(connection.exchange(&request).await.is_err());
    }
}
