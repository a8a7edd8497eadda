//! `freezer-manage db leftovers`: prints values that upgrades could not move, as text or JSON.

use std::io::Write;

use freezer_store::Store;
use freezer_store::maintenance::Leftover;

use super::db::DbError;

/// Maximum number of characters of a value in the text. JSON contains whole values.
const WIDTH: usize = 500;

/// Prints each value with its table, column and row.
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
        writeln!(out, "{}: no upgrade kept any values", store.database())?;
    }
    Ok(())
}
