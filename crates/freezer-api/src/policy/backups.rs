//! Rules of backups. Services may write, because a central scheduler records its backups.

use super::base::{ADMIN_OR_OWNER_OR_SERVICE, ADMIN_OR_READER_OR_SERVICE};

super::rules! {
    /// Guards POST of a backup.
    CREATE = "backups:create", ADMIN_OR_OWNER_OR_SERVICE, "Record a backup.", "POST" "/v2/{project_id}/backups";
    /// Guards DELETE of a backup.
    DELETE = "backups:delete", ADMIN_OR_OWNER_OR_SERVICE, "Delete a backup.",
        "DELETE" "/v2/{project_id}/backups/{backup_id}";
    /// Guards GET of one backup.
    GET = "backups:get", ADMIN_OR_READER_OR_SERVICE, "Show a backup.", "GET" "/v2/{project_id}/backups/{backup_id}";
    /// Guards the list of backups.
    GET_ALL = "backups:get_all", ADMIN_OR_READER_OR_SERVICE, "List backups.", "GET" "/v2/{project_id}/backups";
    /// Guards PATCH of a backup.
    UPDATE = "backups:update", ADMIN_OR_OWNER_OR_SERVICE, "Update a backup.",
        "PATCH" "/v2/{project_id}/backups/{backup_id}";
}
