//! `GET /v2`: the home document (draft-nottingham-json-home-03) of 19.0.0.

use axum::response::Response;
use serde_json::{Value, json};

use crate::api::response;

/// Answers with the resources and their URI templates.
pub async fn show() -> Response {
    response::text("application/json-home", document().to_string())
}

fn document() -> Value {
    let resource = |template: &str, variables: &[&str], methods: &[&str]| {
        let variables: serde_json::Map<String, Value> =
            variables.iter().map(|name| ((*name).to_owned(), json!(format!("param/{name}")))).collect();
        json!({
            "href-template": template,
            "href-vars": variables,
            "hints": {"allow": methods, "formats": {"application/json": {}}},
        })
    };
    json!({"resources": {
        "rel/backups":
            resource("/v2/{project_id}/backups/{backup_id}", &["project_id", "backup_id"], &["GET"]),
        "rel/jobs": resource(
            "/v2/{project_id}/jobs{?all_projects,offset,limit}",
            &["project_id", "all_projects", "offset", "limit"],
            &["GET", "POST"],
        ),
        "rel/job": resource(
            "/v2/{project_id}/jobs/{job_id}",
            &["project_id", "job_id"],
            &["GET", "PATCH", "POST", "DELETE"],
        ),
    }})
}
