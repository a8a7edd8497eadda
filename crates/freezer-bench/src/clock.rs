//! The time of day and new ids: the one place where this program takes them.

use time::OffsetDateTime;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// 32 hexadecimal digits in the order of time, as the service gives new rows.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn row_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
