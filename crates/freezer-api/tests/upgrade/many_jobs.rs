//! Jobs of 18.0.0 that do not fit into one batch. They refer to each other's new actions.

use std::fmt::Write;

use crate::dump::Dump;

/// Number of jobs, which is three batches.
pub const JOBS: usize = 1_100;

/// Number of actions that several jobs use.
const SHARED: usize = 300;

/// Returns the entries of a job in order: the id and the path of each one.
fn entries(job: usize) -> [(Option<String>, String); 4] {
    let shared = format!("shared-{}", job % SHARED);
    // Of two neighbours, one writes the id in capitals. Only fifty do, because each of them needs many statements.
    let pair = match (job % 22, job / 2) {
        (1, pair) => format!("PAIR-{pair}"),
        (_, pair) if job.is_multiple_of(2) => format!("pair-{pair}"),
        (_, pair) => format!("second-{pair}"),
    };
    [
        (Some(shared.clone()), format!("/shared/{}", job % SHARED)),
        (Some(pair), format!("/pair/{job}")),
        (None, format!("/own/{job}")),
        // The first entry has this id, so its definition has precedence.
        (Some(shared), format!("/again/{job}")),
    ]
}

fn created_at(job: usize) -> String {
    format!("2024-01-01 {:02}:{:02}:00", job / 60, job % 60)
}

/// Returns the statement that inserts the jobs.
pub fn seed() -> String {
    let mut sql = "INSERT INTO jobs (id, project_id, user_id, schedule, client_id, session_id, session_tag, description, \
                   job_actions, deleted, created_at) VALUES "
        .to_owned();
    for job in 0..JOBS {
        let entries = entries(job).map(|(id, path)| {
            let id = id.map_or_else(String::new, |id| format!("\"action_id\": \"{id}\", "));
            format!("{{{id}\"freezer_action\": {{\"action\": \"backup\", \"path_to_backup\": \"{path}\"}}}}")
        });
        let (comma, entries, time) = (if job == 0 { "" } else { ", " }, entries.join(", "), created_at(job));
        write!(sql, "{comma}('many-{job:04}', 'p', 'u', '{{}}', 'c', '', 0, '', '[{entries}]', 0, '{time}')")
            .unwrap();
    }
    sql + ";\n"
}

/// Panics if a job differs from its entries.
pub fn assert_moved(after: &Dump, ids_differ_by_case: bool) {
    let (links, actions, reports) =
        (after.table("job_actions"), after.table("actions"), after.table("action_reports"));
    let mut found = 0;
    for link in links.values() {
        let text = |column: &str| link[column].clone().unwrap();
        let Some(job) = text("job_id").strip_prefix("many-").map(|job| job.parse::<usize>().unwrap()) else {
            continue;
        };
        found += 1;
        let position: usize = text("position").parse().unwrap();
        let at = format!("job {job}, entry {position}");
        let (given, path) = &entries(job)[position];
        let action = &actions[&text("action_id")];
        assert_eq!(action["path_to_backup"].as_ref(), Some(path), "{at}");
        let keeps_its_id = match position {
            0 => true,
            1 => ids_differ_by_case || !given.as_ref().unwrap().starts_with("PAIR"),
            _ => false,
        };
        assert_eq!(Some(text("action_id")) == *given, keeps_its_id, "{at}: {}", text("action_id"));
        assert!(reports.contains_key(&text("action_id")), "{at}: it has a report");
        // The action is as old as the first job that uses it.
        let first = if position == 0 { job % SHARED } else { job };
        for row in [action, &reports[&text("action_id")]] {
            assert_eq!(
                row["created_at"].as_deref().map(|time| &time[..19]),
                Some(&*created_at(first)),
                "{at}"
            );
        }
    }
    assert_eq!(found, 4 * JOBS);
    let of_jobs = actions.values().filter(|action| action["project_id"].as_deref() == Some("p"));
    assert_eq!(of_jobs.count(), SHARED + 3 * JOBS, "none is made twice");
}
