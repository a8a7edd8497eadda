//! The behaviour on which clients rely. These tests use the whole service on SQLite and on MariaDB.
//!
//! There is one file for each resource. Other files have tests for all resources: `http`, `health`, `paging`, `search`,
//! `tenancy`, `concurrency`, `widths`, `values` (characters, numbers, depth), `broken_json` (stored text that is not
//! JSON), `round_trip` (documents sent back unchanged). If a test shows answers, its transcript is compared with
//! `snapshots/<file>__<test>.snap`, which is the same for both engines.
//!
//! To add a test: write `async fn name(app: TestApp)`, add its name to `on_both_engines!` in this file, run it once
//! with `INSTA_UPDATE=always` if it shows answers, and read the snapshot.
//!
//! These tests cover the intended differences from freezer-api 19.0.0 (`docs/compatibility.md`):
//!
//! | 19.0.0 | test |
//! |---|---|
//! | malformed JSON: status 753 | `http::malformed_json_is_400` |
//! | a body of the wrong type: 500 | `http::a_body_of_the_wrong_type_is_a_400_that_names_the_field` |
//! | too long for its column: 500 | `widths::texts_are_stored_up_to_the_width_of_their_column` |
//! | limit or offset below zero: 500 | `paging::invalid_limits_and_offsets_are_400` |
//! | metadata over 64 KiB: 500 | `backups::metadata_of_more_than_64_kib_is_stored`, `http::a_body_over_the_limit_is_413` |
//! | emoji: 500 on utf8mb3 | `values::characters_are_returned_unchanged`, `values::emoji_in_a_utf8mb3_column_is_400` |
//! | session action without a parameter: connection dropped | `session_actions::parameters_are_checked` |
//! | event or action for a missing resource: 400 or 500 | `job_events::an_event_of_a_missing_job_is_404`, `session_actions::an_action_of_a_missing_session_is_404`, `sessions::a_missing_job_or_session_is_404` |
//! | PATCH moves to another project | `round_trip::a_patch_cannot_move_a_document_to_another_project` |
//! | every write sets `user_id` | `round_trip::the_creator_stays` |
//! | PATCH with part of a schedule loses the rest | `job_changes::a_patch_merges_the_schedule`, `job_changes::a_patch_of_the_times_replaces_all_times_of_the_schedule` |
//! | PATCH without a schedule erases it | `job_changes::a_patch_without_a_schedule_keeps_it` |
//! | PATCH of an action sets missing keys to null | `actions::a_patch_keeps_keys_that_it_does_not_contain` |
//! | PATCH of a backup loses flat keys | `backups::a_patch_accepts_flat_and_nested_keys` |
//! | `mandatory` is lost | `jobs::mandatory_is_kept` |
//! | `all_projects` is ignored | `jobs::all_projects_is_honoured_where_permitted` |
//! | a deleted id is never available again | `actions::a_deleted_id_can_be_used_again`, `job_changes::a_deleted_id_can_be_used_again`, `sessions::a_deleted_id_can_be_used_again` |
//! | a session completes too early | `session_actions::a_session_is_completed_when_all_its_jobs_are` |
//! | concurrent updates are lost | `concurrency::twenty_jobs_start_and_end_one_session`, `concurrency::twenty_patches_of_one_job` |
//! | searches for a text and invalid searches are ignored | `search::a_text_is_found_in_every_value`, `search::invalid_searches_are_400` |
//! | DELETE of a missing backup: 204 | `backups::a_delete_of_a_missing_document_is_404` |
//! | PATCH to an unknown client: 200 | `job_changes::a_patch_to_an_unknown_client_is_422` |
//! | error texts with Python class names | every answer: `support::exchange` |
//! | an id of another project answers 409 with its owner | `tenancy::an_id_of_another_project_is_a_conflict_without_its_owner` |
//! | 1,003 queries for 1,000 jobs | `statements::a_poll_is_two_statements` |
//! | two simultaneous registrations create two clients | `concurrency::many_registrations_make_one_client` |
//! | `engine` is checked, `engine_name` is not | `jobs::the_client_must_support_every_action` |
//! | `job_schedule.event` may be absent | `jobs::event_is_always_shown` |
//! | statuses of a backup | `backups::every_status_is_accepted` |
//! | HEAD: 405 | `http::head_is_get_without_a_body` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../scrape/mod.rs"]
mod scrape;
#[path = "../support/mod.rs"]
mod support;

mod actions;
mod backups;
mod broken_json;
mod clients;
mod concurrency;
mod health;
mod http;
mod job_changes;
mod job_events;
mod jobs;
mod markers;
mod metrics;
mod old_agents;
mod paging;
mod repeats;
mod retried_keys;
mod round_trip;
mod scans;
mod search;
mod session_actions;
mod sessions;
mod sql_modes;
mod statements;
mod tenancy;
mod values;
mod widths;
