//! The values of this process, with the names that every client library of Prometheus uses for them. They come from
//! `/proc/self`, so a value that the kernel does not give is left out.

use std::fs::{read_dir, read_to_string};

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};

/// Units of time in `/proc` per second (`USER_HZ`), which is the same on all common architectures.
const TICKS: f64 = 100.0;

/// Returns the present values.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::with_prefix("process");
    cpu_and_start(&mut registry);
    memory(&mut registry);
    if let Ok(files) = read_dir("/proc/self/fd") {
        // one of them is the directory itself
        let open = count(files.count().saturating_sub(1));
        registry.register("open_fds", "Open file descriptors", ConstGauge::new(open));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        registry.register("max_fds", "Maximum number of open file descriptors", ConstGauge::new(most));
    }
    registry
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn cpu_and_start(registry: &mut Registry) -> Option<()> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    // the name of the program, in parentheses, can contain spaces
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    // proc_pid_stat(5): utime, stime, num_threads and starttime are the fields 14, 15, 20 and 22, and the first one here is 3
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let cpu = (field(14)? + field(15)?) / TICKS;
    registry.register_with_unit(
        "cpu",
        "CPU time in user and system mode",
        Unit::Seconds,
        ConstCounter::new(cpu),
    );
    registry.register("threads", "Threads", ConstGauge::new(field(20)?));
    let booted = read_to_string("/proc/stat").ok()?;
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())?;
    let started = ConstGauge::new(booted + field(22)? / TICKS);
    registry.register_with_unit("start_time", "Start of the process, since 1970", Unit::Seconds, started);
    Some(())
}

fn memory(registry: &mut Registry) -> Option<()> {
    let status = read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<i64>().ok().map(|number| number * 1_024)
    };
    for (name, help, value) in [
        ("resident_memory", "Resident memory", bytes("VmRSS")),
        ("virtual_memory", "Virtual memory", bytes("VmSize")),
    ] {
        if let Some(value) = value {
            registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value));
        }
    }
    Some(())
}
