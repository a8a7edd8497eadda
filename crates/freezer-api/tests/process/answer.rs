//! Parses answers that are read from a connection.

use std::io::Read;

/// Reads until the peer closes the connection.
pub fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the answer, in time");
    String::from_utf8(bytes).unwrap()
}

/// Returns the status and the body of an answer.
pub fn parse(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head:?}")), body.to_owned())
}
