//! The check of primary keys and unique indexes.

use super::Verdict;
use super::findings::{CheckResult, Findings, Question};
use crate::migrations::SyncPlan;

/// Primary keys and unique indexes that are missing, wrong, or exist twice. Additions that no sync has made yet belong
/// to the check `layout`.
pub(super) fn wrong_keys(plan: &SyncPlan) -> CheckResult {
    let mut found = Findings::default();
    plan.wrong_keys.iter().for_each(|key| found.add(key.to_string()));
    plan.wrong_unique_indexes.iter().for_each(|index| found.add(index.clone()));
    let check = found.into_check(&KEYS);
    let verdict = if check.count > 0 { Verdict::Failure } else { Verdict::Success };
    CheckResult { verdict, ..check }
}

const KEYS: Question = Question {
    name: "keys",
    title: "Primary keys and unique indexes",
    found: "primary keys and unique indexes that are missing or wrong, so that rows can be stored twice",
    advice: "restore them with: freezer-manage db sync",
};
