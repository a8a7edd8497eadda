//! Tests of registrations of clients.

use serde_json::json;

use super::{accepts, client, rejects, with_value};
use crate::validate::Document;

#[test]
fn clients_that_are_accepted() {
    let client = client();
    accepts(
        Document::Client,
        &[
            client.clone(),
            json!({"client_id": "project_node1.example.org"}),
            json!({"client_id": "проект-7_node1"}),
            json!({"client_id": "n", "uuid": "", "colour": {"any": null}, "user_id": 5, "project_id": null}),
            with_value(&client, "/hostname", json!("h".repeat(255))),
            with_value(&client, "/description", json!("\u{1f600}".repeat(255))),
            with_value(&client, "/description", json!("a\0b")),
            with_value(&client, "/supported_actions", json!(vec!["exec"; 31])),
        ],
    );
}

#[test]
fn clients_that_are_rejected() {
    let client = client();
    let id = r"'^(?:([\\w\\-]+)\\_)?([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d])(\\.([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d]))*$'";
    let host = r"'([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d])(\\.([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d]))*'";
    let long = format!("'{}...", "d".repeat(76));
    rejects(
        Document::Client,
        &[
            (json!({"hostname": "h"}), "client_id", "'client_id' is a required property"),
            (
                with_value(&client, "/client_id", json!(5)),
                "client_id",
                "client_id: 5 is not of type 'string'",
            ),
            (
                with_value(&client, "/client_id", json!("a b$")),
                "client_id",
                &format!("client_id: 'a b$' does not match {id}"),
            ),
            (
                with_value(&client, "/client_id", json!("node1\n")),
                "client_id",
                &format!(r"client_id: 'node1\n' does not match {id}"),
            ),
        ],
    );
    rejects(
        Document::Client,
        &[
            (
                with_value(&client, "/hostname", json!("")),
                "hostname",
                &format!("hostname: '' does not match {host}"),
            ),
            (
                with_value(&client, "/hostname", json!(null)),
                "hostname",
                "hostname: None is not of type 'string'",
            ),
            (
                with_value(&client, "/hostname", json!("d".repeat(256))),
                "hostname",
                &format!("hostname: {long} is too long (256 characters, at most 255)"),
            ),
            (
                with_value(&client, "/client_id", json!("d_".repeat(127) + "dd")),
                "client_id",
                &format!("client_id: '{} is too long (256 characters, at most 255)", "d_".repeat(38) + "..."),
            ),
            (
                with_value(&client, "/description", json!("d".repeat(300))),
                "description",
                &format!("description: {long} is too long (300 characters, at most 255)"),
            ),
            (
                with_value(&client, "/description", json!(null)),
                "description",
                "description: None is not of type 'string'",
            ),
            (
                with_value(&client, "/uuid", json!("u".repeat(37))),
                "uuid",
                &format!("uuid: '{}' is too long (37 characters, at most 36)", "u".repeat(37)),
            ),
            (
                with_value(&client, "/supported_actions", json!(["backup", "fly"])),
                "supported_actions[1]",
                "supported_actions[1]: 'fly' is not one of ['backup', 'restore', 'info', 'admin', 'exec']",
            ),
            (
                with_value(&client, "/supported_engines", json!("tar")),
                "supported_engines",
                "supported_engines: 'tar' is not of type 'array'",
            ),
            (
                with_value(&client, "/supported_actions", json!(vec!["exec"; 32])),
                "supported_actions",
                "supported_actions: ['exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exe... \
                 is too long (256 characters as JSON, at most 255); name each value once",
            ),
            (
                with_value(&client, "/is_central", json!(1)),
                "is_central",
                "is_central: 1 is not of type 'boolean'",
            ),
        ],
    );
}
