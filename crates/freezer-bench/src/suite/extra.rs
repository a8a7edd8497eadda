//! The steps of `compare` that do more than a load on both services: the start, POST of a backup with the bare driver for
//! comparison, the cost of a token, and SQLite.

use std::fs;
use std::time::Duration;

use super::service::{Authentication, Service};
use super::steps::{Measure, jobs};
use super::{OWN, StepError, Suite, own_setup, peer_setup};
use crate::floor::Floor;
use crate::keystone;
use crate::process;
use crate::record::BenchRecord;
use crate::run;
use crate::scenario::Scenario;
use crate::seed;
use crate::stats::Latencies;

/// The name of the bare driver in the table.
pub const FLOOR: &str = "bare driver";

impl Suite {
    /// Measures the time from the start of the process to the first correct answer.
    pub(super) async fn starts(&mut self) -> Result<(), StepError> {
        let (own, peer) = if self.options.quick { (5, 1) } else { (10, 3) };
        let record = starts(&mut self.own, own).await?;
        self.keep(record)?;
        if let Some(service) = &mut self.peer {
            let record = starts(service, peer).await?;
            self.keep(record)?;
        }
        Ok(())
    }

    /// Measures POST of a backup, and the bare driver with the same rows.
    pub(super) async fn writes(&mut self) -> Result<(), StepError> {
        let post = Measure::new(Scenario::PostBackup, jobs(1_000));
        let kept = Measure { kept: true, ..Measure::new(Scenario::PostBackup, jobs(1_000)) };
        let database = self.own.setup.connection.clone();
        let busy = Measure::busy(Scenario::PostBackup, jobs(1_000));
        for measure in [&post, &busy, &kept] {
            self.measure(measure).await?;
        }
        for _ in 0..self.repetitions() {
            let floor = Floor { database: database.clone(), data: jobs(1_000), connections: 8 };
            let duration = Duration::from_secs_f64(if self.options.quick { 1.5 } else { 4.0 });
            let record = BenchRecord { label: FLOOR.to_owned(), ..floor.drive(duration).await? };
            seed::remove_posted(&database, &jobs(1_000)).await?;
            self.keep(record)?;
        }
        Ok(())
    }

    /// Measures the memory of the services.
    pub(super) async fn memories(&mut self) -> Result<(), StepError> {
        let mut memories = vec![memory(&self.own)?];
        if let Some(peer) = &self.peer {
            memories.push(memory(peer)?);
        }
        memories.into_iter().try_for_each(|record| self.keep(record))
    }

    /// Measures the cost of a token in the cache. A second process of this service uses Keystone. The loads alternate between
    /// this process and the first one, which trusts identity headers.
    pub(super) async fn authentication(&mut self) -> Result<(), StepError> {
        let data = jobs(1_000);
        let keystone = keystone::start(self.options.port + 5, &data.project).await?;
        let connection = self.own.setup.connection.clone();
        let setup =
            own_setup(&self.options, "auth", 2, &connection, Authentication::Keystone(keystone.url.clone()));
        setup.prepare().await?;
        let (service, _) = setup.start(&data).await?;
        let measure = Measure { kept: true, ..Measure::new(Scenario::GetJob, data) };
        let mut records = Vec::new();
        for _ in 0..if self.options.quick { 2 } else { 5 } {
            for (name, service) in [("get_job, headers", &self.own), ("get_job, token", &service)] {
                let arguments = self.arguments(service, &measure, 1);
                let record = run::execute(&arguments).await?;
                records.push(BenchRecord { scenario: name.to_owned(), ..record });
            }
        }
        service.stop().await;
        keystone.stop();
        records.into_iter().try_for_each(|record| self.keep(record))
    }

    /// Measures both services on SQLite files with the same rows.
    pub(super) async fn sqlite(&mut self) -> Result<(), StepError> {
        let directory = std::path::absolute(&self.options.directory)?;
        let url = |name: &str| format!("sqlite:///{}", directory.join(name).display());
        for name in ["own.sqlite", "peer.sqlite"] {
            for end in ["", "-wal", "-shm", "-journal"] {
                let _ = fs::remove_file(directory.join(format!("{name}{end}")));
            }
        }
        let data = jobs(1_000);
        // The services on MariaDB are still running, so these use other ports.
        let mut options = self.options.clone();
        options.port += 3;
        let own = own_setup(&options, "own-sqlite", 0, &url("own.sqlite"), Authentication::Headers);
        let peer = peer_setup(&options, "peer-sqlite", &url("peer.sqlite"));
        let mut services = Vec::new();
        for setup in [Some(own), peer].into_iter().flatten() {
            setup.prepare().await?;
            seed::execute(&setup.connection, &data).await?;
            services.push(setup.start(&data).await?.0);
        }
        for scenario in [Scenario::GetJob, Scenario::Poll, Scenario::List, Scenario::PostBackup] {
            for service in &services {
                let slow = scenario == Scenario::Poll && service.setup.label != OWN;
                let measure =
                    Measure { peer_requests: slow.then_some(8), ..Measure::new(scenario, data.clone()) };
                let record = run::execute(&self.arguments(service, &measure, 1)).await?;
                self.keep(record)?;
            }
        }
        for service in services {
            service.stop().await;
        }
        Ok(())
    }
}

/// Restarts a service this many times. The last process stays.
async fn starts(service: &mut Service, times: u32) -> Result<BenchRecord, StepError> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let setup = service.setup.clone();
        service.end().await;
        let (started, time) = setup.start(&jobs(1_000)).await?;
        *service = started;
        taken.push(time);
    }
    let mut record = service_record(service, "start");
    let elapsed = taken.iter().sum();
    record.set_answers(&Latencies::new(taken), 0, None, elapsed);
    Ok(record)
}

fn memory(service: &Service) -> Result<BenchRecord, StepError> {
    let memory = process::memory(&[service.pid])?;
    let mut record = service_record(service, "memory after all");
    record.rss_kib = Some(memory.rss);
    record.pss_kib = memory.pss;
    record.processes = Some(memory.processes);
    record.load_average = process::load_average();
    Ok(record)
}

fn service_record(service: &Service, scenario: &str) -> BenchRecord {
    let (label, scenario) = (service.setup.label.clone(), scenario.to_owned());
    BenchRecord {
        label,
        scenario,
        engine: "MariaDB".to_owned(),
        load_average: process::load_average(),
        ..BenchRecord::default()
    }
}
