//! Rules of clients.

use super::base::{ADMIN_OR_OWNER, ADMIN_OR_READER_OR_SERVICE, ADMIN_OR_SERVICE};

super::rules! {
    /// Guards POST of a client.
    CREATE = "clients:create", ADMIN_OR_OWNER, "Register a client.", "POST" "/v2/{project_id}/clients";
    /// Guards DELETE of a client.
    DELETE = "clients:delete", ADMIN_OR_OWNER, "Delete a client.", "DELETE" "/v2/{project_id}/clients/{client_id}";
    /// Guards GET of one client.
    GET = "clients:get", ADMIN_OR_READER_OR_SERVICE, "Show a client.", "GET" "/v2/{project_id}/clients/{client_id}";
    /// Guards the list of clients.
    GET_ALL = "clients:get_all", ADMIN_OR_READER_OR_SERVICE, "List clients.", "GET" "/v2/{project_id}/clients";
    /// Checked in addition if a client registers as central.
    CREATE_CENTRAL = "clients:create_central", ADMIN_OR_SERVICE,
        "Register a client that serves every project.", "POST" "/v2/{project_id}/clients";
}
