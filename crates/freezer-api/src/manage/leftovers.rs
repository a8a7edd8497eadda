//! `freezer-manage db leftovers`: what upgrades found no place for, as text or JSON.

use std::io::Write;

use freezer_store::Store;
use freezer_store::maintenance::Leftover;

use super::db::DbError;

/// Characters of a value that stand in the text; JSON has all.
const WIDTH: usize = 500;

/// Prints each value with its table, column and row.
///
/// # Errors
/// [`DbError`]
pub async fn print(store: &Store, as_json: bool, out: &mut impl Write) -> Result<(), DbError> {
    let mut count = 0_u64;
    if as_json {
        let database = serde_json::to_string(&store.database().to_string()).map_err(std::io::Error::from)?;
        write!(out, "{{\"database\": {database}, \"leftovers\": [")?;
    }
    store
        .leftovers(|leftover| {
            if as_json {
                let comma = if count > 0 { "," } else { "" };
                let text = serde_json::to_string(&leftover).map_err(std::io::Error::from)?;
                write!(out, "{comma}\n  {text}")?;
            } else {
                let Leftover { table, row, column, value } = &leftover;
                let mut shown: String = value.chars().take(WIDTH).collect();
                if shown.len() < value.len() {
                    shown.push_str("… (all of it with --json)");
                }
                writeln!(out, "{table}.{column} of row {row}: {shown}")?;
            }
            count += 1;
            Ok::<(), DbError>(())
        })
        .await?;
    if as_json {
        writeln!(out, "{}]}}", if count > 0 { "\n" } else { "" })?;
    } else if count == 0 {
        writeln!(out, "{}: no upgrade left anything over", store.database())?;
    }
    Ok(())
}
