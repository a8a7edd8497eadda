//! The current time and new ids. No other module may read the clock or create random ids.

use time::OffsetDateTime;

/// Returns the current time.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Returns a new id: 32 hexadecimal digits that increase with time, like the ids of the service.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn row_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
