//! Upstream's revisions as conditions that must hold, one file for each. The published steps never change.
//!
//! A revision does not depend on the previous one. It checks the tables and columns that it changes. So it also
//! works on a database with a wrong stamp, or if the last upgrade was interrupted. Later revisions may have
//! nothing to do, because missing tables are created as they are at head.

mod m01_1333cef214d9_initial;
mod m02_e74c32f034c5_path_to_backup;
mod m03_23c8ad2655a6_capabilities;
mod m04_29a2fd19eb86_user_credentials;
mod m05_30a3fd20ec97_is_central;
mod m06_4f8c679a1d3b_no_user_name;
mod m07_a1b2c3d4e5f6_job_actions;
mod m08_5c9d21e87f34_backup_status;
mod m09_7a3b9c1d2e4f_user_id_width;

use super::planner::Planner;

/// The function that plans a revision.
pub(super) type RevisionPlan = fn(&mut Planner);

/// The revisions in order. `schema/chain.rs` describes them.
pub(super) const PLANS: [(&str, RevisionPlan); 9] = [
    ("1333cef214d9", m01_1333cef214d9_initial::plan),
    ("e74c32f034c5", m02_e74c32f034c5_path_to_backup::plan),
    ("23c8ad2655a6", m03_23c8ad2655a6_capabilities::plan),
    ("29a2fd19eb86", m04_29a2fd19eb86_user_credentials::plan),
    ("30a3fd20ec97", m05_30a3fd20ec97_is_central::plan),
    ("4f8c679a1d3b", m06_4f8c679a1d3b_no_user_name::plan),
    ("a1b2c3d4e5f6", m07_a1b2c3d4e5f6_job_actions::plan),
    ("5c9d21e87f34", m08_5c9d21e87f34_backup_status::plan),
    ("7a3b9c1d2e4f", m09_7a3b9c1d2e4f_user_id_width::plan),
];
