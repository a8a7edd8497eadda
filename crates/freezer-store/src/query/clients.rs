//! Queries on `clients`: nodes, by name, within a project or central.

use sea_query::{Condition, Expr, ExprTrait, LockType, Order, Query};

use super::listing::{self, Listed, Page, TableList};
use super::narrow::{Shape, Source};
use super::{TableColumns, Values, table_columns};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::{Capabilities, Client, Registration};
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::{Clients, Column, StoredClient};

const TABLE: TableColumns<Clients> = table_columns!(Clients);

/// The sources of a client's keys.
const SHAPE: Shape<Clients> = Shape {
    sources: &[
        Source::Blank("project_id", Clients::ProjectId),
        Source::Blank("user_id", Clients::UserId),
        Source::Blank("uuid", Clients::Id),
        Source::Blank("client_id", Clients::ClientId),
        Source::Text("hostname", Clients::Hostname),
        Source::Text("description", Clients::Description),
    ],
    // Lists of texts have no keys of their own.
    opaque: &[
        "client",
        "is_central",
        "supported_actions",
        "supported_modes",
        "supported_storages",
        "supported_engines",
    ],
    identity: &["project_id", "user_id"],
    time: None,
    whole: false,
};

const LIST: TableList<Clients, Clients> = TableList {
    columns: TABLE,
    shape: SHAPE,
    order: [Clients::CreatedAt, Clients::Id],
    index: "fz_clients_project",
    found_by: "client_id",
    texts: ("client", &[]),
};

/// The result of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// A new client.
    Created,
    /// The client existed. Its description or capabilities changed.
    Updated,
    /// The client existed with the same data.
    Unchanged,
    /// The name belongs to a client of another project.
    Foreign,
}

/// Returns the client with this name in the scope: its own, otherwise a central one.
pub async fn get(db: &mut Db, scope: &Scope, client_id: &str) -> Result<Option<Client>, StoreError> {
    let mut select = TABLE.live::<StoredClient>(visible(scope));
    select.and_where(Expr::col(Clients::ClientId).eq(client_id));
    // A project's own client has priority over a central one with the same name.
    select.order_by(Clients::IsCentral, Order::Asc).limit(1);
    Ok(db.read_one::<StoredClient>(&select).await?.map(Client::from))
}

/// Returns whether the scope has or had a client with this name, possibly deleted.
pub async fn ever_had(db: &mut Db, scope: &Scope, client_id: &str) -> Result<bool, StoreError> {
    let mut select = Query::select();
    select
        .column(Clients::Id)
        .from(Clients::Table)
        .and_where(Expr::col(Clients::ClientId).eq(client_id))
        .cond_where(visible(scope))
        .limit(1);
    Ok(db.select_one(&select).await?.is_some())
}

/// Returns the clients that the scope can see, including central ones.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Client>, StoreError> {
    let visible = (visible(scope), parts_of(scope));
    LIST.list_visible::<StoredClient, _>(db, scope, search, page, visible).await
}

/// The result of comparing a registration with the stored client without locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationCheck {
    /// There is no client with this name.
    New,
    /// The client exists with different data.
    Differs,
    /// Nothing must be written: [`Registered::Unchanged`] or [`Registered::Foreign`].
    Answered(Registered),
}

/// Returns whether a registration must write anything. Most do not, because every scheduler registers at
/// each start.
pub async fn check_registration(
    db: &mut Db,
    project_id: &str,
    new: &Registration,
) -> Result<RegistrationCheck, StoreError> {
    let client = find(db, project_id, new, Lock::None).await?;
    Ok(client.map_or(RegistrationCheck::New, |client| match compare(&client, project_id, new) {
        Some(answer) => RegistrationCheck::Answered(answer),
        None => RegistrationCheck::Differs,
    }))
}

