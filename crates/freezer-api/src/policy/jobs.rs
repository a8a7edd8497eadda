//! Rules of jobs. `jobs:create` guards POST to a job's own path, because upstream has no separate rule for
//! replacing a job.

use super::base::{ADMIN_OR_OWNER, ADMIN_OR_READER_OR_SERVICE, ADMIN_OR_SERVICE};

super::rules! {
    /// Guards POST of a job, and POST to a job's own path.
    CREATE = "jobs:create", ADMIN_OR_OWNER, "Create or replace a job.", "POST" "/v2/{project_id}/jobs";
    /// Guards DELETE of a job.
    DELETE = "jobs:delete", ADMIN_OR_OWNER, "Delete a job.", "DELETE" "/v2/{project_id}/jobs/{job_id}";
    /// Guards GET of one job.
    GET = "jobs:get", ADMIN_OR_READER_OR_SERVICE, "Show a job.", "GET" "/v2/{project_id}/jobs/{job_id}";
    /// Guards the list of jobs.
    GET_ALL = "jobs:get_all", ADMIN_OR_READER_OR_SERVICE, "List jobs.", "GET" "/v2/{project_id}/jobs";
    /// Checked in addition if jobs of all projects are requested.
    GET_ALL_PROJECTS = "jobs:get_all_projects", ADMIN_OR_SERVICE, "List jobs of all projects.",
        "GET" "/v2/{project_id}/jobs";
    /// Guards PATCH of a job.
    UPDATE = "jobs:update", ADMIN_OR_OWNER, "Update a job.", "PATCH" "/v2/{project_id}/jobs/{job_id}";
    /// Guards POST of an event.
    EVENT_CREATE = "jobs:event:create", ADMIN_OR_OWNER, "Request an event of a job.",
        "POST" "/v2/{project_id}/jobs/{job_id}/event";
}
