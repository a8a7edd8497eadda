//! Tests of actions.

use serde_json::{Value, json};

use super::{OUT_OF_RANGE, accepts, action, rejects, with_value};
use crate::validate::Document;

#[test]
fn actions() {
    let action = action();
    let run = |key: &str, value: Value| with_value(&action, &format!("/freezer_action/{key}"), value);
    let bodies = [
        action.clone(),
        run("action", json!("zap")),
        run("mode", json!("zap")),
        run("mode", json!(null)),
        run("timeout", json!("60")),
        run("timeout", json!(60.0)),
        run("priority", json!(null)),
        run("backup_name", json!(5)),
        run("container", json!("c".repeat(255))),
        run("mandatory", json!(1)),
        run("colour", json!({"nested": [null]})),
        with_value(&action, "/max_retries", json!("5")),
        with_value(&action, "/max_retries_interval", json!(null)),
        with_value(&action, "/mandatory", json!(true)),
        with_value(&action, "/mandatory", json!(null)),
        with_value(&action, "/mode", json!("out of place")),
    ];
    let long = format!("'{}...", "c".repeat(76));
    let refused = [
        (
            with_value(&action, "/freezer_action", json!(null)),
            "freezer_action",
            "freezer_action: None is not of type 'object'",
        ),
        (
            with_value(&action, "/freezer_action", json!("x")),
            "freezer_action",
            "freezer_action: 'x' is not of type 'object'",
        ),
        (run("action", json!("")), "freezer_action.action", "freezer_action.action: '' should be non-empty"),
        (
            run("action", json!(null)),
            "freezer_action.action",
            "freezer_action.action: None is not of type 'string'",
        ),
        (
            run("action", json!(5)),
            "freezer_action.action",
            "freezer_action.action: 5 is not of type 'string'",
        ),
        (run("mode", json!([])), "freezer_action.mode", "freezer_action.mode: [] is not of type 'string'"),
        (
            run("container", json!("c".repeat(256))),
            "freezer_action.container",
            &format!("freezer_action.container: {long} is too long (256 characters, at most 255)"),
        ),
        (
            run("timeout", json!(true)),
            "freezer_action.timeout",
            "freezer_action.timeout: True is not of type 'integer'",
        ),
        (
            run("timeout", json!(4_294_967_296_i64)),
            "freezer_action.timeout",
            &format!("freezer_action.timeout: 4294967296 {OUT_OF_RANGE}"),
        ),
        (
            with_value(&action, "/max_retries", json!("many")),
            "max_retries",
            "max_retries: 'many' is not of type 'integer'",
        ),
        (
            with_value(&action, "/mandatory", json!("no")),
            "mandatory",
            "mandatory: 'no' is not of type 'boolean', 'null'",
        ),
    ];
    for kind in [Document::Action, Document::ActionPatch, Document::ActionReplace] {
        accepts(kind, &bodies);
        rejects(kind, &refused);
    }
    for kind in [Document::Action, Document::ActionReplace] {
        rejects(
            kind,
            &[
                (json!({"max_retries": 1}), "freezer_action", "'freezer_action' is a required property"),
                (json!({"freezer_action": {}}), "freezer_action.action", "'action' is a required property"),
            ],
        );
    }
    accepts(
        Document::ActionPatch,
        &[
            json!({"colour": "red"}),
            json!({"freezer_action": {}}),
            json!({"freezer_action": {"mode": "mysql"}}),
        ],
    );
}
