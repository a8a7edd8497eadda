//! Generates targets and credentials, some of them without the attributes that rules compare.

use serde_json::{Map, Value as Json, json};

use crate::support::Random;

pub fn some_of(random: &mut Random, percent: usize, all: Json) -> Json {
    let Json::Object(all) = all else { return all };
    let kept: Map<_, _> = all.into_iter().filter(|_| random.percent(percent)).collect();
    Json::Object(kept)
}

pub fn target(random: &mut Random) -> Json {
    let all = json!({
        "project_id": random.pick(&["p1", "p1", "p2", "", "x"]),
        "user_id": random.pick(&["u1", "u1", "u2"]),
        "role": random.pick(&["admin", "Member", "reader"]),
        "a.b": random.pick(&["flat", "deep"]),
        "a": {"b": "deep"},
        "int": random.pick(&[1, 0, -5, 16]),
        "bool": random.percent(50),
        "none": null,
        "float": random.pick(&[1.5, 1.0, 1e16, 0.1]),
        "list": ["x", 1],
        "dict": {"b": {"c": "deep"}},
    });
    some_of(random, 85, all)
}

pub fn credentials(random: &mut Random) -> Json {
    let roles = match random.below(12) {
        0 => json!(null),
        1 => json!([1, "admin"]),
        2 => json!([]),
        3 => json!(["éditeur", "Reader"]),
        _ => {
            let all = ["admin", "Member", "reader", "service"];
            all.into_iter().filter(|_| random.percent(40)).collect()
        }
    };
    let all = json!({
        "roles": roles,
        "user_id": random.pick(&["u1", "u1", "u2"]),
        "project_id": random.pick(&[Some("p1"), Some("p1"), Some("p2"), None]),
        "domain_id": random.pick(&[None, None, None, Some("d1")]),
        "system_scope": random.pick(&[None, None, None, Some("all"), Some("")]),
        "is_admin": random.percent(50),
        "is_admin_project": true,
        "service_roles": ["service"],
        "token": {"project": {"id": random.pick(&["p1", "p2"])}},
        "a": *random.pick(&[json!({"b": "flat"}), json!({"b": {"c": "deep"}}), json!({"b": [{"c": "x"}, {"c": "deep"}]})].each_ref()),
        "list": [{"name": "x", "tags": ["x", "p1"]}, {"name": "p1", "tags": []}],
        "deep": {"list": [{"k": ["x", "p1"]}, {}]},
        "matrix": [[{"k": "x"}]],
        "none": null,
        "int": random.pick(&[1, 0, 16]),
        "float": random.pick(&[1.5, 1.0]),
        "user-id": "u1",
        "Role": "admin",
        "user id": "u1",
    });
    let mut creds = some_of(random, 85, all);
    if random.percent(5) {
        creds["system"] = json!(random.pick(&["all", ""]));
    }
    creds
}
