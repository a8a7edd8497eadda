//! The data set: which objects a seeded project has, and their ids. `seed` writes it, `run` asks for it, and both
//! know every id without talking to each other, because ids follow from project, kind and number.

use std::ops::Range;

/// Who owns every seeded row and sends every request. Cleaning up removes this user's rows and no others.
pub const USER: &str = "freezer-bench";

/// Rows of a page in every list and poll, as schedulers ask for.
pub const PAGE: u64 = 10;

/// Size of a seeded project.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Dataset {
    /// The project; scripts use 32 digits, such as 00000000000000000000000000001000.
    #[arg(long)]
    pub project: String,
    /// Jobs in the project, each with one action, dealt to the clients in turn.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub jobs: u64,
    /// Clients, named bench-0, bench-1, …
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub clients: u64,
    /// Sessions; never more than there are jobs for.
    #[arg(long, default_value_t = 1_000)]
    pub sessions: u64,
    /// Jobs of each session. 1: sessions that run already, for `session_start`; more: sessions that have never run,
    /// each for one round of `session-round`.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub session_jobs: u64,
    /// Backups in the catalogue.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub backups: u64,
}

/// Backups that have the same name, which is what `search_backups` looks for.
pub const BACKUPS_PER_NAME: u64 = 5;

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's uuid.
    Client = 1,
    /// A job.
    Job = 2,
    /// The action of the job with the same number.
    Action = 3,
    /// The row that links the two.
    Link = 4,
    /// The session of the job with the same number.
    Session = 5,
    /// A backup.
    Backup = 6,
}

impl Dataset {
    /// A project without anything.
    pub fn empty(project: &str) -> Dataset {
        Dataset { project: project.to_owned(), jobs: 0, clients: 0, sessions: 0, session_jobs: 1, backups: 0 }
    }

    /// Id of an object: 32 hexadecimal digits, without any order and the same in every run, as the random ids are that
    /// services make. Ids that begin alike would cost a database more in every comparison.
    pub fn id(&self, kind: Kind, number: u64) -> String {
        // different numbers stay different, also mixed
        let own = fnv1a(&self.project) ^ (kind as u64) << 56;
        let spread = mixed(own ^ number);
        format!("{spread:016x}{:016x}", mixed(spread ^ own))
    }

    /// Name of a client.
    pub fn client(&self, number: u64) -> String {
        format!("bench-{number}")
    }

    /// The client to which a job belongs.
    pub fn client_of_job(&self, job: u64) -> u64 {
        job % self.clients
    }

    /// How many jobs a client has.
    pub fn jobs_of_client(&self, client: u64) -> u64 {
        self.jobs / self.clients + u64::from(client < self.jobs % self.clients)
    }

    /// How many sessions there are; session n has the jobs from n × session_jobs on.
    pub fn session_count(&self) -> u64 {
        self.sessions.min(self.jobs / self.session_jobs)
    }

    /// The session to which a job belongs.
    pub fn session_of_job(&self, job: u64) -> Option<u64> {
        Some(job / self.session_jobs).filter(|session| *session < self.session_count())
    }

    /// Numbers of a session's jobs.
    pub fn jobs_of_session(&self, session: u64) -> Range<u64> {
        session * self.session_jobs..(session + 1) * self.session_jobs
    }

    /// How many different names the backups have.
    pub fn backup_names(&self) -> u64 {
        self.backups.div_ceil(BACKUPS_PER_NAME).max(1)
    }

    /// Name of a backup.
    pub fn backup_name(&self, backup: u64) -> String {
        format!("volume-{}", backup % self.backup_names())
    }

    /// How many backups have the name of backup `first`, which is below [`Dataset::backup_names`].
    pub fn backups_named_as(&self, first: u64) -> u64 {
        self.backups.saturating_sub(first).div_ceil(self.backup_names())
    }
}

/// FNV-1a, 64 bits: the same number everywhere and for ever, unlike the standard library's hasher.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The finisher of SplitMix64: another number for every number, in no order.
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
        assert_eq!(data.id(Kind::Job, 7), data.id(Kind::Job, 7));
        assert_eq!(data.id(Kind::Job, 7).len(), 32);
        let other = Dataset { project: "p2".to_owned(), ..small() };
        let all = [&data, &other].into_iter().flat_map(|data| {
            let kinds = [Kind::Job, Kind::Action];
            kinds.into_iter().flat_map(move |kind| (0..1_000).map(move |number| data.id(kind, number)))
        });
        let mut ids: Vec<_> = all.collect();
        ids.sort();
        // 4,000 random ids have about three digits in common with their neighbour
        let alike = ids.windows(2).filter(|pair| pair[0][..8] == pair[1][..8]).count();
        assert!(alike < 10, "{alike} of {} ids begin like another", ids.len());
        ids.dedup();
        assert_eq!(ids.len(), 4_000);
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // test vectors of the algorithm's authors
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
