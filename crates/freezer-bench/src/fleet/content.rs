//! The check of the database after a simulation.

use crate::mariadb::{Database, DatabaseError};

/// The content of the database.
#[derive(Debug, PartialEq, Eq)]
pub struct DatabaseContent {
    /// The number of registered clients.
    clients: u64,
    /// The number of completed jobs.
    completed: u64,
    /// The number of scheduled jobs.
    scheduled: u64,
    /// The number of backups.
    backups: u64,
    /// The number of completed jobs with a backup.
    with_backup: u64,
}

/// Removes the clients of the seed, because the nodes register themselves.
pub fn forget_clients(database: &Database, project: &str) -> Result<(), DatabaseError> {
    database.execute(|sql| write!(sql, "DELETE FROM clients WHERE project_id = '{project}';")).map(|_| ())
}

impl DatabaseContent {
    /// Reads the content of the database.
    pub fn read(database: &Database, project: &str) -> Result<DatabaseContent, DatabaseError> {
        let jobs = |status: &str| {
            format!(
                "(SELECT COUNT(*) FROM jobs WHERE project_id = '{project}' AND deleted = 0 \
                 AND JSON_VALUE(schedule, '$.status') = '{status}')"
            )
        };
        let (completed, scheduled) = (jobs("completed"), jobs("scheduled"));
        let text = database.execute(|sql| {
            write!(
                sql,
                "SELECT (SELECT COUNT(*) FROM clients WHERE project_id = '{project}' AND deleted = 0), {completed}, \
                 {scheduled}, (SELECT COUNT(*) FROM backups WHERE project_id = '{project}' AND deleted = 0), \
                 (SELECT COUNT(DISTINCT j.id) FROM jobs j JOIN backups b ON b.job_id = j.id \
                 WHERE j.project_id = '{project}' AND JSON_VALUE(j.schedule, '$.status') = 'completed');"
            )
        })?;
        let mut figures = text.split_whitespace().map(|figure| figure.parse().unwrap_or(0));
        let mut next = || figures.next().unwrap_or(0);
        let (clients, completed, scheduled, backups, with_backup) = (next(), next(), next(), next(), next());
        Ok(DatabaseContent { clients, completed, scheduled, backups, with_backup })
    }

    /// Returns the differences from the expected content after this number of runs and nodes.
    pub fn wrong(&self, runs: u64, nodes: u64) -> Vec<String> {
        let wanted = [
            (self.clients, nodes, "clients are registered"),
            (self.completed, runs, "jobs are completed"),
            (self.scheduled, nodes - runs, "jobs are scheduled"),
            (self.backups, runs, "backups are in the catalogue"),
            (self.with_backup, runs, "completed jobs have a backup"),
        ];
        let wrong = wanted.into_iter().filter(|(found, wanted, _)| found != wanted);
        wrong.map(|(found, wanted, what)| format!("{found} {what} instead of {wanted}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_backup_is_reported() {
        let right = DatabaseContent { clients: 10, completed: 4, scheduled: 6, backups: 4, with_backup: 4 };
        assert!(right.wrong(4, 10).is_empty());
        let lost = DatabaseContent { backups: 4, with_backup: 3, ..right };
        assert_eq!(lost.wrong(4, 10), ["3 completed jobs have a backup instead of 4"]);
    }
}
