//! The time of day and random ids: the one place where this program takes them.

use time::OffsetDateTime;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// 32 random hexadecimal digits, as services give new rows.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn random_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
