//! Queries on `clients`: nodes, by name, within a project or central.

use sea_query::{Condition, Expr, ExprTrait, LockType, Order, Query, SelectStatement};

use super::listing::{self, DocumentQuery, DocumentReader, Listed, Page};
use super::narrow::{self, Shape, Source};
use super::{TableColumns, Values, table, unreadable};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, StoredField};
use crate::model::{Capabilities, Client, Registration};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::Clients;

const TABLE: TableColumns<Clients> = table!("clients", Clients);

/// Columns after (created_at, id), in the order of [`read`].
const COLUMNS: [Clients; 11] = [
    Clients::ProjectId,
    Clients::UserId,
    Clients::Uuid,
    Clients::ClientId,
    Clients::Hostname,
    Clients::Description,
    Clients::IsCentral,
    Clients::SupportedActions,
    Clients::SupportedModes,
    Clients::SupportedStorages,
    Clients::SupportedEngines,
];

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
    let mut select = live(visible(scope));
    select.and_where(Expr::col(Clients::ClientId).eq(client_id));
    // A project's own client has priority over a central one with the same name.
    select.order_by(Clients::IsCentral, Order::Asc).limit(1);
    read_all(db, &select).await.map(|found| found.into_iter().next())
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
    let narrowed = parts_of(scope).into_iter().map(|whose| {
        let mut part = live(whose);
        narrow::narrow::<_, Clients>(db.dialect(), &mut part, search, &SHAPE, None);
        part
    });
    let listing = DocumentQuery {
        narrowed: narrowed.collect(),
        select: live(visible(scope)),
        along: scope.of_project("fz_clients_project"),
        marked: TABLE.marked(visible(scope), page),
        created_at: Clients::CreatedAt,
        id: Clients::Id,
        search,
        shape: &SHAPE,
        page,
        among: None,
        counted: None,
    };
    let doing = db.doing();
    let parts = DocumentReader { read: |row: &mut Row| read(doing, row), complete: listing::nothing_missing };
    listing::list(db, listing, None, parts).await
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
    let mut select = live(whose);
    select
        .and_where(Expr::col(Clients::ClientId).eq(new.client_id.as_str()))
        .order_by(Clients::IsCentral, Order::Asc)
        .limit(1);
    if lock == Lock::Update {
        select.lock(LockType::Update);
    }
    read_all(db, &select).await.map(|found| found.into_iter().next())
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

fn live(whose: Condition) -> SelectStatement {
    let mut select = Query::select();
    select
        .column(Clients::CreatedAt)
        .column(Clients::Id)
        .columns(COLUMNS)
        .from(Clients::Table)
        .and_where(Expr::col(Clients::Deleted).eq(false))
        .cond_where(whose);
    select
}

async fn read_all(db: &mut Db, select: &SelectStatement) -> Result<Vec<Client>, StoreError> {
    let rows = db.select(select).await?;
    rows.iter().map(|row| read(db.doing(), row)).collect()
}

fn read(doing: &'static str, row: &Row) -> Result<Client, StoreError> {
    let at = unreadable(doing);
    let uuid = row.string(listing::ID).map_err(&at)?;
    let texts = |position, column| -> Result<Vec<String>, StoreError> {
        let text = row.text(position).map_err(&at)?;
        Ok(json::texts(text.as_deref(), StoredField { table: "clients", column, id: &uuid }))
    };
    Ok(Client {
        project_id: row.string(2).map_err(&at)?,
        user_id: row.string(3).map_err(&at)?,
        client_id: row.string(5).map_err(&at)?,
        hostname: row.text(6).map_err(&at)?,
        description: row.text(7).map_err(&at)?,
        is_central: row.flag(8).map_err(&at)?,
        capabilities: Capabilities {
            actions: texts(9, "supported_actions")?,
            modes: texts(10, "supported_modes")?,
            storages: texts(11, "supported_storages")?,
            engines: texts(12, "supported_engines")?,
        },
        uuid,
    })
}
