//! What `/proc` says of processes: CPU time and memory of a process with all its descendants (uwsgi's workers are
//! children of the pid in its pid file), and the machine's load.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// Ticks of a second in `/proc/PID/stat`. The kernel's USER_HZ, which is 100 on every architecture that
/// runs MariaDB and Rust's standard library (proc_pid_stat(5) names sysconf(_SC_CLK_TCK)).
const TICKS_PER_SECOND: u64 = 100;

/// A process that should be measured is not there.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} cannot be measured: {reason}; is it running, and on this machine?")]
pub struct ProcessError {
    pid: u32,
    reason: String,
}

/// What a line of `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Ticks of the process, and of children that have ended and were waited for: the sum over a tree never
    /// shrinks when a worker is replaced.
    ticks: u64,
    /// Ticks of the process alone.
    own_ticks: u64,
}

/// Memory of a tree of processes, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Resident; pages that processes share count once for each.
    pub rss: u64,
    /// Proportional: shared pages are divided among those who share them. `None` where the kernel refuses.
    pub pss: Option<u64>,
    /// Largest resident memory that each process ever had, or since [`reset_peak`], added up.
    pub peak: u64,
    /// Processes in the tree.
    pub processes: usize,
}

/// CPU time used so far by the processes, their threads and their descendants, in steps of 10 ms.
///
/// # Errors
/// [`ProcessError`] where one of `roots` is gone.
pub fn cpu_time(roots: &[u32]) -> Result<Duration, ProcessError> {
    let all = all_stats();
    let mut ticks = 0;
    for pid in tree(roots, &all)? {
        ticks += all.get(&pid).map_or(0, |stat| stat.ticks);
    }
    Ok(Duration::from_millis(ticks * (1_000 / TICKS_PER_SECOND)))
}

/// CPU time that this process itself has used, without the services that it started.
///
/// # Errors
/// [`ProcessError`] where the system does not tell.
pub fn own_cpu_time() -> Result<Duration, ProcessError> {
    let pid = std::process::id();
    let gone = |reason| ProcessError { pid, reason };
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| gone(error.to_string()))?;
    let stat = parse_stat(&line).ok_or_else(|| gone(format!("/proc/{pid}/stat says {line}")))?;
    Ok(Duration::from_millis(stat.own_ticks * (1_000 / TICKS_PER_SECOND)))
}

/// Memory that the processes and their descendants hold now.
///
/// # Errors
/// [`ProcessError`] where one of `roots` is gone.
pub fn memory(roots: &[u32]) -> Result<Memory, ProcessError> {
    let all = all_stats();
    let tree = tree(roots, &all)?;
    let mut memory = Memory { rss: 0, pss: Some(0), peak: 0, processes: tree.len() };
    for pid in tree {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        memory.rss += kib_of("VmRSS:", &status).unwrap_or(0);
        memory.peak += kib_of("VmHWM:", &status).unwrap_or(0);
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        memory.pss = memory.pss.zip(kib_of("Pss:", &rollup)).map(|(sum, pss)| sum + pss);
    }
    Ok(memory)
}

/// Forgets the largest memory of the processes and their descendants, so that [`Memory::peak`] is of what follows.
/// False where the kernel refuses (they are not ours): the peak is then that of their whole lives.
///
/// # Errors
/// [`ProcessError`] where one of `roots` is gone.
pub fn reset_peak(roots: &[u32]) -> Result<bool, ProcessError> {
    let tree = tree(roots, &all_stats())?;
    // 5: reset the peak resident set size, see proc_pid_clear_refs(5)
    Ok(tree.into_iter().all(|pid| fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok()))
}

/// The load average of the last minute.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn all_stats() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // a process may end between the listing and the reading
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

/// Field numbers are those of proc_pid_stat(5). The command in parentheses may hold spaces and parentheses, so
/// the fields are counted from the last one that closes.
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

/// The number of a line such as `VmRSS:     1234 kB`.
fn kib_of(name: &str, text: &str) -> Option<u64> {
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
    fn stat_is_read_behind_the_last_parenthesis() {
        let (ticks, own_ticks) = (612 + 88 + 5 + 3, 612 + 88);
        assert_eq!(parse_stat(UWSGI), Some(Stat { parent: 3550, ticks, own_ticks }));
        assert_eq!(parse_stat("1 (init) S 0 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_tree_holds_all_descendants_once_and_nobody_else() {
        let stat = |parent| Stat { parent, ticks: 0, own_ticks: 0 };
        let all =
            BTreeMap::from([(1, stat(0)), (10, stat(1)), (11, stat(10)), (12, stat(11)), (20, stat(1))]);
        assert_eq!(tree(&[10, 11], &all).unwrap(), BTreeSet::from([10, 11, 12]));
        let error = tree(&[10, 99], &all).unwrap_err().to_string();
        assert!(error.contains("process 99"), "{error}");
    }

    #[test]
    fn memory_lines() {
        assert_eq!(kib_of("VmRSS:", "VmHWM:\t  99 kB\nVmRSS:\t   1234 kB\n"), Some(1234));
        assert_eq!(
            kib_of("Pss:", "00400000-7fff [rollup]\nRss: 8 kB\nPss:      77 kB\nPss_Anon: 5 kB\n"),
            Some(77)
        );
        assert_eq!(kib_of("VmRSS:", "Name: kthread\n"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let memory = memory(&[std::process::id()]).unwrap();
        assert!(memory.rss > 0 && memory.peak > 0 && memory.processes >= 1, "{memory:?}");
        assert!(cpu_time(&[std::process::id()]).is_ok());
        assert!(load_average().is_some());
    }

    #[test]
    fn what_a_process_started_is_not_its_own() {
        let before = (own_cpu_time().unwrap(), cpu_time(&[std::process::id()]).unwrap());
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        let after = (own_cpu_time().unwrap(), cpu_time(&[std::process::id()]).unwrap());
        let (own, all) = (after.0 - before.0, after.1 - before.1);
        assert!(own + Duration::from_millis(50) <= all, "{own:?} of {all:?}");
    }
}
