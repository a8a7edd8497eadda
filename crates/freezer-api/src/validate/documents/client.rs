//! The document of a client.

use serde_json::{Map, Value};

use super::BodyKeys;

/// A client in a POST: its registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDocument {
    /// Name of the client, `[project_]fqdn`.
    pub client_id: String,
    /// Primary key that the node chose. `""` counts as absent.
    pub uuid: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Whether it serves every project.
    pub is_central: bool,
    /// Actions that the agent supports. `None` if the agent does not name them, which is not the same as an empty list.
    pub supported_actions: Option<Vec<String>>,
    /// Modes that the agent supports.
    pub supported_modes: Option<Vec<String>>,
    /// Storages that the agent supports.
    pub supported_storages: Option<Vec<String>>,
    /// Engines that the agent supports.
    pub supported_engines: Option<Vec<String>>,
}

impl ClientDocument {
    pub(in crate::validate) fn read(body: Map<String, Value>) -> ClientDocument {
        let mut body = BodyKeys(body);
        ClientDocument {
            client_id: body.text("client_id").unwrap_or_default(),
            uuid: body.id("uuid"),
            hostname: body.text("hostname"),
            description: body.text("description"),
            is_central: body.bool("is_central").unwrap_or(false),
            supported_actions: body.texts("supported_actions"),
            supported_modes: body.texts("supported_modes"),
            supported_storages: body.texts("supported_storages"),
            supported_engines: body.texts("supported_engines"),
        }
    }
}
