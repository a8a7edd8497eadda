//! Checks whether the service may change rows: `config check --connect`.
//!
//! `SHOW GRANTS` is not sufficient: it omits inactive roles, and shows patterns and grants of single columns,
//! which the server would resolve. Instead, each type of statement is tried with a condition that no row
//! satisfies. The server checks privileges before it looks for rows, so nothing changes.

use crate::class::Outage;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::migrations::{TABLES, TableLayout};
use crate::{Store, single};

impl Store {
    /// Tries INSERT, UPDATE and DELETE on every table without changing a row. Returns the rejected
    /// operations, such as `DELETE on jobs`, with the server's reason.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn refused_changes(&self) -> Result<Vec<String>, StoreError> {
        let mut refused = Vec::new();
        for table in TABLES {
            for (verb, sql) in probes(self.dialect(), table) {
                let tried: Result<u64, StoreError> = single!(self, "privileges.try", |db| db.raw(&sql).await);
                match tried {
                    Ok(_) => {}
                    Err(StoreError::Unavailable {
                        outage: Outage::Denied | Outage::Full | Outage::Storage,
                        reason,
                        ..
                    }) => refused.push(format!("{verb} on {}: {reason}", table.name)),
                    Err(StoreError::Backend { source, .. }) => {
                        refused.push(format!("{verb} on {}: {source}", table.name));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(refused)
    }
}

/// Returns statements that match no row.
fn probes(dialect: Dialect, table: &TableLayout) -> [(&'static str, String); 3] {
    let name = dialect.quote(table.name);
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let columns = dialect.quote_all(&columns);
    [
        ("INSERT", format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {name} WHERE 1 = 0")),
        ("UPDATE", format!("UPDATE {name} SET {id} = {id} WHERE 1 = 0", id = dialect.quote(table.key))),
        ("DELETE", format!("DELETE FROM {name} WHERE 1 = 0")),
    ]
}
