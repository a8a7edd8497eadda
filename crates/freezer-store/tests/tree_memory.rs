//! Compares the estimate of the memory of a tree with the memory that the process really takes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use freezer_store::tree_memory;
use serde_json::Value;

/// Resident memory of the process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

fn list(value: &str, count: usize) -> String {
    format!("[{}]", vec![value; count].join(","))
}

fn object(members: usize, value: &str) -> String {
    let members: Vec<String> = (0..members).map(|at| format!("\"key_{at}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

// one test: others in the same process would take memory as well
#[test]
fn a_tree_takes_no_more_memory_than_estimated() {
    let mut kept: Vec<Value> = Vec::new();
    let mut in_all = [0; 2];
    for (name, text) in [
        ("numbers", list("1", 54_000)),
        ("numbers in a list that has just grown", list("1", 32_769)),
        ("nulls", list("null", 32_769)),
        ("long numbers", list("1234567890.1234567890123456789", 8_193)),
        ("empty strings", list("\"\"", 32_769)),
        ("objects with one member", list("{\"\":0}", 16_385)),
        ("lists in lists", list("[[[]]]", 15_000)),
        ("lists with one number", list("[0]", 16_385)),
        ("objects in objects", list("{\"\":{\"\":{}}}", 8_193)),
        ("objects with four members", list(&object(4, "1"), 8_193)),
        ("an object that has just grown", object(57_345, "\"value\"")),
        ("a document", object(30, "\"/var/lib/some/path\"")),
        ("a long string", format!("[\"{}\"]", "x".repeat(900_000))),
        ("escapes", format!("[\"{}\"]", "\\n".repeat(300_000))),
    ] {
        let estimate = tree_memory(text.as_bytes());
        let count = (24 << 20) / estimate + 1;
        let before = resident();
        kept.extend((0..count).map(|_| serde_json::from_str::<Value>(&text).unwrap()));
        let taken = resident().saturating_sub(before);
        let estimated = estimate * count;
        // the allocator reuses what earlier trees gave back, and takes more at a time than it needs
        assert!(taken < estimated + estimated / 8 + (3 << 20), "{name}: {taken}, estimated {estimated}");
        in_all = [in_all[0] + taken, in_all[1] + estimated];
    }
    let [taken, estimated] = in_all;
    assert!(estimated < 2 * taken, "estimated {estimated}, and not {taken}");
}
