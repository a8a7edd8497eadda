//! Estimates how much memory a JSON text takes as a tree, before it is parsed.
//!
//! The size of a text says little about this: a list of the number 1 takes 88 times the bytes of its text, and a long string takes
//! no more than its text. The constants were measured with the allocator of the C library and with serde_json's features
//! `preserve_order` and `arbitrary_precision`, at the lengths at which lists and objects have just grown.

/// A value and the comma before it: its place in a list that has just grown to twice its length, and the text of a number.
const VALUE: usize = 176;
/// The key and the hash of a member of an object, in addition to its value.
const MEMBER: usize = 96;
/// The first places of a list or an object.
const CONTAINER: usize = 320;
/// The smallest block for the text of a string or a key.
const STRING: usize = 32;

/// The most that [`tree_memory`] returns for each byte of JSON: that of lists in lists.
pub const MOST_MEMORY_PER_BYTE: usize = CONTAINER / 2 + 4;

/// Returns the number of bytes that a JSON text takes in memory as a tree. The estimate is not less than that, and seldom more than
/// twice as much. The result for a text that is not JSON does not matter.
pub fn tree_memory(text: &[u8]) -> usize {
    let (mut memory, mut at) = (text.len(), 0);
    while let Some(rest) = text.get(at..) {
        let end = memchr::memchr(b'"', rest);
        memory += rest[..end.unwrap_or(rest.len())].iter().map(structure).sum::<usize>();
        let Some(end) = end else { break };
        memory += STRING;
        at = end_of_string(text, at + end + 1);
    }
    memory
}

/// Returns the end of a string in a JSON text. `at` is the position behind its opening quotation mark.
pub fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

fn structure(byte: &u8) -> usize {
    match byte {
        b',' => VALUE,
        b':' => MEMBER,
        b'[' | b'{' => CONTAINER,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_counts_values_and_not_only_bytes() {
        let text = |text: &str| tree_memory(text.as_bytes());
        assert_eq!(text(""), 0);
        assert_eq!(text("1"), 1);
        assert_eq!(text(r#""a""#), 3 + STRING);
        assert_eq!(text("[1,1]"), 5 + CONTAINER + VALUE);
        assert_eq!(text(r#"{"a":1,"b":{}}"#), 14 + 2 * CONTAINER + VALUE + 2 * MEMBER + 2 * STRING);
        // what is in a string has no structure
        assert_eq!(text(r#"",:[{\",\\""#), 11 + STRING);
        assert_eq!(text(r#"["\\",",","\"["]"#), 16 + CONTAINER + 2 * VALUE + 3 * STRING);
        for broken in ["\"", "\"\\", "[\"", ",\"\\\"", "]"] {
            assert!(text(broken) >= broken.len());
        }
    }

    #[test]
    fn no_text_takes_more_than_the_maximum_for_each_byte() {
        let lists = "[".repeat(100) + &"]".repeat(100);
        for text in [lists.as_str(), "[[[]]],", "{\"\":0},", "[0],", "1,", "\"\",", "{\"\":[]},"] {
            let text = text.repeat(1_000);
            assert!(
                tree_memory(text.as_bytes()) <= text.len() * MOST_MEMORY_PER_BYTE + CONTAINER,
                "{text:.20}"
            );
        }
    }
}
