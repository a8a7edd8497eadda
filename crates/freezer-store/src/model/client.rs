//! A client: a registered node with the capabilities of its agent.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// The capabilities of a client's agent. A job's actions are checked against these names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// `action` values, such as `backup`.
    pub actions: Vec<String>,
    /// `mode` values, such as `fs`.
    pub modes: Vec<String>,
    /// `storage` values, such as `swift`.
    pub storages: Vec<String>,
    /// `engine` (and `engine_name`) values, such as `tar`.
    pub engines: Vec<String>,
}

impl Capabilities {
    /// The actions that agents know. Source of these lists: freezer-api 19.0.0.
    pub const ACTIONS: [&'static str; 5] = ["backup", "restore", "info", "admin", "exec"];
    /// The modes that agents know.
    pub const MODES: [&'static str; 8] =
        ["fs", "mongo", "mysql", "sqlserver", "cinder", "glance", "cindernative", "nova"];
    /// The storages that agents know.
    pub const STORAGES: [&'static str; 6] = ["local", "swift", "ssh", "s3", "ftp", "ftps"];
    /// The engines that agents know.
    pub const ENGINES: [&'static str; 6] = ["tar", "rsync", "rsyncv2", "nova", "osbrick", "glance"];
}

/// A node's description of itself in a registration. The service fills in absent capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Name of the client, `[project_]fqdn`. Jobs refer to it.
    pub client_id: String,
    /// Primary key, if the node sent one.
    pub uuid: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// What the agent supports.
    pub capabilities: Capabilities,
    /// Whether it serves every project.
    pub is_central: bool,
}

/// A registered client. It serialises as `{project_id, user_id, client: {…}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Owner.
    pub project_id: String,
    /// The user that registered it.
    pub user_id: String,
    /// Primary key.
    pub uuid: String,
    /// Name, unique among the live clients of a project.
    pub client_id: String,
    /// Host name.
    pub hostname: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Whether it serves every project. Then it is visible in all of them.
    pub is_central: bool,
    /// The capabilities of its agent.
    pub capabilities: Capabilities,
}

impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Client", 3)?;
        document.serialize_field("project_id", &self.project_id)?;
        document.serialize_field("user_id", &self.user_id)?;
        document.serialize_field("client", &ClientBody(self))?;
        document.end()
    }
}

struct ClientBody<'a>(&'a Client);

impl Serialize for ClientBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let client = self.0;
        let mut inner = serializer.serialize_struct("client", 9)?;
        inner.serialize_field("uuid", &client.uuid)?;
        inner.serialize_field("hostname", &client.hostname)?;
        inner.serialize_field("client_id", &client.client_id)?;
        inner.serialize_field("is_central", &client.is_central)?;
        inner.serialize_field("description", &client.description)?;
        inner.serialize_field("supported_actions", &client.capabilities.actions)?;
        inner.serialize_field("supported_modes", &client.capabilities.modes)?;
        inner.serialize_field("supported_storages", &client.capabilities.storages)?;
        inner.serialize_field("supported_engines", &client.capabilities.engines)?;
        inner.end()
    }
}