/// Stores a client in one statement, if its name was unused a moment ago. Returns false if its id is in use.
/// The same project and name must have the same id, so of two simultaneous registrations the second one
/// violates the primary key. Then [`register`] returns the stored client.
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    id: &str,
    new: &Registration,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match TABLE.insert_new(db, id, project_id, &values(user_id, id, new), now).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Registers a client in a project or updates an existing one, with a lock of its name. `id` is that of
/// [`create`], for a node that sends no uuid.
///
/// # Errors
/// [`StoreError::Duplicate`] if the id belongs to another client.
pub async fn register(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    id: &str,
    new: &Registration,
    now: Timestamp,
) -> Result<Registered, StoreError> {
    let existing = find(db, project_id, new, Lock::Update).await?;
    if let Some(client) = existing {
        return update_registration(db, project_id, &client, new, now).await;
    }
    let id = new.uuid.as_deref().unwrap_or(id);
    match TABLE.insert(db, id, project_id, values(user_id, id, new), now, false).await {
        Ok(()) => Ok(Registered::Created),
        Err(StoreError::Duplicate { table, id }) => match find(db, project_id, new, Lock::Update).await? {
            Some(client) if client.uuid == id => update_registration(db, project_id, &client, new, now).await,
            _ => Err(StoreError::Duplicate { table, id }),
        },
        Err(error) => Err(error),
    }
}

fn values(user_id: &str, id: &str, new: &Registration) -> Values<Clients> {
    let mut values: Values<Clients> = vec![
        (Clients::UserId, user_id.into()),
        (Clients::ClientId, new.client_id.as_str().into()),
        (Clients::Hostname, Expr::value(new.hostname.clone())),
        (Clients::Uuid, id.into()),
        (Clients::IsCentral, new.is_central.into()),
    ];
    values.extend(described(new));
    values
}

/// Deletes the project's client with this name. Returns false if it has none, unless an earlier run of the
/// body deleted it.
pub async fn delete(
    db: &mut Db,
    project_id: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let stamp = db.dialect().datetime(now);
    let mut update = Query::update();
    update
        .table(Clients::Table)
        .value(Clients::Deleted, true)
        .value(Clients::DeletedAt, stamp.as_str())
        .and_where(Expr::col(Clients::ProjectId).eq(project_id))
        .and_where(Expr::col(Clients::ClientId).eq(client_id))
        .and_where(Expr::col(Clients::Deleted).eq(false));
    let found = db.execute(&update).await? > 0;
    if found || !db.is_repeat() {
        return Ok(found);
    }
    let mut select = Query::select();
    select
        .column(Clients::Id)
        .from(Clients::Table)
        .and_where(Expr::col(Clients::ProjectId).eq(project_id))
        .and_where(Expr::col(Clients::ClientId).eq(client_id))
        .and_where(Expr::col(Clients::Deleted).eq(true))
        .and_where(Expr::col(Clients::DeletedAt).eq(stamp))
        .limit(1);
    Ok(db.select_one(&select).await?.is_some())
}

/// Whether a query locks the row. On MySQL this also locks the gap for a row with this name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    None,
    Update,
}

/// Returns the live client of a registration. A central client is identified by name and host in all
/// projects, so that its identity cannot be taken. Other clients are identified by their name in the visible
/// clients of the project.
async fn find(
    db: &mut Db,
    project_id: &str,
    new: &Registration,
    lock: Lock,
) -> Result<Option<Client>, StoreError> {
    let whose = match new.is_central {
        true => Condition::all().add(match &new.hostname {
            Some(hostname) => Expr::col(Clients::Hostname).eq(hostname.as_str()),
            None => Expr::col(Clients::Hostname).is_null(),
        }),
        false => visible(&Scope::project(project_id)),
    };
    let mut select = TABLE.live::<StoredClient>(whose);
    select
        .and_where(Expr::col(Clients::ClientId).eq(new.client_id.as_str()))
        .order_by(Clients::IsCentral, Order::Asc)
        .limit(1);
    if lock == Lock::Update {
        select.lock(LockType::Update);
    }
    Ok(db.read_one::<StoredClient>(&select).await?.map(Client::from))
}

