//! Rules of sessions.

use super::base::{ADMIN_OR_OWNER, ADMIN_OR_READER_OR_SERVICE};

super::rules! {
    /// Guards POST of a session.
    CREATE = "sessions:create", ADMIN_OR_OWNER, "Create a session.", "POST" "/v2/{project_id}/sessions";
    /// Guards DELETE of a session.
    DELETE = "sessions:delete", ADMIN_OR_OWNER, "Delete a session.",
        "DELETE" "/v2/{project_id}/sessions/{session_id}";
    /// Guards GET of one session.
    GET = "sessions:get", ADMIN_OR_READER_OR_SERVICE, "Show a session.",
        "GET" "/v2/{project_id}/sessions/{session_id}";
    /// Guards the list of sessions.
    GET_ALL = "sessions:get_all", ADMIN_OR_READER_OR_SERVICE, "List sessions.", "GET" "/v2/{project_id}/sessions";
    /// Guards PATCH of a session.
    UPDATE = "sessions:update", ADMIN_OR_OWNER, "Update a session.",
        "PATCH" "/v2/{project_id}/sessions/{session_id}";
    /// Guards POST to a session's own path.
    REPLACE = "sessions:replace", ADMIN_OR_OWNER, "Create or replace a session.",
        "POST" "/v2/{project_id}/sessions/{session_id}";
    /// Guards the start and end of a job in a session.
    ACTION_CREATE = "sessions:action:create", ADMIN_OR_OWNER, "Start or end a job of a session.",
        "POST" "/v2/{project_id}/sessions/{session_id}/action";
    /// Guards PUT of a job into a session.
    JOB_ADD = "sessions:job:add", ADMIN_OR_OWNER, "Add a job to a session.",
        "PUT" "/v2/{project_id}/sessions/{session_id}/jobs/{job_id}";
    /// Guards DELETE of a job from a session.
    JOB_REMOVE = "sessions:job:remove", ADMIN_OR_OWNER, "Remove a job from a session.",
        "DELETE" "/v2/{project_id}/sessions/{session_id}/jobs/{job_id}";
}
