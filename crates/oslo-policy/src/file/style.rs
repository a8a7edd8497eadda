//! How a scalar of a policy file is written: the YAML reader does not tell, and hands out texts
//! and places. What follows from it is the parent module's part.

use std::ops::Range;

use serde_saphyr::Location;

/// How a scalar is written.
pub(super) enum Style<'t> {
    /// In quotes, or as a block behind `|` or `>`: always a text.
    Quoted,
    /// Behind a tag, such as `!!str`.
    Tagged,
    /// As it stands there.
    Plain(&'t str),
    /// As it stands there, or as a block.
    Unclear(&'t str),
}

impl<'t> Style<'t> {
    /// Finds out from what stands in the file.
    pub(super) fn of(text: &'t str, at: &Location) -> Style<'t> {
        let range = range(at);
        let (start, written) = (range.start, text.get(range).unwrap_or_default());
        let before = text.get(..start).unwrap_or_default();
        let last_word = before.trim_end().rsplit([' ', '\n', ',', '[', '{']).next();
        if last_word.is_some_and(|word| word.starts_with('!')) {
            Style::Tagged
        } else if written.starts_with(['"', '\'', '|', '>']) {
            Style::Quoted
        } else {
            match ends_with_block_header(before) {
                Some(true) => Style::Quoted,
                Some(false) => Style::Plain(written),
                None => Style::Unclear(written),
            }
        }
    }
}

/// The bytes of a node.
pub(super) fn range(at: &Location) -> Range<usize> {
    let span = at.span();
    let bounds = span.byte_offset().zip(span.byte_len()).and_then(|(start, length)| {
        let start = usize::try_from(start).ok()?;
        Some(start..start.checked_add(usize::try_from(length).ok()?)?)
    });
    bounds.unwrap_or_default()
}

/// Whether what stands before a scalar ends with `|`, `>-` or the like, perhaps with a comment;
/// nothing where it takes more than a look at the line to tell.
fn ends_with_block_header(before: &str) -> Option<bool> {
    let is_header = |line: &str| {
        let line = line.trim_end().trim_end_matches(|c: char| matches!(c, '-' | '+' | '0'..='9'));
        let indicator = line.strip_suffix(['|', '>']);
        indicator.is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '\n']))
    };
    let written = before.trim_end();
    // The header ends its line.
    if !before[written.len()..].contains('\n') {
        return Some(false);
    }
    let line = written.lines().next_back().unwrap_or_default();
    if line.trim_start().starts_with('#') {
        return Some(false);
    }
    match line.split_once(" #") {
        None => Some(is_header(line)),
        // The number sign may also stand in a quoted name.
        Some((start, _)) if is_header(start) == is_header(line) => Some(is_header(line)),
        Some(_) => None,
    }
}