async fn update_registration(
    db: &mut Db,
    project_id: &str,
    client: &Client,
    new: &Registration,
    now: Timestamp,
) -> Result<Registered, StoreError> {
    if let Some(answer) = compare(client, project_id, new) {
        return Ok(answer);
    }
    TABLE.update(db, &Scope::project(project_id), &client.uuid, described(new), now).await?;
    Ok(Registered::Updated)
}

/// Returns the result of a registration that writes nothing. Returns `None` if the client must be
/// updated.
fn compare(client: &Client, project_id: &str, new: &Registration) -> Option<Registered> {
    if client.project_id != project_id {
        return Some(Registered::Foreign);
    }
    let same = client.description == new.description && client.capabilities == new.capabilities;
    same.then_some(Registered::Unchanged)
}

fn described(new: &Registration) -> Values<Clients> {
    let capabilities = &new.capabilities;
    vec![
        (Clients::Description, Expr::value(new.description.clone())),
        (Clients::SupportedActions, json::to_text(&capabilities.actions).into()),
        (Clients::SupportedModes, json::to_text(&capabilities.modes).into()),
        (Clients::SupportedStorages, json::to_text(&capabilities.storages).into()),
        (Clients::SupportedEngines, json::to_text(&capabilities.engines).into()),
    ]
}

/// Returns the condition for a project's own clients and the central ones.
fn visible(scope: &Scope) -> Condition {
    match scope {
        Scope::Project(id) => Condition::any()
            .add(Expr::col(Clients::ProjectId).eq(id.as_str()))
            .add(Expr::col(Clients::IsCentral).eq(true)),
        Scope::AllProjects => Condition::all(),
    }
}

/// Returns the visible clients as disjoint conditions: a project's own clients, which an index has in order,
/// and the central clients of others, which are few. A single condition with "or" would sort all clients for
/// each page.
fn parts_of(scope: &Scope) -> Vec<Condition> {
    match scope {
        Scope::Project(id) => {
            let own = Expr::col(Clients::ProjectId).eq(id.as_str());
            let others = Condition::any()
                .add(Expr::col(Clients::ProjectId).ne(id.as_str()))
                .add(Expr::col(Clients::ProjectId).is_null());
            let central = Condition::all().add(Expr::col(Clients::IsCentral).eq(true)).add(others);
            vec![Condition::all().add(own), central]
        }
        Scope::AllProjects => vec![Condition::all()],
    }
}

impl listing::ListedDocument for Client {
    fn size(&self) -> usize {
        // All columns are short. A character takes at most six bytes.
        let texts = [&self.hostname, &self.description].into_iter().flatten().map(String::len).sum::<usize>();
        let can = &self.capabilities;
        let names = [&can.actions, &can.modes, &can.storages, &can.engines].into_iter().flatten();
        listing::KEYS + 6 * (texts + self.client_id.len() + names.map(|name| name.len() + 3).sum::<usize>())
    }
}

impl From<StoredClient> for Client {
    fn from(row: StoredClient) -> Client {
        let names =
            |text: Option<String>, column: Clients| json::texts(text.as_deref(), column.of_row(&row.uuid));
        Client {
            capabilities: Capabilities {
                actions: names(row.supported_actions, Clients::SupportedActions),
                modes: names(row.supported_modes, Clients::SupportedModes),
                storages: names(row.supported_storages, Clients::SupportedStorages),
                engines: names(row.supported_engines, Clients::SupportedEngines),
            },
            project_id: row.project_id,
            user_id: row.user_id,
            client_id: row.client_id,
            hostname: row.hostname,
            description: row.description,
            is_central: row.is_central,
            uuid: row.uuid,
        }
    }
}
