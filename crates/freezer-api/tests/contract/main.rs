//! What clients may rely on, asked of the whole service on SQLite and on MariaDB.
//!
//! A file per resource, and beside them what concerns all: `http`, `health`, `paging`, `search`, `tenancy`, `concurrency`,
//! `widths`, `values` (characters, numbers, depth), `broken_json` (stored text that is not JSON), `round_trip` (documents sent back as they came). A test that shows
//! answers is compared with `snapshots/<file>__<test>.snap`, the same for both engines.
//!
//! To add a test: write `async fn name(app: TestApp)`, name it in the file's `on_both_engines!`, run it once with
//! `INSTA_UPDATE=always` if it shows anything, and read the snapshot.
//!
//! Where freezer-api 19.0.0 is wrong and this service does otherwise on purpose (`docs/compatibility.md`), these hold it:
//!
//! | 19.0.0 | test |
//! |---|---|
//! | malformed JSON: status 753 | `http::malformed_json_is_400` |
//! | a body of the wrong type: 500 | `http::a_body_of_the_wrong_type_is_400_naming_the_field` |
//! | too long for its column: 500 | `widths::text_as_wide_as_its_column_is_kept_and_one_more_is_400` |
//! | limit or offset below zero: 500 | `paging::limit_and_offset_that_cannot_be_used_are_400` |
//! | metadata over 64 KiB: 500 | `backups::metadata_over_64_kib_is_stored`, `http::a_body_over_the_limit_is_413` |
//! | emoji: 500 on utf8mb3 | `values::characters_come_back_as_they_went`, `values::emoji_in_a_utf8mb3_column_is_400` |
//! | session action without a parameter: connection dropped | `session_actions::parameters_are_checked` |
//! | event or action on what is missing: 400 or 500 | `job_events::of_a_missing_job_is_404`, `session_actions::of_a_missing_session_is_404`, `sessions::a_missing_job_or_session_is_404` |
//! | PATCH moves to another project | `round_trip::a_patch_moves_nothing_into_another_project` |
//! | every write sets `user_id` | `round_trip::the_creator_stays` |
//! | PATCH with part of a schedule loses the rest | `job_changes::a_patch_merges_the_schedule`, `job_changes::a_patch_that_says_when_replaces_all_of_when` |
//! | PATCH without a schedule erases it | `job_changes::a_patch_without_a_schedule_keeps_it` |
//! | PATCH of an action nulls what it does not name | `actions::a_patch_keeps_what_it_does_not_name` |
//! | PATCH of a backup loses flat keys | `backups::a_patch_takes_flat_keys_and_nested_ones` |
//! | `mandatory` is lost | `jobs::mandatory_is_kept` |
//! | `all_projects` is ignored | `jobs::all_projects_is_honoured_where_permitted` |
//! | a deleted id is taken for ever | `actions::a_deleted_id_can_be_used_again`, `job_changes::a_deleted_id_can_be_used_again`, `sessions::a_deleted_id_can_be_used_again` |
//! | a session completes too early | `session_actions::a_session_is_completed_only_when_every_job_is` |
//! | concurrent updates are lost | `concurrency::twenty_jobs_start_and_end_one_session`, `concurrency::twenty_patches_of_one_job` |
//! | text search and unreadable search are ignored | `search::text_is_found_anywhere`, `search::what_cannot_be_read_is_400` |
//! | DELETE of a backup that is not there: 204 | `backups::delete_of_what_is_not_there_is_404` |
//! | PATCH to an unknown client: 200 | `job_changes::a_patch_to_an_unknown_client_is_422` |
//! | error texts with Python class names | every answer: `support::exchange` |
//! | an id of another project answers 409 with its owner | `tenancy::an_id_of_another_project_is_taken_without_a_word_of_whose` |
//! | 1,003 queries for 1,000 jobs | `statements::a_poll_is_two_statements` |
//! | two registrations make two clients | `concurrency::many_registrations_make_one_client` |
//! | `engine` is checked, `engine_name` is not | `jobs::the_client_must_support_every_action` |
//! | `job_schedule.event` may be absent | `jobs::event_is_always_there` |
//! | statuses of a backup | `backups::every_status_is_taken` |
//! | HEAD: 405 | `http::head_is_get_without_a_body` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

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
mod old_agents;
mod paging;
mod repeats;
mod round_trip;
mod scans;
mod search;
mod session_actions;
mod sessions;
mod statements;
mod tenancy;
mod values;
mod widths;
