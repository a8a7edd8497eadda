//! What the database must hold after a simulation.

use crate::mariadb::{Database, DatabaseError};

/// What it holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Clients that registered.
    clients: u64,
    /// Jobs that are completed.
    completed: u64,
    /// Jobs that are scheduled.
    scheduled: u64,
    /// Backups.
    backups: u64,
    /// Completed jobs that have a backup.
    with_backup: u64,
}

/// Removes the clients that were seeded: the nodes register themselves.
///
/// # Errors
/// [`DatabaseError`]
pub fn forget_clients(database: &Database, project: &str) -> Result<(), DatabaseError> {
    database.execute(|sql| write!(sql, "DELETE FROM clients WHERE project_id = '{project}';")).map(|_| ())
}

impl Outcome {
    /// Asks the database.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub fn read(database: &Database, project: &str) -> Result<Outcome, DatabaseError> {
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
        Ok(Outcome { clients, completed, scheduled, backups, with_backup })
    }

    /// What is not as it must be, after so many runs of so many nodes.
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
    fn a_lost_backup_is_seen() {
        let right = Outcome { clients: 10, completed: 4, scheduled: 6, backups: 4, with_backup: 4 };
        assert!(right.wrong(4, 10).is_empty());
        let lost = Outcome { backups: 4, with_backup: 3, ..right };
        assert_eq!(lost.wrong(4, 10), ["3 completed jobs have a backup instead of 4"]);
    }
}
