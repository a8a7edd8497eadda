//! `freezer-manage db purge`: the arguments and the output.

use std::io::Write;

use freezer_store::Store;
use freezer_store::maintenance::{Purge, Purged};

use super::db::DbError;

/// Parses an age: a number and a unit, `90d`, `12h`, `30m` or `2w`. Returns seconds.
///
/// # Errors
/// A description of the format.
pub fn age(text: &str) -> Result<i64, String> {
    let wrong =
        || "an age is a number and a unit: 90d (days), 2w (weeks), 12h (hours), 30m (minutes)".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: i64 = match unit {
        'w' => 7 * 86_400,
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        _ => return Err(wrong()),
    };
    let number = text.trim_end_matches(unit);
    if number.len() + 1 != text.len() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: i64 = number.parse().map_err(|_| wrong())?;
    // Ten thousand years. Earlier times have no date.
    let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= 10_000 * 366 * 86_400);
    seconds.ok_or_else(|| format!("{text} is longer than 10,000 years"))
}

/// Removes rows that were deleted long ago and prints the progress, table by table. After an error, removed
/// rows stay removed.
pub async fn purge(store: &Store, purge: &Purge, out: &mut impl Write) -> Result<(), DbError> {
    let what = if purge.dry_run { "would be removed" } else { "removed" };
    let kept = |done: &Purged| match done.kept {
        0 => String::new(),
        kept => format!(", {kept} kept because other rows refer to them"),
    };
    writeln!(out, "{}: rows deleted before {} UTC", store.database(), purge.before.to_sql())?;
    let all = store
        .purge(purge, |done| {
            let _ = writeln!(out, "{}: {} {what} so far{}", done.table, done.removed, kept(&done));
        })
        .await?;
    for done in &all {
        writeln!(out, "{}: {} rows {what}{}", done.table, done.removed, kept(done))?;
    }
    let total: u64 = all.iter().map(|done| done.removed).sum();
    writeln!(out, "in all: {total} rows {what}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in
            [("90d", 7_776_000), ("2w", 1_209_600), ("12h", 43_200), ("30m", 1_800), ("0d", 0)]
        {
            assert_eq!(age(text), Ok(seconds), "{text}");
        }
        let wrong = ["", "90", "d", "90dd", "-1d", "+1d", "1.5d", "90 d", "90s", "90D", "9d0d", "²d", "٣d"];
        for text in wrong {
            assert!(age(text).is_err_and(|error| error.starts_with("an age is")), "{text}");
        }
        for text in ["99999999999999d", "9999999999999999999d", "10001w9d", "600000w"] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
