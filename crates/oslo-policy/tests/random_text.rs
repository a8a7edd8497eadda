//! Random texts in rules, files, names and attributes must neither panic nor allow a request by accident.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use oslo_policy::lint::check_text;
use oslo_policy::{Credentials, EnforceError, Enforcer, Options, RuleDefault, Target};
use proptest::prelude::*;
use support::Directory;

const PLAIN: RuleDefault = RuleDefault {
    name: "r",
    check_str: "",
    description: "",
    operations: &[],
    scope_types: &[],
    deprecated: None,
};

fn decide(text: &str, target: &Target<'_>, creds: &Credentials<'_>) -> Option<Result<(), EnforceError>> {
    let directory = Directory::new();
    let policy_file = Some(directory.write("policy.yaml", text));
    let enforcer = Enforcer::new(vec![PLAIN], Options { policy_file, ..Options::default() });
    enforcer.ok().map(|enforcer| enforcer.enforce("r", target, creds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file(text in any::<String>()) {
        let _ = check_text(&text, "policy.yaml", &[PLAIN], &Options::default());
        let _ = decide(&text, &Target::new(), &Credentials::new());
    }

    #[test]
    fn any_rule(rule in "[ -~é\\n]{0,80}|([()'\"%:@!{}\\[\\],.*+ \\\\abnot01]|and |or |not |%\\(a\\)s|role:|rule:r){0,40}", value in any::<String>()) {
        let file = serde_json::json!({"r": rule, "l": [[rule, "r:x"], rule]}).to_string();
        let target = Target::new().with("a", &value);
        let creds = Credentials::new().with("roles", vec![value.as_str()]).with("a", &value);
        let decision = decide(&file, &target, &creds);
        // A text that does not form a rule must not allow.
        let problems = check_text(&file, "policy.yaml", &[PLAIN], &Options::default());
        let nonsense = problems.iter().any(|problem| problem.message.contains("does not make a rule") && problem.rule.as_deref() == Some("r"));
        prop_assert!(!nonsense || !matches!(decision, Some(Ok(()))), "{rule:?}");
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = 100_000;
    for rule in [
        "(".repeat(deep),
        "not ".repeat(deep) + "@",
        "(@ and ".repeat(deep) + "@" + &")".repeat(deep),
        "(".repeat(deep) + ":x",
        "-".repeat(deep) + ":x",
        "1+".repeat(deep) + "1:x",
        "[".repeat(deep) + ":x",
        "a.".repeat(deep) + "a:x",
        "not".repeat(deep) + "(:x",
        "x:".to_owned() + &"%(".repeat(deep),
        "@ and ".repeat(deep) + "!",
        "@ or @ and ".repeat(deep) + "!",
    ] {
        let file = serde_json::json!({"r": rule}).to_string();
        let _ = check_text(&file, "policy.yaml", &[PLAIN], &Options::default());
        let _ = decide(&file, &Target::new(), &Credentials::new());
    }
    // A chain of references and nested YAML.
    let chain: String = (0..2_000).map(|i| format!("r{i}: rule:r{}\n", i + 1)).collect();
    let decision = decide(&(chain + "r: rule:r0\n"), &Target::new(), &Credentials::new());
    assert!(matches!(decision, Some(Err(EnforceError::Broken { .. }))), "{decision:?}");
    let _ = decide(&("r: ".to_owned() + &"[".repeat(deep)), &Target::new(), &Credentials::new());
    // far below the reader's own limit of depth
    for depth in [17, 40, 400] {
        for (opening, closing) in [("[\na: ", "]"), ("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
            let file = format!("r: {}x{}\n", opening.repeat(depth), closing.repeat(depth));
            assert!(
                decide(&file, &Target::new(), &Credentials::new()).is_none_or(|decision| decision.is_err()),
                "{file}"
            );
        }
    }
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n".to_owned()
        + &('c'..='z').fold(String::new(), |text, name| {
            let previous = char::from(name as u8 - 1);
            text + &format!("{name}: &{name} [*{previous}, *{previous}]\n")
        });
    assert!(decide(&bomb, &Target::new(), &Credentials::new()).is_none());
}
