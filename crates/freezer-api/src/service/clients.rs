//! Clients: registers and deletes them, and checks whether a client supports an action.

use std::ops::ControlFlow;

use freezer_store::model::{Capabilities, Client, Registration};
use freezer_store::query::actions;
use freezer_store::query::clients::{self, Registered, RegistrationCheck};
use freezer_store::{Db, Scope, StoreError, read, single, stored_size, transaction};
use serde_json::{Map, Value};

use super::Change;
use crate::clock::client_id_of;
use crate::error::{Denied, Error};
use crate::validate::documents::ClientDocument;
use crate::validate::whole;

/// Registers a client, or updates the description and the capabilities of an existing one. Returns the result and the
/// client's name.
///
/// # Errors
/// [`Error::Conflict`] if the name or the uuid belongs to a client of another project.
pub async fn register(change: Change<'_>, document: ClientDocument) -> Result<(Registered, String), Error> {
    let new = registration(document);
    let Capabilities { actions, modes, storages, engines } = &new.capabilities;
    let stored = (&new.client_id, &new.hostname, &new.description, actions, modes, storages, engines);
    if stored_size(&stored) > change.max_document {
        return Err(Error::DocumentTooLarge { field: "client".to_owned(), limit: change.max_document });
    }
    let central_host = new.is_central.then_some(new.hostname.as_deref());
    let id = client_id_of(change.project_id, &new.client_id, central_host);
    let project_id = change.project_id;
    let known = read!(change.store, "clients.known", |db| {
        Ok::<_, Error>(clients::check_registration(db, project_id, &new).await?)
    })?;
    let registered = match known {
        RegistrationCheck::Answered(answer) => answer,
        RegistrationCheck::New if new.uuid.is_none() && create(change, &id, &new).await? => {
            Registered::Created
        }
        RegistrationCheck::New | RegistrationCheck::Differs => match register_locked(change, &id, &new).await
        {
            // Every caller can compute the id that belongs to a name, and may have registered another client with it.
            Err(StoreError::Duplicate { .. }) if new.uuid.is_none() => {
                register_locked(change, &change.ids.document(), &new).await?
            }
            done => done?,
        },
    };
    match registered {
        Registered::Foreign => {
            let name = new.client_id;
            Err(Error::Conflict(format!("Client {name} is already registered by another project")))
        }
        done => Ok((done, new.client_id)),
    }
}

/// Inserts a new client whose id is computed from its name. Returns false if a client with this id exists.
///
/// This function does not lock rows, unlike [`register_locked`]. If 1,000 nodes register in the same second, locks on names
/// that do not exist yet (gap locks) lead to deadlocks.
async fn create(change: Change<'_>, id: &str, new: &Registration) -> Result<bool, StoreError> {
    let Change { project_id, user_id, now, .. } = change;
    let store = &change.store.changing([("clients", new.client_id.as_str())]);
    single!(store, "clients.create", |db| clients::create(db, project_id, user_id, id, new, now).await)
}

async fn register_locked(change: Change<'_>, id: &str, new: &Registration) -> Result<Registered, StoreError> {
    let Change { project_id, user_id, now, .. } = change;
    let store = &change.store.changing([("clients", new.client_id.as_str())]);
    transaction!(store, "clients.register", |db| {
        clients::register(db, project_id, user_id, id, new, now).await
    })
}

/// Deletes a client of the project by its name. Returns false if there is no such client.
///
/// # Errors
/// [`Error::Forbidden`] for a central client of another project, which the caller can see but not delete.
pub async fn delete(change: Change<'_>, client_id: &str) -> Result<bool, Error> {
    let store = &change.store.changing([("clients", client_id)]);
    transaction!(store, "clients.delete", |db| {
        if clients::delete(db, change.project_id, client_id, change.now).await? {
            return Ok(true);
        }
        match clients::get(db, &change.scope(), client_id).await? {
            Some(_) => {
                Err(Box::new(Denied::OtherProject { what: "client", id: client_id.to_owned() }).into())
            }
            None => Ok(false),
        }
    })
}

/// Keys of an action whose values a client must support. Source: freezer-api 19.0.0.
const CHECKED: &[&str] = &["action", "mode", "storage", "engine"];

/// Checks that a client supports the action, mode, storage and engine of an action.
///
/// # Errors
/// [`Error::Unprocessable`] with the name of the value that the client does not support.
pub fn check_capabilities(client: &Client, freezer_action: &Map<String, Value>) -> Result<(), Error> {
    check(client, freezer_action, CHECKED)?;
    // agents use this name for the engine in their configuration files
    check(client, freezer_action, &["engine_name"])
}

/// Checks that a client supports every action of a stored job. The actions are read one at a time.
///
/// # Errors
/// That of `check` for the first action that the client does not support.
pub async fn check_actions_of_job(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
    client: &Client,
    check: fn(&Client, &Map<String, Value>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut checked = Ok(());
    actions::for_each_of_job(db, scope, job_id, |action| {
        checked = check(client, &action.freezer_action);
        if checked.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .await?;
    checked
}

/// Checks that a client still supports an action of a stored job. `engine_name` is not checked, because freezer-api 19.0.0
/// accepted jobs with any value of it, and these jobs must start here as well.
///
/// # Errors
/// [`Error::Unprocessable`] with the name of the value that the client does not support.
pub fn check_start(client: &Client, freezer_action: &Map<String, Value>) -> Result<(), Error> {
    check(client, freezer_action, CHECKED)
}

fn check(client: &Client, freezer_action: &Map<String, Value>, keys: &[&str]) -> Result<(), Error> {
    let can = &client.capabilities;
    for key in keys {
        let supported = match *key {
            "action" => &can.actions,
            "mode" => &can.modes,
            "storage" => &can.storages,
            _ => &can.engines,
        };
        let Some(wanted) = freezer_action.get(*key).filter(|value| !is_blank(value)) else { continue };
        if !supported.iter().any(|name| wanted.as_str() == Some(name)) {
            let shown = wanted.as_str().map_or_else(|| whole(wanted), str::to_owned);
            let client_id = &client.client_id;
            return Err(Error::Unprocessable(format!("Client {client_id} does not support {key}: {shown}")));
        }
    }
    Ok(())
}

/// Returns whether Python treats a value as false. Such a value requires nothing of the client.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// Returns the stored part of a registration. The lists that it does not name contain every capability, as in freezer-api
/// 19.0.0, because agents of old releases name none.
fn registration(document: ClientDocument) -> Registration {
    let or_all = |names: Option<Vec<String>>, all: &[&str]| {
        names.unwrap_or_else(|| all.iter().map(|name| (*name).to_owned()).collect())
    };
    Registration {
        client_id: document.client_id,
        uuid: document.uuid,
        hostname: document.hostname,
        description: document.description,
        is_central: document.is_central,
        capabilities: Capabilities {
            actions: or_all(document.supported_actions, &Capabilities::ACTIONS),
            modes: or_all(document.supported_modes, &Capabilities::MODES),
            storages: or_all(document.supported_storages, &Capabilities::STORAGES),
            engines: or_all(document.supported_engines, &Capabilities::ENGINES),
        },
    }
}
