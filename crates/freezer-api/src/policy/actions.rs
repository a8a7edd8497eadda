//! Rules of actions.

use super::base::{ADMIN_OR_OWNER, ADMIN_OR_READER_OR_SERVICE};

super::rules! {
    /// Guards POST of an action.
    CREATE = "actions:create", ADMIN_OR_OWNER, "Create an action.", "POST" "/v2/{project_id}/actions";
    /// Guards DELETE of an action.
    DELETE = "actions:delete", ADMIN_OR_OWNER, "Delete an action.", "DELETE" "/v2/{project_id}/actions/{action_id}";
    /// Guards GET of one action.
    GET = "actions:get", ADMIN_OR_READER_OR_SERVICE, "Show an action.", "GET" "/v2/{project_id}/actions/{action_id}";
    /// Guards the list of actions.
    GET_ALL = "actions:get_all", ADMIN_OR_READER_OR_SERVICE, "List actions.", "GET" "/v2/{project_id}/actions";
    /// Guards PATCH of an action.
    UPDATE = "actions:update", ADMIN_OR_OWNER, "Update an action.", "PATCH" "/v2/{project_id}/actions/{action_id}";
    /// Guards POST to an action's own path.
    REPLACE = "actions:replace", ADMIN_OR_OWNER, "Create or replace an action.",
        "POST" "/v2/{project_id}/actions/{action_id}";
}
