//! Finds out how the scalars of a file are written. The YAML reader returns their texts and locations, but it does not
//! distinguish quoted text from plain text, or a tab from a space.

use std::ops::Range;

use serde_saphyr::{Location, Spanned};

use super::raw::Raw;

/// The style of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style<'t> {
    /// In quotes, or a block after `|` or `>`. It is always text.
    Quoted,
    /// After a tag, such as `!!str`.
    Tagged,
    /// Without quotes, as written.
    Plain(&'t str),
}

/// The text of a file and the offsets at which its scalars end.
pub(super) struct ScalarLayout<'t> {
    text: &'t str,
    /// Sorted.
    ends: Vec<usize>,
}

impl<'t> ScalarLayout<'t> {
    pub(super) fn new(text: &'t str, document: &Spanned<Raw>) -> ScalarLayout<'t> {
        let mut ends = Vec::new();
        each_scalar(document, &mut |at| ends.push(range(at).end));
        ends.sort_unstable();
        ScalarLayout { text, ends }
    }

    /// Returns the style of the scalar at a location.
    pub(super) fn style(&self, at: &Location) -> Style<'t> {
        let range = range(at);
        let before = self.before(range.start);
        let written = self.text.get(range).unwrap_or_default();
        if before.contains('!') {
            Style::Tagged
        } else if written.starts_with(['"', '\'', '|', '>']) || before.contains(['|', '>']) {
            Style::Quoted
        } else {
            Style::Plain(written)
        }
    }

    /// Returns the text between the previous scalar and `start`, without comments: brackets, indicators, tags and the
    /// headers of blocks.
    fn before(&self, start: usize) -> String {
        let previous = self.ends.partition_point(|end| *end <= start);
        let from = previous.checked_sub(1).map_or(0, |index| self.ends[index]);
        let mut last = self.text.get(..from).and_then(|text| text.chars().next_back());
        let mut comment = false;
        let mut out = String::new();
        for c in self.text.get(from..start).unwrap_or_default().chars() {
            let starts = c == '#' && last.is_none_or(char::is_whitespace);
            comment = (comment && c != '\n') || starts;
            if !comment {
                out.push(c);
            }
            last = Some(c);
        }
        out
    }

    /// Returns the line of the first tab outside of quotes, blocks and comments. PyYAML refuses a file with such a tab.
    pub(super) fn stray_tab(&self, document: &Spanned<Raw>) -> Option<u64> {
        if !self.text.contains('\t') {
            return None;
        }
        let mut quoted: Vec<Range<usize>> = Vec::new();
        each_scalar(document, &mut |at| {
            if self.style(at) == Style::Quoted {
                quoted.push(range(at));
            }
        });
        let (mut line, mut comment, mut last) = (1, false, '\n');
        for (at, c) in self.text.char_indices() {
            let in_quotes = || quoted.iter().any(|range| range.contains(&at));
            match c {
                '\n' => {
                    line += 1;
                    comment = false;
                }
                '\t' if !comment && !in_quotes() => return Some(line),
                '#' if matches!(last, ' ' | '\n') && !in_quotes() => comment = true,
                _ => {}
            }
            last = c;
        }
        None
    }
}

fn each_scalar(raw: &Spanned<Raw>, visit: &mut dyn FnMut(&Location)) {
    match &raw.value {
        Raw::Scalar(_) => visit(&raw.defined),
        Raw::List(items) => items.iter().for_each(|item| each_scalar(item, visit)),
        Raw::Map(entries) => {
            for (key, value) in entries {
                each_scalar(key, visit);
                each_scalar(value, visit);
            }
        }
    }
}

/// Returns the byte range of a node.
fn range(at: &Location) -> Range<usize> {
    let span = at.span();
    let bounds = span.byte_offset().zip(span.byte_len()).and_then(|(start, length)| {
        let start = usize::try_from(start).ok()?;
        Some(start..start.checked_add(usize::try_from(length).ok()?)?)
    });
    bounds.unwrap_or_default()
}
