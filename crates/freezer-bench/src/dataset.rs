//! The data set: the objects of a seeded project, and their ids. Ids are derived from project, kind and number, so `seed`
//! and `run` agree on them without any exchange.

use std::ops::Range;

/// The user that owns every seeded row and sends every request. A cleanup removes only the rows of this user.
pub const USER: &str = "freezer-bench";

/// The size of a page in every list and poll, as schedulers request it.
pub const PAGE: u64 = 10;

/// The size of a seeded project.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Dataset {
    /// The project. Scripts use 32 digits, such as 00000000000000000000000000001000.
    #[arg(long)]
    pub project: String,
    /// The number of jobs in the project. Each has one action, and they are distributed evenly over the clients.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub jobs: u64,
    /// The number of clients, which are called bench-0, bench-1, …
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub clients: u64,
    /// The number of sessions. The number of jobs limits it.
    #[arg(long, default_value_t = 1_000)]
    pub sessions: u64,
    /// The number of jobs in each session. If it is 1, the sessions are running, for `session_start`. Otherwise they have
    /// never run, and each is for one round of `session-round`.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub session_jobs: u64,
    /// The number of backups in the catalogue.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub backups: u64,
}

/// The number of backups with the same name. `search_backups` searches for a name.
pub const BACKUPS_PER_NAME: u64 = 5;

/// The kind of object that an id belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A client's uuid.
    Client = 1,
    /// A job.
    Job = 2,
    /// The action of the job with the same number.
    Action = 3,
    /// The row that links the job and its action.
    Link = 4,
    /// The session of the job with the same number.
    Session = 5,
    /// A backup.
    Backup = 6,
}

impl Dataset {
    /// Returns an empty project.
    pub fn empty(project: &str) -> Dataset {
        Dataset { project: project.to_owned(), jobs: 0, clients: 0, sessions: 0, session_jobs: 1, backups: 0 }
    }

    /// Returns the id of an object: 32 hexadecimal digits that are the same in every run. They have no order, like the
    /// random ids of 19.0.0, because the database compares ids with a common prefix more slowly.
    pub fn id(&self, kind: ObjectKind, number: u64) -> String {
        // Different numbers result in different ids, because the function is a bijection.
        let own = fnv1a(&self.project) ^ (kind as u64) << 56;
        let spread = mixed(own ^ number);
        format!("{spread:016x}{:016x}", mixed(spread ^ own))
    }

    /// Returns the name of a client.
    pub fn client(&self, number: u64) -> String {
        format!("bench-{number}")
    }

    /// Returns the number of the client that a job belongs to.
    pub fn client_of_job(&self, job: u64) -> u64 {
        job % self.clients
    }

    /// Returns the number of jobs of a client.
    pub fn jobs_of_client(&self, client: u64) -> u64 {
        self.jobs / self.clients + u64::from(client < self.jobs % self.clients)
    }

    /// Returns the number of sessions. The jobs of session n start at n × `session_jobs`.
    pub fn session_count(&self) -> u64 {
        self.sessions.min(self.jobs / self.session_jobs)
    }

    /// Returns the number of the session that a job belongs to.
    pub fn session_of_job(&self, job: u64) -> Option<u64> {
        Some(job / self.session_jobs).filter(|session| *session < self.session_count())
    }

    /// Returns the numbers of the jobs of a session.
    pub fn jobs_of_session(&self, session: u64) -> Range<u64> {
        session * self.session_jobs..(session + 1) * self.session_jobs
    }

    /// Returns the number of different names of backups.
    pub fn backup_names(&self) -> u64 {
        self.backups.div_ceil(BACKUPS_PER_NAME).max(1)
    }

    /// Returns the name of a backup.
    pub fn backup_name(&self, backup: u64) -> String {
        format!("volume-{}", backup % self.backup_names())
    }

    /// Returns the number of backups with the name of backup `first`, which must be below [`Dataset::backup_names`].
    pub fn backups_named_as(&self, first: u64) -> u64 {
        self.backups.saturating_sub(first).div_ceil(self.backup_names())
    }
}

/// Computes FNV-1a with 64 bits. Unlike the standard library's hasher, it never changes.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Computes the finisher of SplitMix64, which maps different numbers to different numbers without an order.
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn small() -> Dataset {
        Dataset {
            project: "p1".to_owned(),
            jobs: 25,
            clients: 10,
            sessions: 1_000,
            session_jobs: 1,
            backups: 0,
        }
    }

    #[test]
    fn ids_are_known_in_advance_and_differ() {
        let data = small();
        assert_eq!(data.id(ObjectKind::Job, 7), data.id(ObjectKind::Job, 7));
        assert_eq!(data.id(ObjectKind::Job, 7).len(), 32);
        let other = Dataset { project: "p2".to_owned(), ..small() };
        let all = [&data, &other].into_iter().flat_map(|data| {
            let kinds = [ObjectKind::Job, ObjectKind::Action];
            kinds.into_iter().flat_map(move |kind| (0..1_000).map(move |number| data.id(kind, number)))
        });
        let mut ids: Vec<_> = all.collect();
        ids.sort();
        // Neighbours of 4,000 random ids have about three digits in common.
        let alike = ids.windows(2).filter(|pair| pair[0][..8] == pair[1][..8]).count();
        assert!(alike < 10, "{alike} of {} ids begin like another", ids.len());
        ids.dedup();
        assert_eq!(ids.len(), 4_000);
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // These are test vectors of the algorithm's authors.
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn jobs_of_a_client_are_counted_as_they_are_dealt() {
        let data = small();
        for client in 0..data.clients {
            let dealt = (0..data.jobs).filter(|job| data.client_of_job(*job) == client).count() as u64;
            assert_eq!(data.jobs_of_client(client), dealt, "client {client}");
        }
        assert_eq!(data.session_count(), 25);
    }

    #[test]
    fn sessions_share_out_the_jobs() {
        let data = Dataset { session_jobs: 10, ..small() };
        assert_eq!(data.session_count(), 2);
        assert_eq!(data.jobs_of_session(1), 10..20);
        assert_eq!((data.session_of_job(19), data.session_of_job(20)), (Some(1), None));
    }

    #[test]
    fn names_of_backups_are_counted_as_they_are_given() {
        let data = Dataset { backups: 23, ..small() };
        for name in 0..data.backup_names() {
            let given = (0..23).filter(|n| data.backup_name(*n) == data.backup_name(name)).count() as u64;
            assert_eq!(data.backups_named_as(name), given, "name {name}");
        }
        assert_eq!(data.backup_names(), 5);
    }
}
