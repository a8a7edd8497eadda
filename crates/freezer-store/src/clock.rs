//! [`Timestamp`]: seconds since 1970 (UTC), the format of times in documents and tables.
//!
//! The store does not read a clock: every write takes the time as a parameter.

/// A point in time, in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns `YYYY-MM-DD HH:MM:SS` in UTC, the format of the DATETIME columns.
    pub fn to_sql(self) -> String {
        let at =
            time::OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn seconds_are_formatted_as_a_datetime() {
        assert_eq!(Timestamp(0).to_sql(), "1970-01-01 00:00:00");
        assert_eq!(Timestamp(1_795_341_600).to_sql(), "2026-11-22 10:00:00");
    }
}
