//! [`ColumnCharsets`] knows which characters the columns of a table can store. Small tables are converted to
//! utf8mb4 before values are moved into them (`additions.rs`). A large table may keep the character set of an
//! older release.

use std::collections::HashMap;

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// The character sets of the columns of a table that cannot store all characters.
#[derive(Debug, Default)]
pub(in crate::migrations) struct ColumnCharsets(HashMap<String, Charset>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    /// Up to three bytes per character.
    Utf8Mb3,
    /// Code page 1252, which MySQL calls latin1.
    Latin1,
    /// Any other. It can store ASCII.
    Other,
}

/// The characters of code page 1252 that are not in Latin-1.
const CP1252: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";

impl Charset {
    /// Returns `None` for a character set that can store all characters.
    fn of(name: &str) -> Option<Charset> {
        match name {
            "" | "utf8mb4" | "utf16" | "utf16le" | "utf32" => None,
            "utf8" | "utf8mb3" => Some(Charset::Utf8Mb3),
            "latin1" => Some(Charset::Latin1),
            _ => Some(Charset::Other),
        }
    }

    fn can_hold(self, character: char) -> bool {
        character.is_ascii()
            || match self {
                Charset::Utf8Mb3 => character <= '\u{ffff}',
                Charset::Latin1 => ('\u{a0}'..='\u{ff}').contains(&character) || CP1252.contains(character),
                Charset::Other => false,
            }
    }
}

impl ColumnCharsets {
    /// Reads the catalogue. SQLite can store all texts.
    pub(in crate::migrations) async fn of(
        db: &mut Db,
        table: &'static str,
    ) -> Result<ColumnCharsets, StoreError> {
        if db.dialect() == Dialect::Sqlite {
            return Ok(ColumnCharsets::default());
        }
        let rows = db
            .raw_read::<(String, String)>(&format!(
                "SELECT LOWER(CAST(column_name AS CHAR)), CAST(character_set_name AS CHAR) \
                 FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = '{table}' AND character_set_name IS NOT NULL"
            ))
            .await?;
        let known = |(column, charset): (String, String)| Some((column, Charset::of(&charset)?));
        Ok(ColumnCharsets(rows.into_iter().filter_map(known).collect()))
    }

    /// Returns whether a column can store a text.
    pub(in crate::migrations) fn can_hold(&self, column: &str, text: &str) -> bool {
        self.0.get(column).is_none_or(|charset| text.chars().all(|character| charset.can_hold(character)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_set_holds_what_the_server_stores_in_it() {
        for (name, held, not_held) in [
            ("utf8mb4", "aé☃😀", ""),
            ("utf8mb3", "aé☃\u{ffff}", "😀"),
            ("utf8", "aé☃", "😀"),
            ("latin1", "aéÿ€Ÿ", "☃😀\u{81}Ā"),
            ("ascii", "a~", "é☃😀"),
            ("koi8r", "a", "é😀"),
        ] {
            let held_by =
                ColumnCharsets(Charset::of(name).map(|of| ("c".to_owned(), of)).into_iter().collect());
            assert!(held_by.can_hold("c", held), "{name}");
            assert!(held_by.can_hold("another", not_held), "{name}");
            for character in not_held.chars() {
                assert!(!held_by.can_hold("c", &format!("a{character}")), "{name}: {character}");
            }
        }
    }
}
