//! Reads CPU time and memory of processes from `/proc`, and the load of the machine. Descendants are included, because uwsgi's
//! workers are children of the process in its pid file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// The ticks per second in `/proc/PID/stat`. This is the kernel's USER_HZ, which is 100 on every architecture with MariaDB
/// and Rust's standard library (proc_pid_stat(5) refers to sysconf(_SC_CLK_TCK)).
const TICKS_PER_SECOND: u64 = 100;

/// A process cannot be measured.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} cannot be measured: {reason}; is it running, and on this machine?")]
pub struct ProcessError {
    pid: u32,
    reason: String,
}

/// The content of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// The ticks of the process and of its children that have ended. Because of these, the sum of a tree does not decrease
    /// when a worker is replaced.
    ticks: u64,
    /// The ticks of the process alone.
    own_ticks: u64,
}

/// The memory of a tree of processes in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The resident memory. Shared pages count once for each process.
    pub rss: u64,
    /// The proportional memory: shared pages are divided among their processes. `None` if the kernel does not permit this.
    pub pss: Option<u64>,
    /// The sum of the peaks of resident memory, since the start of each process or since [`reset_peak`].
    pub peak: u64,
    /// The number of processes in the tree.
    pub processes: usize,
}

/// Returns the CPU time of the processes, their threads and their descendants so far, in steps of 10 ms.
///
/// # Errors
/// If one of `roots` has ended.
pub fn cpu_time(roots: &[u32]) -> Result<Duration, ProcessError> {
    let all = all_stats();
    let mut ticks = 0;
    for pid in tree(roots, &all)? {
        ticks += all.get(&pid).map_or(0, |stat| stat.ticks);
    }
    Ok(Duration::from_millis(ticks * (1_000 / TICKS_PER_SECOND)))
}

/// Returns the CPU time of this process, without the services that it started.
pub fn own_cpu_time() -> Result<Duration, ProcessError> {
    let pid = std::process::id();
    let gone = |reason| ProcessError { pid, reason };
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| gone(error.to_string()))?;
    let stat = parse_stat(&line).ok_or_else(|| gone(format!("/proc/{pid}/stat says {line}")))?;
    Ok(Duration::from_millis(stat.own_ticks * (1_000 / TICKS_PER_SECOND)))
}

/// Returns the current memory of the processes and their descendants.
///
/// # Errors
/// If one of `roots` has ended.
pub fn memory(roots: &[u32]) -> Result<Memory, ProcessError> {
    let all = all_stats();
    let tree = tree(roots, &all)?;
    let mut memory = Memory { rss: 0, pss: Some(0), peak: 0, processes: tree.len() };
    for pid in tree {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        memory.rss += parse_kib("VmRSS:", &status).unwrap_or(0);
        memory.peak += parse_kib("VmHWM:", &status).unwrap_or(0);
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        memory.pss = memory.pss.zip(parse_kib("Pss:", &rollup)).map(|(sum, pss)| sum + pss);
    }
    Ok(memory)
}

/// Resets [`Memory::peak`] of the processes and their descendants. Returns false if the kernel does not permit this, because
/// the processes belong to another user. The peak then includes their whole lifetime.
///
/// # Errors
/// If one of `roots` has ended.
pub fn reset_peak(roots: &[u32]) -> Result<bool, ProcessError> {
    let tree = tree(roots, &all_stats())?;
    // 5 resets the peak resident set size, see proc_pid_clear_refs(5).
    Ok(tree.into_iter().all(|pid| fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok()))
}

/// Returns the load average of the last minute.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn all_stats() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // A process may end after it was listed.
            let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse_stat(&line)?))
        })
        .collect()
}

fn tree(roots: &[u32], all: &BTreeMap<u32, Stat>) -> Result<BTreeSet<u32>, ProcessError> {
    let mut found = BTreeSet::new();
    let mut waiting = roots.to_vec();
    for pid in roots {
        if !all.contains_key(pid) {
            let reason = format!("/proc/{pid}/stat cannot be read");
            return Err(ProcessError { pid: *pid, reason });
        }
    }
    while let Some(pid) = waiting.pop() {
        if found.insert(pid) {
            waiting.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(child, _)| *child));
        }
    }
    Ok(found)
}

/// Parses a line with the field numbers of proc_pid_stat(5). The command in parentheses can contain spaces and parentheses,
/// so the fields are counted from the last closing one.
fn parse_stat(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.get(line.rfind(')')? + 1..)?.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let (user, system, user_of_children, system_of_children) =
        (field(14)?, field(15)?, field(16)?, field(17)?);
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        ticks: user + system + user_of_children + system_of_children,
        own_ticks: user + system,
    })
}

/// Returns the number in a line such as `VmRSS:     1234 kB`.
fn parse_kib(name: &str, text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const UWSGI: &str = "3554 (pyapi) uWSGI (w) S 3550 3550 3550 0 -1 4194368 48211 7 0 0 612 88 5 3 20 0 1 0 12345 \
                         123456789 31000 18446744073709551615 1 1 0 0 0 0 0 4096 17 0 0 0 17 1 0 0 0 0 0";

    #[test]
    fn stat_is_parsed_after_the_last_parenthesis() {
        let (ticks, own_ticks) = (612 + 88 + 5 + 3, 612 + 88);
        assert_eq!(parse_stat(UWSGI), Some(Stat { parent: 3550, ticks, own_ticks }));
        assert_eq!(parse_stat("1 (init) S 0 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_tree_contains_each_descendant_once_and_no_other_process() {
        let stat = |parent| Stat { parent, ticks: 0, own_ticks: 0 };
        let all =
            BTreeMap::from([(1, stat(0)), (10, stat(1)), (11, stat(10)), (12, stat(11)), (20, stat(1))]);
        assert_eq!(tree(&[10, 11], &all).unwrap(), BTreeSet::from([10, 11, 12]));
        let error = tree(&[10, 99], &all).unwrap_err().to_string();
        assert!(error.contains("process 99"), "{error}");
    }

    #[test]
    fn memory_lines() {
        assert_eq!(parse_kib("VmRSS:", "VmHWM:\t  99 kB\nVmRSS:\t   1234 kB\n"), Some(1234));
        assert_eq!(
            parse_kib("Pss:", "00400000-7fff [rollup]\nRss: 8 kB\nPss:      77 kB\nPss_Anon: 5 kB\n"),
            Some(77)
        );
        assert_eq!(parse_kib("VmRSS:", "Name: kthread\n"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let memory = memory(&[std::process::id()]).unwrap();
        assert!(memory.rss > 0 && memory.peak > 0 && memory.processes >= 1, "{memory:?}");
        assert!(cpu_time(&[std::process::id()]).is_ok());
        assert!(load_average().is_some());
    }

    #[test]
    fn own_cpu_time_excludes_children() {
        let before = (own_cpu_time().unwrap(), cpu_time(&[std::process::id()]).unwrap());
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        let after = (own_cpu_time().unwrap(), cpu_time(&[std::process::id()]).unwrap());
        let (own, all) = (after.0 - before.0, after.1 - before.1);
        assert!(own + Duration::from_millis(50) <= all, "{own:?} of {all:?}");
    }
}
